// SPDX-License-Identifier: MIT
/*
 * What a section asks the kernel for, call by call: a child runs one, and its parent
 * has every system call of it from ptrace(2). On whichever backend is in use; with the
 * module, the one call to it is LETHE_IOC_WIPE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define CALLS_MAX 64

/* What begins and ends what is counted: an error, and made by nobody else. */
#define MARK 0x1e7be

struct calls {
	unsigned int nr, signal_stacks, wipes, others;
	long other;
	uint32_t flags;
};

static bool has_module(uint64_t features)
{
	struct lethe_query query = { .size = sizeof(query) };
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	bool has;

	if (device < 0)
		return false;
	has = !ioctl(device, LETHE_IOC_QUERY, &query) &&
	      (query.features & features) == features;
	close(device);
	return has;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void run(int (*what)(unsigned int), unsigned int flags)
{
	/* What is asked once in a process, or a thread, is asked before. */
	what(flags);
	what(flags);
	syscall(MARK);
	what(flags);
	syscall(MARK);
}

/* The child's flags, which lie where the structure does. */
static uint32_t flags_of(pid_t pid, uint64_t structure)
{
	long word = ptrace(PTRACE_PEEKDATA, pid, structure, 0);

	return (uint64_t)word >> 32;
}

static void count(struct calls *calls, pid_t pid, const struct user_regs_struct *regs)
{
	calls->nr++;
	if (regs->orig_rax == SYS_sigaltstack) {
		calls->signal_stacks++;
	} else if (regs->orig_rax == SYS_ioctl && (uint32_t)regs->rsi == LETHE_IOC_WIPE) {
		calls->wipes++;
		calls->flags = flags_of(pid, regs->rdx);
	} else {
		calls->others++;
		calls->other = (long)regs->orig_rax;
	}
}

/* Each stop is the beginning or the end of a call. */
static struct calls trace(pid_t pid)
{
	struct calls calls = { 0 };
	struct user_regs_struct regs;
	unsigned int marks = 0;
	bool entry = true;
	int status;

	while (ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0 &&
	       waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (entry && !ptrace(PTRACE_GETREGS, pid, 0, &regs)) {
			if (regs.orig_rax == MARK)
				marks++;
			else if (marks == 1)
				count(&calls, pid, &regs);
		}
		entry = !entry;
	}
	if (marks != 2)
		tap_bail("the child made %u marks of 2", marks);
	return calls;
}

static struct calls calls_of(int (*what)(unsigned int), unsigned int flags)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		tap_bail("no child: %s", strerror(errno));
	if (!pid) {
		child_begins();
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		run(what, flags);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		tap_bail("no ptrace: %s", strerror(errno));
	return trace(pid);
}

static int section(unsigned int flags)
{
	struct lethe_options options = { .size = sizeof(options), .flags = flags };

	return lethe_do_with(&options, nothing, NULL, NULL);
}

static int wipe_thread(unsigned int flags)
{
	(void)flags;
	return lethe_wipe_thread();
}

static int wipe_dead(unsigned int flags)
{
	(void)flags;
	return lethe_wipe_stack(0, NULL, 0);
}

static void say(const char *what, const struct calls *calls, bool ok)
{
	tap_ok(ok,
	       "%s: %u calls, of them %u of sigaltstack, %u to the module (flags %#x), %u others (the last %ld)",
	       what, calls->nr, calls->signal_stacks, calls->wipes, calls->flags,
	       calls->others, calls->other);
}

int main(void)
{
	bool registers = has_module(LETHE_FEATURE_WIPE_REGISTERS);
	bool stacks = has_module(LETHE_FEATURE_WIPE_REGISTERS |
				 LETHE_FEATURE_WIPE_STACKS);
	struct calls calls;

	tap_plan(6);
	calls = calls_of(section, 0);
	say("a section", &calls,
	    calls.signal_stacks == 2 && !calls.others && calls.wipes == registers &&
		    calls.flags == (registers ? LETHE_WIPE_REGISTERS : 0U));
	calls = calls_of(section, LETHE_FAST);
	if (calls.nr && calls.nr < 5)
		/* Disturbed, which under ptrace it may be. */
		calls = calls_of(section, LETHE_FAST);
	say("one with LETHE_FAST", &calls, !calls.nr);
	calls = calls_of(section, LETHE_BLOCK_SIGNALS);
	say("one with LETHE_BLOCK_SIGNALS", &calls,
	    calls.signal_stacks == 2 && calls.others == 2 &&
		    calls.other == SYS_rt_sigprocmask && calls.wipes == registers);
	calls = calls_of(section, LETHE_WIPE_BELOW);
	say("one with LETHE_WIPE_BELOW", &calls,
	    stacks ? calls.wipes == 1 && calls.flags == (LETHE_WIPE_REGISTERS |
							 LETHE_WIPE_DEAD_STACK) :
		     calls.wipes == registers && calls.nr > 4);
	calls = calls_of(wipe_thread, 0);
	say("lethe_wipe_thread()", &calls,
	    stacks ? calls.wipes == 1 && calls.flags == (LETHE_WIPE_REGISTERS |
							 LETHE_WIPE_DEAD_STACK) :
		     calls.wipes == registers);
	calls = calls_of(wipe_dead, 0);
	say("lethe_wipe_stack()", &calls,
	    stacks ? calls.wipes == 1 && calls.flags == LETHE_WIPE_DEAD_STACK :
		     !calls.wipes && calls.nr <= 64);
	return tap_end();
}
