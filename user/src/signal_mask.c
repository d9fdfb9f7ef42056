// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * LETHE_BLOCK_SIGNALS: the thread's signal mask while a section is open, and after
 * it, whichever way it ends.
 */
#include <signal.h>
#include <string.h>

#include "internal.h"

static void all_signals(sigset_t *set)
{
	/*
	 * The kernel kills who causes one of the first and has it blocked; the last
	 * two are not to be blocked.
	 */
	static const int left_out[] = { SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
					SIGTRAP, SIGSYS, SIGKILL, SIGSTOP };
	size_t i;

	sigfillset(set);
	for (i = 0; i < ARRAY_SIZE(left_out); i++)
		sigdelset(set, left_out[i]);
}

void signal_mask_block(struct thread *thread)
{
	sigset_t all;

	all_signals(&all);
	thread->blocked = !pthread_sigmask(SIG_BLOCK, &all, &thread->mask);
}

/* The last: handlers run in here, and may begin a section. */
COLD void signal_mask_restore(struct thread *thread)
{
	sigset_t mask = thread->mask;

	thread->blocked = false;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* After a longjmp(). A siglongjmp() has put the mask back, and it may have changed. */
COLD void signal_mask_restore_left(struct thread *thread)
{
	sigset_t all, expected, now;

	all_signals(&all);
	sigorset(&expected, &all, &thread->mask);
	/* The kernel knows of 64. */
	if (!pthread_sigmask(SIG_BLOCK, NULL, &now) &&
	    !memcmp(&now, &expected, sizeof(uint64_t)))
		signal_mask_restore(thread);
	thread->blocked = false;
}
