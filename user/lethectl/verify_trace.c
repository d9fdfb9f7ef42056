// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What is heard of the program's threads, and what is done about it: it is searched where
 * a section ended and where it ends itself, and all else is as it would be without us.
 * Signals reach it as they were sent; one that is stopped stays so; what it forks is
 * traced as it is. One thread, as only the tracer may do any of this.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethectl.h"
#include "verify.h"

double verify_seconds(const struct verify *verify)
{
	return (double)(now_ns() - verify->began) / 1e9;
}

void tracee_go_on(struct tracee *tracee, int signal)
{
	tracee->stopped = false;
	/* One that is gone is heard of by waitpid(2). */
	ptrace(PTRACE_CONT, tracee->tid, NULL, (void *)(long)signal);
}

void trace_hear(struct verify *verify, pid_t tid, int status)
{
	struct tracee *tracee = tracee_find(verify, tid);

	if (!tracee) {
		/* Of one that was replaced by an execve(2) of another thread. */
		if (!WIFSTOPPED(status))
			return;
		tracee = tracee_new(verify, tid);
	}
	/* What it stopped for before is void: something has killed it since. */
	tracee->status = status;
	tracee->stopped = WIFSTOPPED(status);
	if (!tracee->stopped)
		tracee_begins_exit(tracee);
	tracee->served = false;
	tracee_queue(verify, tracee);
}

/* Have two of them one memory? */
static bool same_memory(pid_t a, pid_t b)
{
	return !syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
}

/* Whose thread is it that is new? @parent has told of it; NULL: it came first. */
static void adopt(struct verify *verify, struct tracee *tracee, struct tracee *parent)
{
	pid_t pid = (pid_t)status_number(tracee->tid, "Tgid", 10);
	struct process *process, *from = parent ? parent->process : NULL;

	if (pid <= 0)
		pid = tracee->tid;
	process = process_find(verify, pid);
	if (!process) {
		if (!from)
			from = process_find(
				verify, (pid_t)status_number(tracee->tid, "PPid", 10));
		process = process_new(verify, pid, from ? from->pid : 0);
		process_name(process);
		if (from && same_memory(from->pid, pid))
			process->marks = marks_share(from->marks);
		else if (from)
			process->marks = marks_copy(from->marks);
		else
			process->marks = marks_new();
	}
	tracee_of(tracee, process);
}

static void made(struct verify *verify, struct tracee *parent, bool waits)
{
	struct tracee *tracee;
	unsigned long tid;

	if (ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &tid) < 0)
		return;
	tracee = tracee_find(verify, (pid_t)tid);
	parent->awaits = waits;
	if (tracee && tracee->process) {
		if (tracee->process != parent->process)
			tracee->process->parent = parent->process->pid;
		return;
	}
	/* It was heard of, and has ended, before this was heard. */
	if (!tracee && status_number((pid_t)tid, "TracerPid", 10) != getpid())
		return;
	if (!tracee)
		tracee = tracee_new(verify, (pid_t)tid);
	adopt(verify, tracee, parent);
}

/* All other threads are gone, and this one is the first, whichever it was. */
static void executed(struct verify *verify, struct tracee *tracee)
{
	struct process *process = tracee->process;
	struct tracee *other, *next;
	struct stat st;
	char path[64];

	for (other = tracee_each(verify, NULL); other; other = next) {
		next = tracee_each(verify, other);
		if (other != tracee && other->process == process)
			tracee_gone(verify, other);
	}
	if (tracee->exiting)
		process->live++;
	tracee->exiting = tracee->awaits = false;
	verify->execs += process->executed || process != verify->root;
	process->executed = true;
	process_name(process);
	marks_free(process->marks);
	process->marks = marks_new();
	marks_look(verify, tracee, true);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)process->pid);
	if (!stat(path, &st) && st.st_mode & S_ISUID &&
	    (long long)st.st_uid != status_number(process->pid, "Uid", 10) && geteuid())
		record_note(
			verify,
			"%s is set-user-ID, and ran without that: the kernel grants no privileges to what is traced. Run verify as root, or as its owner",
			process->name);
}

static void signalled(struct verify *verify, struct tracee *tracee, int signal)
{
	const struct mark *mark = signal == SIGTRAP ? marks_hit(tracee) : NULL;

	if (mark && (mark->kind == MARK_END || mark->kind == MARK_AT)) {
		if (!tracee->served)
			search_at(verify, tracee, mark);
		tracee->served = false;
		signal = 0;
	} else if (mark) {
		marks_pass(verify, tracee, mark);
		signal = 0;
	} else if (core_dumps(tracee->tid, signal)) {
		tracee->process->dumps = signal;
		remember_place(tracee->process);
		search(verify, tracee, WHY_CORE);
	}
	/* Meanwhile it may have been killed: that is in the queue. */
	if (!tracee->queued)
		tracee_go_on(tracee, signal);
}

