/* SPDX-License-Identifier: MIT */
/*
 * What the tests of a fork's child share that has a copy of the heap: a block that is
 * filled before, and a child that says what it finds.
 */
#ifndef TESTS_INHERIT_H
#define TESTS_INHERIT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"

/* The switch: for liblethe-run alone, and for this. */
extern bool lethe_fork_copies;

#define SIZE ((size_t)100 * 1000)
/* So long does a child that hangs keep its test: for ever would be too long. */
#define ALARM 60

static unsigned char *block;

static void fill(unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)((i * 31 + seed) >> 3);
}

static bool holds(const unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)((i * 31 + seed) >> 3))
			return false;
	return true;
}

static int begin(bool copies)
{
	alarm(ALARM);
	lethe_fork_copies = copies;
	block = lethe_malloc(SIZE);
	if (!block)
		return 90;
	fill(block, SIZE, 1);
	return 0;
}

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The exit status of a fork's child that calls @fn; 99 where there is none. */
static int forked(int (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		child_begins();
		alarm(ALARM);
		_exit(fn());
	}
	return pid < 0 ? 99 : status_of(pid);
}

static enum lethe_level level;

static int has_copy(void)
{
	if (lethe_level_of(block) != level)
		return 1;
	return holds(block, SIZE, 1) ? 0 : 2;
}

#endif /* TESTS_INHERIT_H */
