// SPDX-License-Identifier: MIT
/*
 * kernel_overwrite() from outside the kernel: what it returns, and that it leaves the
 * thread as it was. That it leaves no copy is shown by tests/residue.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "internal.h"
#include "overwrite.h"
#include "registers.h"
#include "section.h"

#define X87_SSE_AVX 0x7U
#define UP_TO_AVX512 0xe7U
#define ROUNDS 50

static volatile sig_atomic_t handled;
static int result;

static void set_up(void)
{
	registers_probe();
	registers_look();
}

TestSuite(overwrite, .init = set_up);

static void handle(int number)
{
	(void)number;
	handled++;
}

static void overwrite(void *arg)
{
	(void)arg;
	result = kernel_overwrite();
}

/* From now on these calls fail, here alone. */
static void forbid(int call)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(overwrite, knows_the_registers_that_it_fills)
{
	cr_assert(overwrite_knows(3, VECTORS_SSE));
	cr_assert(overwrite_knows(X87_SSE_AVX, VECTORS_AVX));
	cr_assert(overwrite_knows(UP_TO_AVX512, VECTORS_AVX512));
	/* Protection keys hold no data; MPX's bounds are there, and never used. */
	cr_assert(overwrite_knows(UP_TO_AVX512 | 1U << 9, VECTORS_AVX512));
	cr_assert(overwrite_knows(UP_TO_AVX512 | 1U << 3 | 1U << 4, VECTORS_AVX512));
	cr_assert(overwrite_knows(X87_SSE_AVX, VECTORS_AVX512));
}

Test(overwrite, claims_no_others)
{
	/* Tiles, APX, and what is to come. */
	static const int others[] = { 8, 10, 17, 18, 19, 62 };

	cr_assert_not(overwrite_knows(X87_SSE_AVX, VECTORS_SSE));
	cr_assert_not(overwrite_knows(UP_TO_AVX512, VECTORS_AVX));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_assert_not(overwrite_knows(UP_TO_AVX512 | 1ULL << others[i],
					      VECTORS_AVX512));
}

Test(overwrite, is_not_done_without_a_switch)
{
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	cr_assert_eq(kernel_overwrite(), 0);
	getrusage(RUSAGE_THREAD, &after);
	cr_assert_gt(after.ru_nvcsw + after.ru_nivcsw,
		     before.ru_nvcsw + before.ru_nivcsw);
}

Test(overwrite, leaves_every_register_erased)
{
	static struct registers left;
	static const uint8_t zero[sizeof(left.xsave)];

	registers_after(overwrite, NULL, &left);
	cr_assert_eq(result, 0);
	for (const struct register_class *class = register_classes; class->name;
	     class ++) {
		if ((int)registers_have < class->needs)
			continue;
		for (unsigned int i = 0; i < class->count; i++)
			cr_assert_eq(
				memcmp(left.xsave + class->offset + i * class->stride,
				       zero, class->width),
				0, "%s", class->name);
	}
}

static uint64_t before_it = 0x0123456789abcdefULL;

static void attempt(void *arg)
{
	struct timespec sleep = { .tv_nsec = 1 };
	struct rusage before, after;

	(void)arg;
	registers_fill(&before_it);
	result = overwrite_attempt(&before, &after, &sleep);
}

/*
 * An instruction for registers that are not there is SIGILL. Where they are, they
 * show it: those that no shorter register is a part of are as they were.
 */
Test(overwrite, has_no_instruction_for_registers_that_there_are_not)
{
	static struct registers left;
	int vectors;

	for (vectors = registers_vectors; vectors >= VECTORS_SSE; vectors--) {
		registers_vectors = (uint8_t)vectors;
		registers_after(attempt, NULL, &left);
		cr_assert_eq(result, 0);
		for (const struct register_class *class = register_classes; class->name;
		     class ++) {
			bool there = class->needs == HAVE_SSE ||
				     (class->needs == HAVE_AVX && vectors) ||
				     vectors == VECTORS_AVX512;

			if ((int)registers_have < class->needs ||
			    !strncmp(class->name, "zmm0", 4))
				continue;
			cr_assert_eq(registers_holding(&left, class, before_it),
				     there ? 0 : class->count, "%s at %d", class->name,
				     vectors);
		}
	}
}

Test(overwrite, leaves_the_thread_as_it_was)
{
	sigset_t mask, after;
	int slack;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	prctl(PR_SET_TIMERSLACK, 12345UL);
	errno = EXDEV;
	cr_assert_eq(kernel_overwrite(), 0);
	cr_assert_eq(errno, EXDEV);
	slack = prctl(PR_GET_TIMERSLACK);
	cr_assert_eq(slack, 12345);
	sigprocmask(SIG_SETMASK, NULL, &after);
	cr_assert(sigismember(&after, SIGUSR2));
	cr_assert_not(sigismember(&after, SIGUSR1));
}

Test(overwrite, is_done_under_signals)
{
	struct itimerval every = { { 0, 500 }, { 0, 500 } };

	signal(SIGALRM, handle);
	setitimer(ITIMER_REAL, &every, NULL);
	for (int i = 0; i < ROUNDS || !handled; i++)
		cr_assert_eq(kernel_overwrite(), 0);
}

Test(overwrite, claims_nothing_where_switches_cannot_be_counted)
{
	forbid(SYS_getrusage);
	cr_assert_eq(kernel_overwrite(), -EPERM);
}

Test(overwrite, claims_nothing_where_it_cannot_sleep)
{
	sigset_t after;

	forbid(SYS_clock_nanosleep);
	cr_assert_eq(kernel_overwrite(), -EPERM);
	sigprocmask(SIG_SETMASK, NULL, &after);
	cr_assert_not(sigismember(&after, SIGUSR1));
}

Test(overwrite, claims_nothing_where_signals_cannot_be_blocked)
{
	forbid(SYS_rt_sigprocmask);
	cr_assert_eq(kernel_overwrite(), -EPERM);
}

Test(overwrite, claims_nothing_where_the_stack_stays)
{
	forbid(SYS_uname);
	cr_assert_eq(kernel_overwrite(), -EPERM);
}

Test(overwrite, needs_no_say_in_the_timer_slack)
{
	forbid(SYS_prctl);
	cr_assert_eq(kernel_overwrite(), 0);
}
