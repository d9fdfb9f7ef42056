// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The guard of lethectl check: a process of its own that waits until the one that
 * measures ends, by itself, by a signal or by SIGKILL, and then undoes what that had
 * done to the machine. Does nothing else, and never anything before.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lethectl.h"
#include "undo.h"

#define CHUNK (1 << 20)
/* For what the kernel does in its own time: 10 s. */
#define TRIES 1000

static struct guarded *guarded;
static pid_t guard;
/* The guard lives for as long as this is open, and nobody else has it. */
static int leash = -1;
static bool undone, by_guard;

static void moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

/* Whoever is in the cgroup now: of it nobody but the subject ever was asked to be. */
static void kill_all(const char *procs)
{
	FILE *file = fopen(procs, "re");
	int pid;

	while (file && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file)
		fclose(file);
}

/* Another check may have found it enabled, and be at work by it: then it stays. */
static void undo_enabled(const struct guarded *what)
{
	char pattern[PATH_MAX + 32];
	glob_t others;

	if (!what->enabled[0])
		return;
	snprintf(pattern, sizeof(pattern), "%.*slethe-check.*",
		 (int)(strrchr(what->enabled, '/') + 1 - what->enabled), what->enabled);
	if (glob(pattern, GLOB_NOSORT, NULL, &others) == GLOB_NOMATCH)
		kernel_write(what->enabled, "-memory");
	else
		globfree(&others);
}

static int undo_cgroup(const struct guarded *what)
{
	char procs[PATH_MAX + 16];
	int i;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", what->cgroup);
	for (i = 0; rmdir(what->cgroup) && errno == EBUSY && i < TRIES; i++) {
		kill_all(procs);
		moment();
	}
	if (what->cgroup[0] && !access(what->cgroup, F_OK))
		return -EBUSY;
	undo_enabled(what);
	return 0;
}

/* Pages of others may have come to it. They are back in memory when it is off. */
static int overwrite(int fd, size_t length)
{
	static const char zeroes[CHUNK];
	size_t at = 0;
	ssize_t n;

	while (at < length) {
		n = pwrite(fd, zeroes, length - at < CHUNK ? length - at : CHUNK,
			   (off_t)at);
		if (n <= 0 && errno != EINTR)
			return n ? -errno : -EIO;
		at += n > 0 ? (size_t)n : 0;
	}
	return fdatasync(fd) ? -errno : 0;
}

static int undo_swap(const struct guarded *what)
{
	char path[64];
	int fd, i, err = 0;

	if (!what->swap[0])
		return 0;
	fd = swap_file_open(what);
	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* EINVAL: it is no swap area, or no longer. Short of memory it is worth waiting. */
	for (i = 0; swapoff(path) && errno != EINVAL; i++) {
		if (i == TRIES) {
			close(fd);
			return -EBUSY;
		}
		moment();
	}
	if (unlink(what->swap))
		err = -errno;
	if (!err)
		err = overwrite(fd, what->length);
	close(fd);
	return err;
}

/* Until it has ended, whoever is to wait for it: what it held is let go of then. */
static void undo_subject(const struct guarded *what)
{
	struct pollfd ended = { .events = POLLIN };

	if (what->subject <= 0)
		return;
	ended.fd = (int)syscall(SYS_pidfd_open, what->subject, 0);
	if (ended.fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, ended.fd, SIGKILL, NULL, 0);
	poll(&ended, 1, 10000);
	close(ended.fd);
}

/* Does nothing where nothing was done. */
static bool undo_it(void)
{
	undo_subject(guarded);
	/* Both, whatever became of the first. */
	return !(undo_cgroup(guarded) | undo_swap(guarded));
}

static void complain_of_rest(void)
{
	if (guarded->cgroup[0] && !access(guarded->cgroup, F_OK))
		complain("%s is left, since it cannot be removed: %s", guarded->cgroup,
			 strerror(errno));
	if (guarded->swap[0] && !access(guarded->swap, F_OK))
		complain("%s is left, and maybe in use: swapoff it, and remove it",
			 guarded->swap);
}

static void ignore_signals(void)
{
	int signal;

	for (signal = 1; signal < SIGRTMIN; signal++)
		sigaction(signal, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

static void __attribute__((noreturn)) run_guard(int fd)
{
	ssize_t n;
	char byte;

	ignore_signals();
	/* Nobody who kills a job, or the largest process, is to mean this one. */
	setsid();
	prctl(PR_SET_NAME, "lethectl-guard");
	kernel_write("/proc/self/oom_score_adj", "-1000");
	do {
		n = read(fd, &byte, 1);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (undo_it())
		_exit(0);
	complain_of_rest();
	_exit(1);
}

/* In a signal handler, too. */
static void end(void *unused)
{
	int status = 1;

	(void)unused;
	close(leash);
	leash = -1;
	while (waitpid(guard, &status, 0) < 0 && errno == EINTR)
		;
	by_guard = WIFEXITED(status);
	/* It may have been killed itself. */
	undone = by_guard ? !WEXITSTATUS(status) : undo_it();
}

static int number;

bool guard_end(void)
{
	undo_now(number);
	if (!undone && !by_guard)
		complain_of_rest();
	return undone;
}

struct guarded *guard_start(void)
{
	int fds[2];

	guarded = mmap(NULL, sizeof(*guarded), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED || pipe2(fds, O_CLOEXEC))
		return NULL;
	guard = fork();
	if (!guard) {
		close(fds[1]);
		run_guard(fds[0]);
	}
	close(fds[0]);
	leash = fds[1];
	if (guard < 0)
		return NULL;
	number = undo_push(end, NULL);
	return guarded;
}

/* The subject does not hold it: the guard would wait for the subject, too. */
void guard_leave(void)
{
	close(leash);
}
