// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_DEAD_STACK of the caller: what functions that have returned left below
 * the stack pointer is gone, down to where the stack ends and no further, and no
 * byte that is live is touched. Of others, see wipe_threads.c and wipe_tracees.c.
 */
#include <signal.h>

#include "ustack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define NR ((size_t)64)

/* What the last call on a stack of its own came to. */
static struct lethe_wipe last;
static struct below below;
static int err;

static struct lethe_wipe flags_of(uint32_t flags)
{
	return (struct lethe_wipe){ .size = sizeof(struct lethe_wipe), .flags = flags };
}

static void wipe_dead(void)
{
	last = flags_of(LETHE_WIPE_DEAD_STACK);
	err = wipe_below(&last, &below);
}

static void test_errors(void)
{
	struct lethe_wipe args = flags_of(LETHE_WIPE_DEAD_STACK);
	unsigned char byte = FILL;

	args.length = 1;
	tap_ok(call(LETHE_IOC_WIPE, &args) == -EINVAL,
	       "a length without a range is EINVAL");
	args = flags_of(LETHE_WIPE_DEAD_STACK);
	args.start = (uintptr_t)&byte;
	tap_ok(call(LETHE_IOC_WIPE, &args) == -EINVAL && byte == FILL,
	       "so is a start, and nothing is wiped there");
}

static void test_red_zone(void)
{
	struct lethe_wipe none = flags_of(LETHE_WIPE_RANGE);
	unsigned char byte = 1;

	none.start = (uintptr_t)&byte;
	none.length = 1;
	tap_ok(!wipe_below(&none, &below) && red_zone_kept(&below, FILL),
	       "without it all that is below the stack pointer stays (control)");
	wipe_dead();
	tap_ok(!err && red_zone_kept(&below, 0),
	       "the 128 bytes below the stack pointer survive, and the 129th does not");
}

static void test_returned(void)
{
	const size_t size = 256 * 1024;
	unsigned char *left = leave_frame(size);
	/* The last of it is where these calls have their own frames. */
	size_t there = size - 16 * 1024, before = count_fill(left, there), after;

	wipe_dead();
	after = count_fill(left, there);
	tap_ok(before == there,
	       "what a function left is there when it has returned (control)");
	tap_ok(!err && !after && last.wiped >= there && !last.skipped && !last.dropped,
	       "and gone after the call, which says so (%zu of %zu bytes left)", after,
	       there);
}

__attribute__((noinline)) static size_t nest(int depth)
{
	volatile unsigned char frame[512];
	size_t whole = 0;

	memset((void *)frame, 0x40 + depth, sizeof(frame));
	if (depth)
		whole = nest(depth - 1);
	else
		wipe_dead();
	return whole + all_are(frame, 0x40 + depth, sizeof(frame));
}

static void test_live(void)
{
	size_t whole = nest(31);

	tap_ok(!err && whole == 32,
	       "frames of functions that have not returned are whole (%zu of 32)", whole);
}

static void test_main_stack(void)
{
	unsigned char *start, *end, *start_after, *end_after;
	size_t pages;

	leave_frame(512 * 1024);
	if (!mapping_of(&pages, &start, &end))
		tap_bail("no mapping of the stack");
	/* As deep as these come, they have come. */
	resident_pages(start, end);
	wipe_dead();
	pages = resident_pages(start, end);
	wipe_dead();
	mapping_of(&pages, &start_after, &end_after);
	tap_ok(!err && start == start_after && end == end_after,
	       "the main thread's stack does not grow for it");
	tap_ok(pages == resident_pages(start, end) && pages < 8192 / 4,
	       "no page of it is made that was not there (%zu pages)", pages);
	tap_ok(last.wiped <= pages * PAGE && last.wiped >= 448 * 1024,
	       "what is counted is what is there");
}

