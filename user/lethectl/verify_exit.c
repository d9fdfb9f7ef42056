// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How a process of the program's ends, thread by thread; so that its memory is searched
 * once all of them stand at their end, and before it is gone.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verify.h"

void remember_place(struct process *process)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)process->pid);
	n = readlink(path, process->cwd, sizeof(process->cwd) - 1);
	process->cwd[n > 0 ? n : 0] = '\0';
}

/*
 * Does it end its whole process? The others are then killed by it, and of those some are
 * gone without this event: who was just stopped by a signal, to be given it.
 */
static bool ends_all(const struct tracee *tracee)
{
	struct user_regs_struct registers;
	unsigned long status = 0;

	if (!ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &status) && WTERMSIG(status))
		return true;
	return !ptrace(PTRACE_GETREGS, tracee->tid, NULL, &registers) &&
	       registers.orig_rax == SYS_exit_group;
}

/* Nobody of @tracee's process runs any more; it still has its memory. */
static void search_last(struct verify *verify, struct tracee *tracee)
{
	struct process *process = tracee->process;
	size_t ends;

	if (process == verify->root && !process->executed)
		return;
	if (!process->dumps)
		remember_place(process);
	/* Its parent's, as after vfork(2), is searched when that one ends. */
	if (process->marks && process->marks->users > 1) {
		process->exit_searched = true;
		return;
	}
	/* A library that came by a way that was not seen ended sections that were not. */
	if (process->marks) {
		ends = process->marks->ends;
		marks_look(verify, tracee, false);
		verify->unseen_marks += process->marks->ends - ends;
	}
	search(verify, tracee, WHY_EXIT);
}

/* The last of its others is about to exit, or is gone: the one that was kept for it. */
static void release(struct verify *verify, struct process *process)
{
	struct tracee *kept = process->kept;

	process->kept = NULL;
	search_last(verify, kept);
	/* Else it was killed meanwhile, and that is in the queue. */
	if (!kept->queued)
		tracee_go_on(kept, 0);
}

/*
 * It is about to exit. The last that has this memory is when that is searched: who ends
 * all others is kept until they are gone, and then is the last. Is it to go on?
 */
bool exit_begins(struct verify *verify, struct tracee *tracee)
{
	struct process *process = tracee->process;

	tracee_begins_exit(tracee);
	if (process->live) {
		if (process->kept || !ends_all(tracee))
			return true;
		process->kept = tracee;
		return false;
	}
	if (process->kept)
		release(verify, process);
	else
		search_last(verify, tracee);
	return !tracee->queued;
}

void exit_ends(struct verify *verify, struct tracee *tracee)
{
	struct process *process = tracee->process;
	int status = tracee->status;
	pid_t tid = tracee->tid;

	if (process && process->kept == tracee)
		process->kept = NULL;
	tracee_gone(verify, tracee);
	if (!process)
		return;
	if (!process->live && process->kept)
		release(verify, process);
	/* The first thread's end is told last, and is the process's. */
	if (tid == process->pid)
		process->status = status;
	if (process->threads)
		return;
	process->ended = true;
	process->to = verify_seconds(verify);
	if (!process->exit_searched && (process->executed || process != verify->root))
		verify->unsearched_exits++;
	marks_free(process->marks);
	process->marks = NULL;
	if (WIFSIGNALED(process->status))
		core_search(verify, process);
}
