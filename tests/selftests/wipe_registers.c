// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_REGISTERS: what it takes, and that a program notices nothing of it:
 * every register that it is not a system call's business to change is as it was.
 * What it erases is not to be seen from here (tests/residue).
 */
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "door.h"

#ifndef ARCH_SET_GS
#define ARCH_SET_GS 0x1001
#define ARCH_GET_GS 0x1004
#endif

#define AREA 16384
#define HEADER 512 /* where XSTATE_BV is */
#define ROUNDS 2000
#define LONG ((size_t)8 << 20)
#define LONG_ROUNDS 100

static unsigned char before[AREA] __attribute__((aligned(64)));
static unsigned char after[AREA] __attribute__((aligned(64)));
static unsigned int features; /* of what XGETBV says */

static int wipe(uint32_t flags, pid_t tid, uint64_t start, uint64_t length,
		uint64_t *wiped)
{
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = flags,
		.tid = tid,
		.start = start,
		.length = length,
		.wiped = UINT64_MAX,
	};
	int err = call(LETHE_IOC_WIPE, &args);

	*wiped = args.wiped;
	return err;
}

static bool have_xsave(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_OSXSAVE;
}

static void look(void)
{
	unsigned int high;

	__asm__ volatile("xgetbv" : "=a"(features), "=d"(high) : "c"(0));
	/* Not any value can be in these: MPX, and keys of memory (test_key). */
	features &= ~(1U << 3 | 1U << 4 | 1U << 9);
	/* AMX needs leave that nobody has asked for. */
	features &= ~(1U << 17 | 1U << 18);
}

/*
 * Loads all registers from @before, makes the call and stores them to @after,
 * with nothing in between. The area is then compared component by component.
 */
static long call_with_registers(struct lethe_wipe *args)
{
	long ret = SYS_ioctl;

	__asm__ volatile("movl %[mask], %%eax\n\t"
			 "xorl %%edx, %%edx\n\t"
			 "xrstor64 %[before]\n\t"
			 "movq %[number], %%rax\n\t"
			 "movq %[args], %%rdx\n\t"
			 "syscall\n\t"
			 "movq %%rax, %[number]\n\t"
			 "movl %[mask], %%eax\n\t"
			 "xorl %%edx, %%edx\n\t"
			 "xsave64 %[after]\n\t"
			 : [number] "+r"(ret), [after] "+m"(after)
			 : [before] "m"(before), [args] "r"(args), [mask] "r"(features),
			   "D"((long)door), "S"(LETHE_IOC_WIPE)
			 : "rax", "rcx", "rdx", "r11", "memory", "cc");
	return ret;
}

/* What this thread's own registers are, to come back to. */
static unsigned char own[AREA] __attribute__((aligned(64)));

static void keep_own(void)
{
	__asm__ volatile("xsave64 %0" : "+m"(own) : "a"(features), "d"(0) : "memory");
}

static void back_to_own(void)
{
	__asm__ volatile("xrstor64 %0" : : "m"(own), "a"(features), "d"(0) : "memory");
}

/* Random bytes in a random choice of components; the others are initial. */
static void fill(void)
{
	uint64_t present;

	memset(before, 0, sizeof(before));
	if (getrandom(&present, sizeof(present), 0) != sizeof(present) ||
	    getrandom(before + 32, 416 - 32, 0) != 416 - 32)
		tap_bail("getrandom: %s", strerror(errno));
	for (unsigned int i = 2; i < 32; i++) {
		unsigned int size, offset, c, d;

		if (!(features >> i & 1))
			continue;
		__cpuid_count(0xd, i, size, offset, c, d);
		if (getrandom(before + offset, size, 0) != (ssize_t)size)
			tap_bail("getrandom: %s", strerror(errno));
	}
	/* Another precision and rounding than the default: they too are kept. */
	before[0] = 0x7f;
	before[1] = 0x0e;
	before[24] = 0x80;
	before[25] = 0x7f;
	present &= features;
	memcpy(before + HEADER, &present, sizeof(present));
	/* Only the lowest 10 bytes of each are a register. */
	for (unsigned int i = 0; i < 8; i++)
		memset(before + 32 + 16 * i + 10, 0, 6);
}

static bool part_same(unsigned int component, size_t offset, size_t size)
{
	if (before[HEADER + component / 8] >> component % 8 & 1)
		return !memcmp(before + offset, after + offset, size);
	/* Initial: left out by the processor, or zeros. */
	return !(after[HEADER + component / 8] >> component % 8 & 1) ||
	       all_are(after + offset, 0, size);
}

static bool same(void)
{
	bool good = part_same(1, 160, 256) && !memcmp(before + 24, after + 24, 4);

	for (unsigned int i = 0; i < 8; i++)
		good &= part_same(0, 32 + 16 * i, 10);
	if (before[HEADER] & 1)
		good &= !memcmp(before, after, 2);
	for (unsigned int i = 2; i < 32; i++) {
		unsigned int size, offset, c, d;

		if (!(features >> i & 1))
			continue;
		__cpuid_count(0xd, i, size, offset, c, d);
		good &= part_same(i, offset, size);
	}
	return good;
}

