// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The kernel's copies of the caller's registers, written over from user space, for
 * where there is no module to erase them.
 *
 * A register that is zeroed counts as never used, and the processor leaves it out
 * when the kernel saves them all: what was saved before stays in the kernel's memory.
 * So fill each with what is no secret, sleep until that is saved, and erase it.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"
#include "overwrite.h"
#include "section.h"

/* Linux 5.16's; older headers have not got it. */
#ifndef ARCH_GET_XCOMP_PERM
#define ARCH_GET_XCOMP_PERM 0x1022
#endif

/* Components of the processor's state, by their bits in XCR0. */
#define X87_AND_SSE (1U << 0 | 1U << 1)
#define AVX (1U << 2)
#define AVX512 (1U << 5 | 1U << 6 | 1U << 7)
/* Rights to pages: no register that data passes through. */
#define PROTECTION_KEYS (1U << 9)
/* MPX's bounds: saved, but since Linux 5.6 nothing switches them on. */
#define BOUNDS (1U << 3 | 1U << 4)
#define TILE_CONFIG (1U << 17)
#define TILE_DATA (1U << 18)

/*
 * Where the timer fires before the thread is off the processor, nothing was saved:
 * 10 us is enough for 4 of 5 attempts here, 20 us for 999 of 1000. Then twice as
 * much each time; a second is enough for a switch anywhere.
 */
#define FIRST_SLEEP_NS 20000
#define LONGEST_SLEEP_NS 1000000000

/*
 * A handler's return leaves the general registers on the kernel's stack, some 500
 * bytes deep; and the kernel moves its stack by up to 1 KiB at each system call, at
 * random. uname() writes 390 bytes there. 8 of them left what one signal in 17 had
 * put there, 16 one in 107, 24 one in 1000, 32 one in 4000: so these leave next to
 * none, and no number of them is a proof.
 */
#define STACK_CALLS 96

bool overwrite_knows(uint64_t components, int vectors)
{
	uint64_t known = X87_AND_SSE | PROTECTION_KEYS | BOUNDS;

	if (vectors >= VECTORS_AVX)
		known |= AVX;
	if (vectors >= VECTORS_AVX512)
		known |= AVX512;
	return !(components & ~known);
}

/* What the system saves for this process. */
static uint64_t components(void)
{
	unsigned int a, b, c = 0, d, low, high;
	uint64_t enabled, permitted;

	__get_cpuid(1, &a, &b, &c, &d);
	if (!(c & bit_OSXSAVE))
		return X87_AND_SSE;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	enabled = (uint64_t)high << 32 | low;
	/* A process has no tiles unless it asked for them, and no use of their shape. */
	if (enabled & TILE_DATA &&
	    !syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) &&
	    !(permitted & TILE_DATA))
		enabled &= ~(uint64_t)(TILE_DATA | TILE_CONFIG);
	return enabled;
}

static bool has_switched(const struct rusage *before, const struct rusage *after)
{
	return before->ru_nvcsw != after->ru_nvcsw ||
	       before->ru_nivcsw != after->ru_nivcsw;
}

static int overwrite(void)
{
	struct timespec sleep = { 0 };
	struct rusage before, after;
	int err;

	for (long ns = FIRST_SLEEP_NS; ns < LONGEST_SLEEP_NS; ns *= 2) {
		sleep.tv_nsec = ns;
		err = overwrite_attempt(&before, &after, &sleep);
		if (err)
			return err;
		if (has_switched(&before, &after))
			return 0;
	}
	return -EAGAIN;
}

static int overwrite_stack(void)
{
	struct utsname name;

	for (int i = 0; i < STACK_CALLS; i++)
		if (syscall(SYS_uname, &name))
			return -errno;
	return 0;
}

/*
 * The kernel lets a sleep take 50 us longer, to save interrupts. If it does not let
 * us have it otherwise, this one does too.
 */
static int overwrite_promptly(void)
{
	int slack = prctl(PR_GET_TIMERSLACK);
	int err;

	if (slack > 0)
		prctl(PR_SET_TIMERSLACK, 1UL);
	err = overwrite();
	if (slack > 0)
		prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
	return err;
}

int kernel_overwrite(void)
{
	uint64_t all = ~0ULL, mask;
	int saved_errno = errno;
	int err;

	if (!overwrite_knows(components(), registers_vectors)) {
		errno = saved_errno;
		return -EOPNOTSUPP;
	}
	/*
	 * A handler that runs in between has registers of its own, and a switch while
	 * it runs would be taken for one of ours. All of them, libc's own too.
	 */
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof(mask))) {
		err = -errno;
	} else {
		err = overwrite_promptly() ?: overwrite_stack();
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	}
	errno = saved_errno;
	return err;
}
