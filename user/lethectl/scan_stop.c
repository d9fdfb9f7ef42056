// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A process, stopped: every thread of it, also those that are made meanwhile; and let go
 * as it was. PTRACE_SEIZE, not ATTACH, so that no SIGSTOP is left behind, and never
 * PTRACE_O_EXITKILL: should this program die, of SIGKILL too, the kernel lets all run on.
 * Writes nothing to it.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scan.h"

/* One that waits for a child of vfork(2), or for a disk, stops when it is back. */
#define PATIENCE 3000000000ULL
#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD, of <linux/sched.h> in the kernel */

unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * 1000000000ULL +
	       (unsigned long long)now.tv_nsec;
}

static long read_number(const char *path, const char *key)
{
	size_t length = strlen(key);
	char line[256];
	long value = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, length)) {
			value = strtol(line + length, NULL, 10);
			break;
		}
	}
	fclose(file);
	return value;
}

/* Its state, of /proc/pid/stat; 0 if there is none. */
static char state_of(pid_t pid, pid_t tid, unsigned int *flags)
{
	char path[64], line[512], *after = NULL, state = 0;
	FILE *stat;

	*flags = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	stat = fopen(path, "re");
	if (!stat)
		return 0;
	/* What is before the last bracket is a name, and may be anything. */
	if (fgets(line, sizeof(line), stat))
		after = strrchr(line, ')');
	if (!after || sscanf(after + 1, " %c %*d %*d %*d %*d %*d %u", &state, flags) != 2)
		state = '?';
	fclose(stat);
	return state;
}

/* A sentence on why @pid cannot be stopped, and what would help. */
static void explain(pid_t pid, int err, char *why, size_t room)
{
	long tracer, scope = read_number("/proc/sys/kernel/yama/ptrace_scope", "");
	unsigned int flags;
	char path[64], state = state_of(pid, pid, &flags);

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	tracer = read_number(path, "TracerPid:");
	if (!state || state == 'X')
		snprintf(why, room, "there is no process %d, or it has ended", (int)pid);
	else if (flags & KERNEL_THREAD)
		snprintf(why, room,
			 "process %d is a thread of the kernel: it has no memory",
			 (int)pid);
	else if (state == 'Z')
		snprintf(
			why, room,
			"process %d has ended, and only waits for its parent: it has no memory any more",
			(int)pid);
	else if (err == -EPERM && tracer > 0)
		snprintf(
			why, room,
			"process %d is traced by process %ld, and only one can: end that one first",
			(int)pid, tracer);
	else if (err == -EPERM)
		snprintf(why, room,
			 "not allowed to stop process %d: run as root (sudo)%s", (int)pid,
			 scope > 0 ? ", or set /proc/sys/kernel/yama/ptrace_scope to 0" :
				     ", or as the process's owner");
	else
		snprintf(why, room, "cannot stop process %d: %s", (int)pid,
			 strerror(-err));
}

static int by_tid(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static struct thread *find(const struct stopped *stopped, size_t among, pid_t tid)
{
	const struct thread key = { .tid = tid };

	return among ? bsearch(&key, stopped->threads, among, sizeof(key), by_tid) : NULL;
}

static int seize(struct stopped *stopped, pid_t tid)
{
	struct thread *more;
	unsigned int flags;
	char state;
	int err;

	if (stopped->nr_threads == stopped->room) {
		stopped->room = stopped->room ? 2 * stopped->room : 64;
		more = reallocarray(stopped->threads, stopped->room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		stopped->threads = more;
	}
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		err = -errno;
		/* To the kernel, attaching to what has ended is not allowed. */
		state = state_of(stopped->pid, tid, &flags);
		return err == -EPERM && (!state || state == 'Z' || state == 'X') ?
			       -ESRCH :
			       err;
	}
	stopped->threads[stopped->nr_threads++] = (struct thread){ .tid = tid };
	/* If it ended since, that is heard of. */
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return 0;
}

/* What is heard of one: it stopped, if only for a signal; or is no more. */
static void hear(struct stopped *stopped, pid_t tid, int status)
{
	struct thread *thread = find(stopped, stopped->nr_threads, tid);

	if (!thread)
		return;
	if (!WIFSTOPPED(status)) {
		thread->gone = true;
		return;
	}
	thread->stopped = true;
	if (!(status >> 16))
		thread->signal = WSTOPSIG(status);
}

/* Does one of them only wait for a processor, as where others keep all of them busy? */
static bool may_come(const struct stopped *stopped)
{
	unsigned int flags;
	size_t i;

	for (i = 0; i < stopped->nr_threads; i++) {
		const struct thread *thread = &stopped->threads[i];

		if (!thread->stopped && !thread->gone &&
		    state_of(stopped->pid, thread->tid, &flags) == 'R')
			return true;
	}
	return false;
}

/* Those that are awaited. Some are asked again: who executes a program forgets it. */
static size_t missing(struct stopped *stopped, bool ask)
{
	unsigned int flags;
	size_t i, n = 0;

	for (i = 0; i < stopped->nr_threads; i++) {
		struct thread *thread = &stopped->threads[i];

		if (thread->stopped || thread->gone)
			continue;
		n++;
		if (!ask)
			continue;
		/* Of one that was replaced, too, nobody hears. */
		if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) < 0 &&
		    errno == ESRCH && !state_of(stopped->pid, thread->tid, &flags))
			thread->gone = true;
	}
	return n;
}