static size_t rounds_kept(int rounds, uint32_t flags, void *start, size_t length)
{
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = flags,
		.start = (uintptr_t)start,
		.length = length,
	};
	size_t kept = 0;

	for (int i = 0; i < rounds; i++) {
		long ret;

		fill();
		memset(after, 0, sizeof(after));
		keep_own();
		ret = call_with_registers(&args);
		back_to_own();
		kept += !ret && same();
	}
	return kept;
}

static void test_takes(void)
{
	unsigned char byte = 1;
	uint64_t wiped;

	tap_ok(wipe(LETHE_WIPE_REGISTERS, 0, 0, 0, &wiped) == 0 && wiped == 0,
	       "the caller's registers are taken without a range, and count no bytes");
	tap_ok(wipe(LETHE_WIPE_REGISTERS, syscall(SYS_gettid), 0, 0, &wiped) == 0,
	       "so are they by its own tid");
	tap_ok(wipe(LETHE_WIPE_REGISTERS, 1, 0, 0, &wiped) == -ESRCH,
	       "another task's are ESRCH");
	tap_ok(wipe(LETHE_WIPE_REGISTERS, 0, (uintptr_t)&byte, 1, &wiped) == -EINVAL &&
		       wipe(LETHE_WIPE_REGISTERS, 0, 0, 1, &wiped) == -EINVAL &&
		       byte == 1,
	       "a range without LETHE_WIPE_RANGE is EINVAL, and not wiped");
	tap_ok(wipe(LETHE_WIPE_REGISTERS | LETHE_WIPE_RANGE, 0, (uintptr_t)&byte, 1,
		    &wiped) == 0 &&
		       wiped == 1 && byte == 0,
	       "with a range, that is wiped and counted too");
	tap_ok(wipe(LETHE_WIPE_REGISTERS | LETHE_WIPE_RANGE, 0, 0, 0, &wiped) == -EINVAL,
	       "with a range of length zero it is EINVAL");
}

static void test_kept(void)
{
	static unsigned char bytes[PAGE];
	size_t kept;

	kept = rounds_kept(ROUNDS, LETHE_WIPE_REGISTERS, NULL, 0);
	tap_ok(kept == ROUNDS,
	       "x87, vector and mask registers, MXCSR and FCW keep their values (%zu of %d)",
	       kept, ROUNDS);
	kept = rounds_kept(ROUNDS, LETHE_WIPE_REGISTERS | LETHE_WIPE_RANGE, bytes, PAGE);
	tap_ok(kept == ROUNDS, "with a range too (%zu of %d)", kept, ROUNDS);
}

static volatile bool over;

static void *compete(void *unused)
{
	while (!over)
		sched_yield();
	return unused;
}

static void ignore(int number)
{
	(void)number;
}

/* One CPU for two, and a timer: saved and loaded between and within the calls. */
static void test_switched(void)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	cpu_set_t all, one;
	unsigned char *range;
	pthread_t thread;
	size_t kept;
	int cpu = sched_getcpu();

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (pthread_create(&thread, NULL, compete, NULL))
		tap_bail("pthread_create failed");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	kept = rounds_kept(ROUNDS, LETHE_WIPE_REGISTERS, NULL, 0);
	tap_ok(kept == ROUNDS,
	       "and beside another thread on its CPU, with signals every millisecond (%zu of %d)",
	       kept, ROUNDS);
	/* So long that it is switched away from in the middle of the call. */
	range = must_map_plain(LONG);
	memset(range, 1, LONG);
	kept = rounds_kept(LONG_ROUNDS, LETHE_WIPE_REGISTERS | LETHE_WIPE_RANGE, range,
			   LONG);
	munmap(range, LONG);
	setitimer(ITIMER_REAL, &never, NULL);
	over = true;
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(all), &all);
	tap_ok(kept == LONG_ROUNDS, "and where another runs within the call (%zu of %d)",
	       kept, LONG_ROUNDS);
}

static void test_segments(void)
{
	static __thread int local = 7;
	unsigned long gs = 0x12345678000, got = 0;
	uint64_t wiped;
	int err;

	syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
	err = wipe(LETHE_WIPE_REGISTERS, 0, 0, 0, &wiped);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &got);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0UL);
	tap_ok(!err && got == gs && local == 7, "FS and GS keep their bases");
}

static void test_key(void)
{
	int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	uint64_t wiped;
	int err;

	if (key < 0) {
		tap_skip("protection keys", "PKRU keeps its value");
		return;
	}
	err = wipe(LETHE_WIPE_REGISTERS, 0, 0, 0, &wiped);
	tap_ok(!err && pkey_get(key) == PKEY_DISABLE_WRITE, "PKRU keeps its value");
	pkey_free(key);
}

int main(void)
{
	uint64_t wiped;

	door_open();
	if (!(must_query().features & LETHE_FEATURE_WIPE_REGISTERS)) {
		tap_plan(1);
		tap_ok(wipe(LETHE_WIPE_REGISTERS, 0, 0, 0, &wiped) == -EOPNOTSUPP,
		       "where it cannot be done, the call says so");
		return tap_end();
	}
	if (!have_xsave())
		tap_skip_all("XSAVE");
	look();
	tap_plan(12);
	test_takes();
	test_kept();
	test_switched();
	test_segments();
	test_key();
	return tap_end();
}