static void test_exact(void)
{
	unsigned char *stack = must_map_pages(NR), *low;

	/* A page that is there, far from the others. */
	stack[3 * PAGE + 5] = FILL;
	run_on(stack, NR * PAGE, wipe_dead);
	low = lowest_resident(stack + 4 * PAGE, stack + NR * PAGE);
	tap_ok(!err && last.wiped == PAGE + (below.sp - RED_ZONE - (uintptr_t)low),
	       "the bytes wiped are those in memory below the red zone, and no others");
	tap_ok(!stack[3 * PAGE + 5] && resident_pages(stack, low) == 1,
	       "a page that is there is wiped, and those between stay untouched");
	stack[3 * PAGE] = FILL;
	mprotect(stack + 3 * PAGE, PAGE, PROT_READ);
	run_on(stack, NR * PAGE, wipe_dead);
	tap_ok(!err && !last.skipped && stack[3 * PAGE] == FILL,
	       "a page that has become read-only is another mapping: it is not looked at");
	munmap(stack, NR * PAGE);
}

/* Data, a guard and a stack, in one piece of address space. */
static void test_guard(void)
{
	unsigned char *all = must_map_pages(NR);

	memset(all, FILL, 16 * PAGE);
	memset(all + 17 * PAGE, FILL, 4 * PAGE);
	mprotect(all + 16 * PAGE, PAGE, PROT_NONE);
	run_on(all + 17 * PAGE, (NR - 17) * PAGE, wipe_dead);
	tap_ok(!err && all_are(all + 17 * PAGE, 0, 4 * PAGE),
	       "above a guard page all that is dead is wiped");
	tap_ok(all_are(all, FILL, 16 * PAGE) && !last.skipped,
	       "below it nothing is, nor counted");
	munmap(all, NR * PAGE);
}

static void test_guard_installed(void)
{
	unsigned char *all = must_map_pages(NR);
	int ends[2];

	memset(all, FILL, 16 * PAGE);
	memset(all + 17 * PAGE, FILL, 4 * PAGE);
	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	if (madvise(all + 16 * PAGE, PAGE, MADV_GUARD_INSTALL)) {
		tap_skip("MADV_GUARD_INSTALL", "a guard inside the mapping ends it too");
		tap_skip("MADV_GUARD_INSTALL", "and is a guard afterwards");
	} else {
		run_on(all + 17 * PAGE, (NR - 17) * PAGE, wipe_dead);
		tap_ok(!err && all_are(all + 17 * PAGE, 0, 4 * PAGE) &&
			       all_are(all, FILL, 16 * PAGE),
		       "a guard inside the mapping ends it too");
		tap_ok(write(ends[1], all + 16 * PAGE, 1) == -1 && errno == EFAULT,
		       "and is a guard afterwards");
	}
	close(ends[0]);
	close(ends[1]);
	munmap(all, NR * PAGE);
}

static void test_no_guard(void)
{
	unsigned char *all = must_map_pages(NR);

	memset(all, FILL, 17 * PAGE);
	run_on(all + 17 * PAGE, (NR - 17) * PAGE, wipe_dead);
	tap_ok(!err && all_are(all, 0, 17 * PAGE),
	       "where nothing ends it, it goes down to the start of the mapping");
	munmap(all, NR * PAGE);
}

static void handle(int number)
{
	(void)number;
	leave_frame(32 * 1024);
	wipe_dead();
}

static void test_alternate(void)
{
	unsigned char *all = must_map_pages(NR), *dead;
	stack_t stack = { .ss_sp = all + 16 * PAGE + 512, .ss_size = 40 * PAGE };
	stack_t none = { .ss_flags = SS_DISABLE };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };
	const size_t kept = 64 * 1024;
	size_t left;

	memset(all, FILL, 20 * PAGE);
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	dead = leave_frame(2 * kept);
	raise(SIGUSR1);
	left = count_fill(dead, kept);
	tap_ok(!err && below.sp > (uintptr_t)all &&
		       below.sp < (uintptr_t)all + NR * PAGE &&
		       !count_fill(all + 16 * PAGE + 512, 36 * PAGE),
	       "on the alternate stack, what is dead of that is wiped");
	tap_ok(all_are(all, FILL, 16 * PAGE + 512),
	       "down to its start to the byte, and not to the mapping's");
	tap_ok(left == kept,
	       "and the stack that was interrupted keeps what is dead of it");
	sigaltstack(&none, NULL);
	signal(SIGUSR1, SIG_DFL);
	munmap(all, NR * PAGE);
}

