// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A process that dies in a section by a signal with a core dump. Secret pages are in no
 * core, but the registers of every thread are: here those of the one that gets the signal
 * are zeroed before it dies of it, but for where it was. Nobody misses them: to tell what
 * they are would take the stack, which is not in the core either.
 *
 * Only where nobody handles that signal: a handler of the program's, installed before or
 * after, is never replaced. Outside of sections the process dies as it would have, and so
 * does, with its registers, the first process of a pid namespace, whom the signal that it
 * sends to itself would not kill. What other threads have in registers stays.
 */
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "internal.h"
#include "tools.h"

/* Those that dump core. */
static const int fatal_signals[] = { SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
				     SIGFPE,  SIGSEGV, SIGSYS,  SIGXCPU, SIGXFSZ };

/* Of the saved state, as XSAVE lays it out: where data is, and what says of what. */
#define STATE_X87 ((size_t)32)
#define STATE_LEGACY_END ((size_t)416)
#define STATE_LEGACY_SIZE ((size_t)512)
#define STATE_SOFTWARE (STATE_LEGACY_SIZE - sizeof(struct _fpx_sw_bytes))
#define STATE_EXTENDED ((size_t)576)

/* In place: what is here is loaded when the handler returns, and may itself be dumped. */
static void clear_state(char *state)
{
	const struct _fpx_sw_bytes *software = (const void *)(state + STATE_SOFTWARE);

	wipe_memory(state + STATE_X87, STATE_LEGACY_END - STATE_X87);
	if (software->magic1 == FP_XSTATE_MAGIC1 &&
	    software->xstate_size > STATE_EXTENDED)
		wipe_memory(state + STATE_EXTENDED,
			    software->xstate_size - STATE_EXTENDED);
}

static void clear_registers(ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;

	/* In this order the kernel has them, which the signal's frame is made by. */
	_Static_assert(REG_R8 == 0 && REG_RCX == 14 && REG_RSP == 15 && REG_RIP == 16,
		       "all before rsp");
	wipe_memory(registers, REG_RSP * sizeof(*registers));
	if (context->uc_mcontext.fpregs)
		clear_state((char *)context->uc_mcontext.fpregs);
}

/* Does it come again as soon as a handler returns? */
static bool is_fault(int number, const siginfo_t *info)
{
	switch (number) {
	case SIGSEGV:
	case SIGFPE:
	case SIGILL:
		return info->si_code > 0;
	case SIGBUS:
		return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
	default:
		return false;
	}
}

/*
 * What others have called by their own handler (a sanitizer), not only the kernel: so it
 * keeps the registers that a function keeps, on the stack that it is on. That is secret,
 * but under LETHE_FAST, where it is the program's.
 */
static void handler(int number, siginfo_t *info, void *context)
{
	bool clear = lethe_thread.depth && getpid() != 1;

	if (number == SIGSEGV)
		overflow_explain(info);
	signal(number, SIG_DFL);
	if (!clear && is_fault(number, info))
		return;
	if (clear)
		clear_registers(context);
	/* It waits until this returns, and is taken before the code goes on. */
	if (raise(number) && clear)
		_exit(128 + number);
}

static bool is_unhandled(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
	       now.sa_handler == SIG_DFL;
}

void fatal_handle(void)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
		/* There an overflow is explained, and that is all. */
		if (tools_run_handlers() && fatal_signals[i] != SIGSEGV)
			continue;
		if (is_unhandled(fatal_signals[i]))
			sigaction(fatal_signals[i], &action, NULL);
	}
}

void fatal_forget(int number)
{
	struct sigaction now;

	if (!sigaction(number, NULL, &now) && now.sa_flags & SA_SIGINFO &&
	    now.sa_sigaction == handler)
		signal(number, SIG_DFL);
}
