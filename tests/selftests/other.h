/* SPDX-License-Identifier: MIT */
/*
 * Another thread of the process, to be wiped: it has something below its stack
 * pointer and on its alternate stack, waits somehow, and counts what is left when
 * it goes on. It judges nothing.
 */
#ifndef LETHE_TESTS_OTHER_H
#define LETHE_TESTS_OTHER_H

#include <pthread.h>
#include <sched.h>

#include "ustack.h"

#define DEAD ((size_t)64 << 10)
#define ALTERNATE ((size_t)16 << 10)
#define ALL (LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK)

/* How a thread waits: "done", or the name of an error. */
typedef const char *sleep_fn(void);

static struct {
	volatile int tid, go;
	sleep_fn *sleep;
	const char *result;
	size_t dead, alternate; /* bytes that are left when it has waited */
} other;

static struct lethe_wipe last; /* as wipe_other() left it */

UNUSED static const char *done_if(bool ok)
{
	return ok ? "done" : strerrorname_np(errno);
}

UNUSED static void *run_other(void *unused)
{
	stack_t stack = { .ss_size = ALTERNATE }, none = { .ss_flags = SS_DISABLE };
	unsigned char *dead = leave_frame(2 * DEAD);

	stack.ss_sp = must_map_pages(ALTERNATE / PAGE);
	memset(stack.ss_sp, FILL, ALTERNATE);
	sigaltstack(&stack, NULL);
	other.tid = syscall(SYS_gettid);
	other.result = other.sleep();
	other.dead = count_fill(dead, DEAD);
	other.alternate = count_fill(stack.ss_sp, ALTERNATE);
	sigaltstack(&none, NULL);
	munmap(stack.ss_sp, ALTERNATE);
	return unused;
}

/* In a sleep, as /proc has it: the letter of its state. */
UNUSED static bool comes_to(pid_t tid, const char *states)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	for (int i = 0; i < 5000; i++) {
		int fd = open(name, O_RDONLY | O_CLOEXEC);
		ssize_t got = read(fd, text, sizeof(text) - 1);
		const char *end;

		close(fd);
		text[got > 0 ? got : 0] = 0;
		end = strrchr(text, ')');
		if (end && strchr(states, end[2]))
			return true;
		usleep(1000);
	}
	return false;
}

UNUSED static pthread_t start(sleep_fn *sleep, const char *states)
{
	pthread_t thread;

	memset(&other, 0, sizeof(other));
	other.sleep = sleep;
	if (pthread_create(&thread, NULL, run_other, NULL))
		tap_bail("pthread_create failed");
	while (!other.tid)
		sched_yield();
	if (!comes_to(other.tid, states))
		tap_bail("a thread does not come to its sleep");
	return thread;
}

UNUSED static void ask(uint32_t flags)
{
	last = (struct lethe_wipe){ .size = sizeof(last), .flags = flags };
	last.tid = other.tid;
}

UNUSED static int wipe_other(uint32_t flags)
{
	ask(flags);
	return wipe_patiently(&last);
}

/* Of one that is not to come. */
UNUSED static int wipe_absent(uint32_t flags)
{
	ask(flags);
	return call(LETHE_IOC_WIPE, &last);
}

UNUSED static const char *spin(void)
{
	while (!other.go)
		;
	return "done";
}

#endif /* LETHE_TESTS_OTHER_H */