static void test_region(void)
{
	int fd = must_create(NR * PAGE);
	unsigned char *stack = must_map(fd, NR * PAGE);

	memset(stack, FILL, NR * PAGE);
	run_on(stack, NR * PAGE, wipe_dead);
	tap_ok(!err && all_are(stack, 0, below.sp - RED_ZONE - (uintptr_t)stack) &&
		       last.wiped == below.sp - RED_ZONE - (uintptr_t)stack,
	       "on a stack of secret pages likewise, to the byte");
	munmap(stack, NR * PAGE);
	close(fd);
}

static void test_all(void)
{
	unsigned char *range = must_map_pages(1), *alternate = must_map_pages(16);
	stack_t install = { .ss_sp = alternate, .ss_size = 16 * PAGE };
	stack_t none = { .ss_flags = SS_DISABLE };
	uintptr_t from;
	uint64_t dead;

	sigaltstack(&install, NULL);
	memset(range, FILL, PAGE);
	memset(alternate, FILL, 16 * PAGE);
	last = flags_of(LETHE_WIPE_RANGE | LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK |
			(must_query().features & LETHE_FEATURE_WIPE_REGISTERS ?
				 LETHE_WIPE_REGISTERS :
				 0));
	last.start = (uintptr_t)range;
	last.length = PAGE;
	err = wipe_below(&last, &below);
	dead = last.wiped - 17 * PAGE;
	from = below.sp;
	tap_ok(!err && all_are(range, 0, PAGE) && all_are(alternate, 0, 16 * PAGE) &&
		       red_zone_kept(&below, 0),
	       "all that there is in one call: all of it is wiped");
	wipe_dead();
	tap_ok(last.wiped && dead == last.wiped + (from - below.sp),
	       "and the sum of it is counted");
	sigaltstack(&none, NULL);
	munmap(range, PAGE);
	munmap(alternate, 16 * PAGE);
}

/* A call with another stack pointer, which nothing may be pushed to. */
static int wipe_at(uintptr_t sp, struct lethe_wipe *args)
{
	long ret;

	__asm__ volatile("movq %%rsp, %%r12\n\t"
			 "movq %[sp], %%rsp\n\t"
			 "syscall\n\t"
			 "movq %%r12, %%rsp\n\t"
			 : "=a"(ret)
			 : [sp] "r"(sp), "a"(SYS_ioctl), "D"((long)door),
			   "S"(LETHE_IOC_WIPE), "d"(args)
			 : "rcx", "r11", "r12", "memory", "cc");
	return ret;
}

static void test_nowhere(void)
{
	unsigned char *hole = must_map_pages(3);
	const uintptr_t places[] = {
		0,
		1,
		127,
		128,
		129,
		4096,
		(uintptr_t)hole + 2 * PAGE,
		(1UL << 47) - 1,
		1UL << 47,
		1UL << 63,
		UINTPTR_MAX,
		UINTPTR_MAX - 4096,
	};
	const size_t nr = sizeof(places) / sizeof(places[0]);
	size_t good = 0;

	memset(hole, FILL, 3 * PAGE);
	munmap(hole + PAGE, 2 * PAGE);
	for (size_t i = 0; i < nr; i++) {
		struct lethe_wipe args = flags_of(LETHE_WIPE_DEAD_STACK);
		int ret = wipe_at(places[i], &args);

		good += (!ret || ret == -EFAULT) && !args.wiped;
	}
	tap_ok(good == nr && all_are(hole, FILL, PAGE),
	       "a stack pointer to nowhere wipes nothing (%zu of %zu)", good, nr);
	munmap(hole, PAGE);
}

int main(void)
{
	door_open();
	tap_plan(25);
	test_errors();
	test_red_zone();
	test_returned();
	test_live();
	test_main_stack();
	test_exact();
	test_guard();
	test_guard_installed();
	test_no_guard();
	test_alternate();
	test_region();
	test_all();
	test_nowhere();
	return tap_end();
}