/* What was heard while PTRACE_SEIZE had to wait; a signal handler puts it there. */
static struct {
	pid_t tid;
	int status;
} early[4096];
static volatile sig_atomic_t nr_early;

/*
 * Who executes a program waits until its other threads are gone, of which those that are
 * traced are gone when their tracer has heard so; and meanwhile holds up PTRACE_SEIZE.
 * So the dead are buried while that waits.
 */
static void bury(int signal)
{
	const int most = sizeof(early) / sizeof(early[0]);
	int err = errno, status;
	pid_t tid;

	(void)signal;
	while (nr_early < most && (tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		early[nr_early].tid = tid;
		early[nr_early].status = status;
		nr_early++;
	}
	errno = err;
}

static void bury_now_and_then(bool begin)
{
	const struct sigaction action = { .sa_handler = bury, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 50000 }, { 0, 50000 } }, never = { 0 };
	static struct sigaction was;

	if (begin) {
		sigaction(SIGALRM, &action, &was);
		setitimer(ITIMER_REAL, &often, NULL);
	} else {
		setitimer(ITIMER_REAL, &never, NULL);
		sigaction(SIGALRM, &was, NULL);
	}
}

/* Until each has stopped, or is no more, or does not come. */
static int await(struct stopped *stopped)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	const unsigned long long begun = now_ns();
	unsigned long long waited;
	unsigned int turn = 0;
	size_t i, kept = 0;
	int status;
	pid_t tid;

	for (; nr_early; nr_early--)
		hear(stopped, early[nr_early - 1].tid, early[nr_early - 1].status);
	for (;;) {
		while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			hear(stopped, tid, status);
		if (tid < 0 && errno != ECHILD && errno != EINTR)
			return -errno;
		waited = now_ns() - begun;
		if (!missing(stopped, ++turn % 64 == 0) || waited > 10 * PATIENCE ||
		    (waited > PATIENCE && !may_come(stopped)))
			break;
		nanosleep(&moment, NULL);
	}
	for (i = 0; i < stopped->nr_threads; i++) {
		const struct thread *thread = &stopped->threads[i];
		unsigned int flags;

		if (!thread->gone &&
		    (thread->stopped || state_of(stopped->pid, thread->tid, &flags)))
			stopped->threads[kept++] = *thread;
	}
	stopped->nr_threads = kept;
	qsort(stopped->threads, kept, sizeof(*stopped->threads), by_tid);
	return 0;
}

/* One pass over the threads: how many were new, or -errno. */
static int stop_new(struct stopped *stopped)
{
	size_t known = stopped->nr_threads;
	struct dirent *entry;
	char path[64];
	int new = 0, err = 0;
	DIR *dir;
	pid_t tid;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)stopped->pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	bury_now_and_then(true);
	while (!err && (entry = readdir(dir))) {
		tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid <= 0 || find(stopped, known, tid))
			continue;
		err = seize(stopped, tid);
		new += !err;
		/* One that ended is nobody's, the first of them too, while others live. */
		if (err == -ESRCH)
			err = 0;
	}
	bury_now_and_then(false);
	closedir(dir);
	qsort(stopped->threads, stopped->nr_threads, sizeof(*stopped->threads), by_tid);
	if (!err && new)
		err = await(stopped);
	return err ? err : new;
}

int stop_process(struct stopped *stopped, pid_t pid, char *why, size_t room)
{
	int new;
	size_t i;

	*stopped = (struct stopped){ .pid = pid, .since = now_ns() };
	/* Threads make threads until all are stopped: until a pass meets none. */
	do
		new = stop_new(stopped);
	while (new > 0);
	if (!new && !stopped->nr_threads)
		new = -ESRCH;
	if (new < 0) {
		explain(pid, new, why, room);
		return new;
	}
	for (i = 0; i < stopped->nr_threads; i++) {
		stopped->not_stopped += !stopped->threads[i].stopped;
		if (stopped->threads[i].stopped || !stopped->alive)
			stopped->alive = stopped->threads[i].tid;
	}
	return 0;
}

bool process_lives(const struct stopped *stopped)
{
	unsigned int flags;
	char state = state_of(stopped->pid, stopped->alive, &flags);

	return state && state != 'Z' && state != 'X';
}

void stopped_let_go(struct stopped *stopped)
{
	size_t i;

	for (i = 0; i < stopped->nr_threads; i++) {
		struct thread *thread = &stopped->threads[i];

		if (thread->stopped)
			ptrace(PTRACE_DETACH, thread->tid, NULL,
			       (void *)(long)thread->signal);
		thread->stopped = false;
	}
	free(stopped->threads);
	stopped->threads = NULL;
	stopped->nr_threads = 0;
}
