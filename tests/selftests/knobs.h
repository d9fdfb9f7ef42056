/* SPDX-License-Identifier: MIT */
/*
 * What a test turns by writing to a file: the module's parameters, and other
 * settings of the kernel. Included after door.h.
 */
#ifndef LETHE_TESTS_KNOBS_H
#define LETHE_TESTS_KNOBS_H

#include <stdlib.h>

#include "door.h"

#define PARAMETERS "/sys/module/lethe/parameters/"

/* 0 or -errno. */
UNUSED static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

UNUSED static long read_number(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
	return strtol(text, NULL, 10);
}

UNUSED static void set(const char *path, const char *value)
{
	int err = write_file(path, value);

	if (err)
		tap_bail("%s to %s: %s", value, path, strerror(-err));
}

#define set_keep(n) set(PARAMETERS "keep_blocks", n)
#define set_max(n) set(PARAMETERS "max_blocks", n)

#endif /* LETHE_TESTS_KNOBS_H */
