// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_SIGSTACK of the caller: its alternate signal stack, all of it and no
 * more, and never while that is in use.
 */
#include "ustack.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

#define NR ((size_t)32)

static unsigned char *all; /* the stack is all but the first and the last page */
static struct lethe_wipe last;
static int err;

static int wipe(uint32_t flags)
{
	static unsigned char byte;

	last = (struct lethe_wipe){ .size = sizeof(last), .flags = flags };
	if (flags & LETHE_WIPE_RANGE) {
		byte = FILL;
		last.start = (uintptr_t)&byte;
		last.length = 1;
	}
	err = call(LETHE_IOC_WIPE, &last);
	/* What is counted of the range is what happened to it. */
	if (flags & LETHE_WIPE_RANGE && byte == FILL)
		last.wiped++;
	return err;
}

static void install(int flags)
{
	stack_t stack = { .ss_sp = all + PAGE, .ss_size = (NR - 2) * PAGE };

	stack.ss_flags = flags;
	if (sigaltstack(&stack, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
	memset(all, FILL, NR * PAGE);
}

static void remove_stack(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	if (sigaltstack(&none, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
}

static void test_none(void)
{
	remove_stack();
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && !last.wiped && !last.skipped,
	       "where there is none, 0 bytes are wiped");
	last.length = 1;
	tap_ok(call(LETHE_IOC_WIPE, &last) == -EINVAL,
	       "a length without a range is EINVAL");
}

static void test_idle(void)
{
	install(0);
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == (NR - 2) * PAGE &&
		       all_are(all + PAGE, 0, (NR - 2) * PAGE),
	       "one that is not in use is wiped, and its bytes are counted");
	tap_ok(all_are(all, FILL, PAGE) && all_are(all + (NR - 1) * PAGE, FILL, PAGE),
	       "what lies beside it is not");
	madvise(all, NR * PAGE, MADV_DONTNEED);
	all[7 * PAGE] = FILL;
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == PAGE && !all[7 * PAGE] &&
		       resident_pages(all, all + NR * PAGE) == 1,
	       "a page that was never touched stays so");
	memset(all, FILL, NR * PAGE);
	mprotect(all + 4 * PAGE, 2 * PAGE, PROT_READ);
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == (NR - 4) * PAGE &&
		       last.skipped == 2 * PAGE &&
		       all_are(all + 4 * PAGE, FILL, 2 * PAGE),
	       "what of it cannot be written is left, and counted");
	mprotect(all + 4 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE);
	munmap(all + 9 * PAGE, PAGE);
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == (NR - 3) * PAGE,
	       "a hole in it is passed over");
	all = must_map_pages(NR);
}

/* To the byte: it need not begin or end with a page. */
static void test_edges(void)
{
	stack_t stack = { .ss_sp = all + 100, .ss_size = 8 * PAGE + 77 };

	if (sigaltstack(&stack, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
	memset(all, FILL, NR * PAGE);
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == stack.ss_size &&
		       all_are(all, FILL, 100) && all_are(all + 100, 0, stack.ss_size) &&
		       all_are(all + 100 + stack.ss_size, FILL, PAGE),
	       "one that is not whole pages is wiped to the byte");
}

static uint32_t asked;
static size_t filled;

static void handle(int number)
{
	(void)number;
	wipe(asked);
	filled = count_fill(all, 8 * PAGE);
}

static void signal_with(int flags, uint32_t flag)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };

	asked = flag;
	install(flags);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
}

static void test_in_use(void)
{
	signal_with(0, LETHE_WIPE_SIGSTACK);
	tap_ok(err == -EBUSY && !last.wiped && filled == 8 * PAGE,
	       "one that is in use is EBUSY, and is not touched");
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == (NR - 2) * PAGE,
	       "after the handler it is wiped");
	signal_with(0, LETHE_WIPE_RANGE | LETHE_WIPE_SIGSTACK);
	tap_ok(err == -EBUSY && last.wiped == 1 && filled == 8 * PAGE,
	       "EBUSY with a range too, and that is counted if it was wiped");
	signal_with(0, LETHE_WIPE_DEAD_STACK);
	tap_ok(!err && filled == PAGE,
	       "LETHE_WIPE_DEAD_STACK on it is what wipes it then");
}

static void test_autodisarm(void)
{
	signal_with(SS_AUTODISARM, LETHE_WIPE_SIGSTACK);
	tap_ok(!err && !last.wiped && filled == 8 * PAGE,
	       "with SS_AUTODISARM, while a handler runs there is none");
	tap_ok(!wipe(LETHE_WIPE_SIGSTACK) && last.wiped == (NR - 2) * PAGE &&
		       all_are(all + PAGE, 0, (NR - 2) * PAGE),
	       "and after the handler it is there again, and wiped");
}

int main(void)
{
	door_open();
	all = must_map_pages(NR);
	tap_plan(14);
	test_none();
	test_idle();
	test_edges();
	test_in_use();
	test_autodisarm();
	return tap_end();
}
