// SPDX-License-Identifier: MIT
/*
 * See target.h. What tells that a task is at rest must not disturb what it left:
 * the task is looked at from outside, and from another CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "needle.h"
#include "target.h"

#define LOOK_EVERY_US (20 * 1000)
#define LOOKS 3000

const char *const target_names[NR_TARGETS] = {
	[TARGET_CALLER] = "the caller",
	[TARGET_THREAD] = "a sleeping thread",
	[TARGET_SPINNING] = "a running thread",
	[TARGET_TRACEE] = "a stopped tracee",
};

struct target_shared *target_shared;

static int device;

/* Of a child that is alone with this. */
static void (*leave_it)(int);
static int tell_to;
static bool spins;

int target_open(void)
{
	target_shared = mmap(NULL, sizeof(*target_shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (target_shared == MAP_FAILED)
		return -errno;
	device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	return device < 0 ? -errno : 0;
}

void target_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		tap_bail("CPU %d: %s", cpu, strerror(errno));
}

void target_random(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		_exit(1);
}

void target_tell(int to, const char *name, const void *secret, size_t n)
{
	struct needle needle;

	if (needle_make(&needle, name, secret, n) || needle_write(to, &needle))
		_exit(1);
}

static void wipe(pid_t tid, uint32_t flags)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = flags, .tid = tid };

	if (!flags)
		return;
	if (flags & LETHE_WIPE_RANGE) {
		args.start = target_shared->start;
		args.length = target_shared->length;
	}
	if (ioctl(device, LETHE_IOC_WIPE, &args))
		target_shared->err = errno;
}

/* Asleep in the kernel, with no more to do. */
static void wait_asleep(pid_t tid)
{
	char path[32], line[128], *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	for (int i = 0; i < LOOKS; i++) {
		file = fopen(path, "r");
		if (!file || !fgets(line, sizeof(line), file))
			break;
		fclose(file);
		state = strrchr(line, ')');
		if (state && state[2] == 'S')
			return;
		usleep(LOOK_EVERY_US);
	}
	tap_bail("a child does not come to rest");
}

static void wait_done(pid_t pid)
{
	for (int i = 0; i < LOOKS && !target_shared->done; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			tap_bail("a child could not leave a secret");
		usleep(LOOK_EVERY_US);
	}
	if (!target_shared->done)
		tap_bail("a child does not get so far");
}

static void *other_thread(void *arg)
{
	(void)arg;
	target_pin(1);
	target_shared->tid = gettid();
	leave_it(tell_to);
	target_shared->left = 1;
	while (spins)
		__builtin_ia32_pause();
	for (;;)
		pause();
	return NULL;
}

/* The process of another thread: it wipes that, and then sleeps too. */
static void be_beside(uint32_t flags)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, other_thread, NULL))
		_exit(1);
	while (!target_shared->left)
		usleep(LOOK_EVERY_US);
	if (!spins)
		wait_asleep(target_shared->tid);
	wipe(target_shared->tid, flags);
}

static void be(enum target_whose whose, uint32_t flags)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* There from now on: a fault would cover what the last interrupt left. */
	target_shared->done = 0;
	if (whose == TARGET_THREAD || whose == TARGET_SPINNING) {
		be_beside(flags);
	} else {
		target_pin(1);
		leave_it(tell_to);
		if (whose == TARGET_CALLER)
			wipe(0, flags);
	}
	target_shared->done = 1;
	for (;;)
		pause();
}

static void wipe_traced(pid_t pid, uint32_t flags)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		tap_bail("ptrace: %s", strerror(errno));
	wipe(pid, flags);
	if (ptrace(PTRACE_DETACH, pid, 0, 0))
		tap_bail("PTRACE_DETACH: %s", strerror(errno));
	wait_asleep(pid);
}

pid_t target_start(enum target_whose whose, void (*leave)(int), uint32_t flags,
		   int *needles)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	memset(target_shared, 0, sizeof(*target_shared));
	leave_it = leave;
	tell_to = ends[1];
	spins = whose == TARGET_SPINNING;
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		be(whose, flags);
	close(ends[1]);
	*needles = ends[0];
	wait_done(pid);
	wait_asleep(pid);
	if (whose == TARGET_TRACEE)
		wipe_traced(pid, flags);
	if (target_shared->err)
		tap_bail("LETHE_IOC_WIPE of %s: %s", target_names[whose],
			 strerror(target_shared->err));
	return pid;
}

void target_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
