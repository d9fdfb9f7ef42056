// SPDX-License-Identifier: MIT
/*
 * Memory pressure in a memory cgroup of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "pressing.h"
#include "secrets.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* Where version 1 has its memory controller, and where the second one is mounted. */
static const char first[] = "/sys/fs/cgroup/memory";
static char second[] = "/tmp/lethe-cgroup-XXXXXX";

static bool put(const char *directory, const char *name, const char *value)
{
	char path[PATH_MAX];
	ssize_t put_in;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	put_in = write(fd, value, strlen(value));
	close(fd);
	return put_in == (ssize_t)strlen(value);
}

/* A cgroup that has a quarter of what is touched; its path, or NULL. */
static const char *make_group(bool *mounted)
{
	static char group[PATH_MAX];
	char limit[32];

	*mounted = false;
	snprintf(limit, sizeof(limit), "%lu", PRESSURE / 4 * PAGE);
	snprintf(group, sizeof(group), "%s/lethe-press-%d", first, getpid());
	if (mkdir(group, 0700) == 0) {
		if (put(group, "memory.limit_in_bytes", limit))
			return group;
		rmdir(group);
		return NULL;
	}
	if (!mkdtemp(second))
		return NULL;
	*mounted = !mount("none", second, "cgroup2", 0, NULL);
	snprintf(group, sizeof(group), "%s/lethe-press-%d", second, getpid());
	if (*mounted && put(second, "cgroup.subtree_control", "+memory") &&
	    mkdir(group, 0700) == 0 && put(group, "memory.max", limit))
		return group;
	rmdir(group);
	return NULL;
}

static void drop_group(const char *group, bool mounted)
{
	if (group && rmdir(group))
		tap_note("%s stays: %s", group, strerror(errno));
	if (mounted)
		umount(second);
	rmdir(second);
}

/* In the cgroup. Ends with 0 where the answer is in @pressed. */
static void press_here(const char *group, struct pressed *pressed, unsigned int nr)
{
	struct pages pages[BACKENDS], ordinary;
	unsigned long long frame[BACKENDS][64], now[64];
	unsigned int backend, i;

	if (!put(group, "cgroup.procs", "0"))
		_exit(1);
	for (backend = 0; backend < BACKENDS; backend++) {
		if (!secret_make(&pages[backend], backend, nr))
			continue;
		pages_frames(&pages[backend], frame[backend]);
		pressed->secrets += nr;
	}
	ordinary_make(&ordinary, PRESSURE);
	for (backend = 0; backend < BACKENDS; backend++) {
		if (!pages[backend].at)
			continue;
		madvise(pages[backend].at, nr * PAGE, MADV_PAGEOUT);
		pages_frames(&pages[backend], now);
		for (i = 0; i < nr; i++)
			pressed->kept += now[i] == frame[backend][i];
	}
	_exit(0);
}

const char *press(struct pressed *pressed, unsigned int nr)
{
	struct pressed *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *why = NULL;
	bool mounted;
	const char *group = make_group(&mounted);
	int status = 0;
	pid_t child;

	if (!group) {
		why = "no memory cgroup can be made";
		goto out;
	}
	fflush(stdout);
	child = fork();
	if (!child)
		press_here(group, shared, nr);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		why = "nothing can be run in a memory cgroup";
	*pressed = *shared;
out:
	drop_group(group, mounted);
	munmap(shared, PAGE);
	return why;
}
