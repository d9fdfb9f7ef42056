/* SPDX-License-Identifier: MIT */
/*
 * What the tests of /dev/lethe share: the three calls as functions, and small
 * helpers round fork(). It judges nothing.
 */
#ifndef LETHE_TESTS_DOOR_H
#define LETHE_TESTS_DOOR_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "tap.h"

#define UNUSED __attribute__((unused))
#define PAGE ((size_t)4096)
#define NOBODY 65534

static int door;

/*
 * The door, shared with other tests or not: the module counts what everybody has,
 * so whoever compares counts waits until it is alone, and the others for it.
 */
UNUSED static bool door_try(int how)
{
	door = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (door >= 0 && flock(door, how))
		tap_bail("flock: %s", strerror(errno));
	return door >= 0;
}

/* First in main(): a program skips where there is no module. */
UNUSED static void door_open(void)
{
	if (!door_try(LOCK_SH))
		tap_skip_all(LETHE_DEVICE);
}

/* Instead of it, for one that compares counts. */
UNUSED static void door_open_alone(void)
{
	if (!door_try(LOCK_EX))
		tap_skip_all(LETHE_DEVICE);
}

/* 0 or what the call returned; a negative errno on failure. */
UNUSED static int call(unsigned long code, void *args)
{
	int ret = ioctl(door, code, args);

	return ret < 0 ? -errno : ret;
}

/*
 * A wipe of a thread that can come, on a machine that may be too busy to let it: each
 * EAGAIN has to leave everything as it was.
 */
UNUSED static int wipe_patiently(struct lethe_wipe *args)
{
	int err = -EAGAIN;

	for (int i = 0; i < 100 && err == -EAGAIN; i++)
		err = call(LETHE_IOC_WIPE, args);
	return err;
}

UNUSED static int create(size_t length)
{
	struct lethe_create args = { .size = sizeof(args), .length = length };

	return call(LETHE_IOC_CREATE, &args);
}

/* A region that the test cannot do without. */
UNUSED static int must_create(size_t length)
{
	int fd = create(length);

	if (fd < 0)
		tap_bail("a region of %zu bytes: %s", length, strerror(-fd));
	return fd;
}

UNUSED static unsigned char *must_map(int fd, size_t length)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		tap_bail("mapping a region of %zu bytes: %s", length, strerror(errno));
	return map;
}

/* Ordinary pages, for the controls. */
UNUSED static unsigned char *must_map_plain(size_t length)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		tap_bail("mapping %zu bytes: %s", length, strerror(errno));
	return map;
}

UNUSED static struct lethe_query must_query(void)
{
	struct lethe_query args = { .size = sizeof(args) };
	int err = call(LETHE_IOC_QUERY, &args);

	if (err)
		tap_bail("LETHE_IOC_QUERY: %s", strerror(-err));
	return args;
}

UNUSED static bool all_are(const volatile unsigned char *p, unsigned char value,
			   size_t length)
{
	while (length && *p == value) {
		p++;
		length--;
	}
	return !length;
}

UNUSED static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	return pid;
}

/* What a child's end was: its exit status, or minus the signal. */
UNUSED static int end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* In a child: no longer root, nor any of its capabilities or groups. */
UNUSED static bool become_nobody(void)
{
	return !setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY);
}

#endif /* LETHE_TESTS_DOOR_H */