static void handle(struct verify *verify, struct tracee *tracee)
{
	int status = tracee->status, signal = WSTOPSIG(status);
	bool new = !tracee->process;

	if (!WIFSTOPPED(status)) {
		exit_ends(verify, tracee);
		return;
	}
	if (new)
		adopt(verify, tracee, NULL);
	switch (status >> 16) {
	case 0:
		signalled(verify, tracee, signal);
		return;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		made(verify, tracee, status >> 16 == PTRACE_EVENT_VFORK);
		break;
	case PTRACE_EVENT_VFORK_DONE:
		tracee->awaits = false;
		break;
	case PTRACE_EVENT_EXEC:
		executed(verify, tracee);
		break;
	case PTRACE_EVENT_EXIT:
		if (!exit_begins(verify, tracee))
			return;
		break;
	case PTRACE_EVENT_STOP:
		/* Stopped by SIGSTOP or its like: it stays so until SIGCONT. */
		if (signal != SIGTRAP) {
			tracee->stopped = false;
			ptrace(PTRACE_LISTEN, tracee->tid, NULL, NULL);
			return;
		}
		if (tracee->tid == tracee->process->pid && !tracee->process->executed &&
		    tracee->process != verify->root)
			marks_look(verify, tracee, false);
		break;
	default:
		break;
	}
	tracee_go_on(tracee, 0);
}

/* What a terminal sends to us it sends to the program, too; what somebody sends is handed on. */
static void hand_on(struct verify *verify, const struct signalfd_siginfo *info)
{
	bool ours = info->ssi_code <= 0;

	if (info->ssi_signo == SIGCHLD)
		return;
	if (!ours || verify->root->ended)
		return;
	/* Asked twice: what does not heed it is ended. */
	kill(verify->root->pid, verify->ending ? SIGKILL : (int)info->ssi_signo);
	verify->ending = true;
}

static void signals(struct verify *verify)
{
	struct signalfd_siginfo info;

	while (read(verify->signals, &info, sizeof(info)) == sizeof(info))
		hand_on(verify, &info);
}

/*
 * The program has ended, and something that it made has not: it is searched as it is, and
 * let go on, with nothing of ours left in it.
 */
static void let_go(struct verify *verify)
{
	struct tracee *tracee, *thread;
	struct process *process;

	for (process = verify->processes; process; process = process->next) {
		if (process->ended)
			continue;
		tracee = NULL;
		for (thread = tracee_each(verify, NULL); thread;
		     thread = tracee_each(verify, thread))
			if (thread->process == process && !thread->exiting &&
			    !thread->awaits)
				tracee = thread;
		if (!tracee)
			continue;
		if (!tracee->stopped)
			ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
		process->let_go = true;
	}
}

/* One of those that are let go has stopped. */
static void part(struct verify *verify, struct tracee *tracee)
{
	struct process *process = tracee->process;
	struct tracee *thread, *next;
	int signal = WSTOPSIG(tracee->status);

	verify->let_go++;
	search(verify, tracee, WHY_LEFT);
	marks_remove(tracee);
	for (thread = tracee_each(verify, NULL); thread; thread = next) {
		next = tracee_each(verify, thread);
		if (thread->process != process)
			continue;
		signal = thread->status >> 16 ? 0 : WSTOPSIG(thread->status);
		if (signal == SIGTRAP)
			signal = 0;
		if (thread->stopped)
			ptrace(PTRACE_DETACH, thread->tid, NULL, (void *)(long)signal);
		tracee_gone(verify, thread);
	}
	process->exit_searched = true;
	process->ended = true;
	process->to = verify_seconds(verify);
}

static void wait_for_more(struct verify *verify, int ms)
{
	struct pollfd fds[5] = { { .fd = verify->signals, .events = POLLIN } };
	int nr = 1 + probes_poll(verify, fds + 1);

	poll(fds, (nfds_t)nr, ms);
}

int verify_trace(struct verify *verify)
{
	unsigned long long over = 0;
	struct tracee *tracee;
	unsigned int turn = 0;
	bool parting = false;
	int status = 0;
	pid_t tid;

	for (;;) {
		while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			trace_hear(verify, tid, status);
		if (tid < 0 && errno == ECHILD && !verify->queue)
			return 0;
		if (tid < 0 && errno != ECHILD && errno != EINTR)
			return -errno;
		tracee = tracee_next(verify);
		if (!tracee || ++turn % 64 == 0) {
			signals(verify);
			probes_turn(verify);
		}
		if (tracee && tracee->process && tracee->process->let_go &&
		    WIFSTOPPED(tracee->status) &&
		    tracee->status >> 16 == PTRACE_EVENT_STOP) {
			part(verify, tracee);
			continue;
		}
		if (tracee) {
			handle(verify, tracee);
			continue;
		}
		if (verify->root->ended && !verify->nr_tracees)
			return 0;
		if (verify->root->ended && !over)
			over = now_ns() + (unsigned long long)(verify->asked.wait * 1e9);
		if (over && !parting && now_ns() >= over) {
			parting = true;
			let_go(verify);
		}
		wait_for_more(verify, over && !parting ? 20 : 500);
	}
}
