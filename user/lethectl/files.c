// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads small files of the kernel's. Writes none, and says nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

bool file_path(char *to, size_t room, const char *root, const char *format, ...)
{
	va_list args;
	int at, n;

	at = snprintf(to, room, "%s", root);
	if (at < 0 || (size_t)at >= room)
		return false;
	va_start(args, format);
	n = vsnprintf(to + at, room - (size_t)at, format, args);
	va_end(args);
	return n >= 0 && (size_t)n < room - (size_t)at;
}

static int read_all(int fd, char *to, size_t room)
{
	size_t at = 0;
	ssize_t n;

	while (at < room) {
		n = read(fd, to + at, room - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return (int)at;
		at += (size_t)n;
	}
	return -EFBIG;
}

int file_read(char *to, size_t room, const char *root, const char *path)
{
	char full[PATH_MAX];
	int fd, n;

	to[0] = '\0';
	if (!file_path(full, sizeof(full), root, "%s", path))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read_all(fd, to, room - 1);
	close(fd);
	if (n < 0) {
		to[0] = '\0';
		return n;
	}
	if (n && to[n - 1] == '\n')
		n--;
	to[n] = '\0';
	return n;
}

int file_number(long long *number, const char *root, const char *path)
{
	char text[64], *end;
	int n;

	n = file_read(text, sizeof(text), root, path);
	if (n < 0)
		return n;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return n == 0 || *end || errno ? -EINVAL : 0;
}

bool file_there(const char *root, const char *path)
{
	char full[PATH_MAX];

	return file_path(full, sizeof(full), root, "%s", path) && !access(full, F_OK);
}

bool file_chosen(const char *text, char *to, size_t room)
{
	const char *begin = strchr(text, '['), *end = begin ? strchr(begin, ']') : NULL;

	return end &&
	       snprintf(to, room, "%.*s", (int)(end - begin - 1), begin + 1) < (int)room;
}

bool file_has_word(const char *text, const char *word)
{
	size_t length = strlen(word), here;

	for (;; text += here) {
		text += strspn(text, " \t\n");
		here = strcspn(text, " \t\n");
		if (!here)
			return false;
		if (here == length && !memcmp(text, word, length))
			return true;
	}
}
