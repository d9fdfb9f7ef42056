// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A process of the program's stopped whole, so that what is searched does not move. All
 * that is heard meanwhile, of whichever process, waits in the queue and is not lost: what
 * a thread was stopped by is done about when its turn comes, and lets it go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "verify.h"

/* One in a disk's or a device's wait stops when it is back from there. */
#define PATIENCE 3000000000ULL

static bool awaited(const struct tracee *thread, const struct tracee *tracee)
{
	return thread != tracee && thread->process == tracee->process &&
	       !thread->stopped && !thread->exiting && !thread->awaits;
}

static size_t missing(struct verify *verify, const struct tracee *tracee)
{
	struct tracee *thread;
	size_t n = 0;

	for (thread = tracee_each(verify, NULL); thread;
	     thread = tracee_each(verify, thread)) {
		if (!awaited(thread, tracee))
			continue;
		n++;
		if (!thread->asked)
			ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
		thread->asked = true;
	}
	return n;
}

static void fill(struct verify *verify, const struct tracee *tracee,
		 struct stopped *stopped)
{
	struct tracee *thread;

	stopped->pid = tracee->process->pid;
	stopped->alive = tracee->tid;
	stopped->threads = calloc(tracee->process->threads + 1, sizeof(struct thread));
	if (!stopped->threads)
		return;
	for (thread = tracee_each(verify, NULL); thread;
	     thread = tracee_each(verify, thread)) {
		thread->asked = false;
		if (thread->process != tracee->process ||
		    (thread->exiting && !thread->stopped))
			continue;
		stopped->threads[stopped->nr_threads++] =
			(struct thread){ .tid = thread->tid, .stopped = thread->stopped };
		stopped->not_stopped += !thread->stopped;
	}
}

bool world_stop(struct verify *verify, struct tracee *tracee, struct stopped *stopped)
{
	const struct timespec moment = { .tv_nsec = 50000 };
	int status;
	pid_t tid;

	*stopped = (struct stopped){ .since = now_ns() };
	while (missing(verify, tracee) && now_ns() - stopped->since < PATIENCE) {
		tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid > 0)
			trace_hear(verify, tid, status);
		else
			nanosleep(&moment, NULL);
		/* A signal that kills wakes it: it is heard of once more. */
		if (tracee->queued)
			return false;
	}
	fill(verify, tracee, stopped);
	return stopped->threads;
}
