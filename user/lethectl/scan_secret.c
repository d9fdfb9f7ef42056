// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret: read from a file descriptor into locked pages, and judged. Its length is
 * all that is ever said of it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scan.h"

static size_t whole_pages(size_t length)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (length + page - 1) / page * page;
}

void *locked_new(size_t length)
{
	void *pages;
	int err;

	length = whole_pages(length);
	pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (pages == MAP_FAILED)
		return NULL;
	if (madvise(pages, length, MADV_DONTDUMP) ||
	    madvise(pages, length, MADV_DONTFORK) || mlock(pages, length)) {
		err = errno;
		munmap(pages, length);
		errno = err;
		return NULL;
	}
	return pages;
}

void locked_free(void *pages, size_t length)
{
	length = whole_pages(length);
	explicit_bzero(pages, length);
	munmap(pages, length);
}

static ssize_t read_all(int fd, uint8_t *to, size_t room)
{
	size_t length = 0;
	ssize_t n;

	while (length < room) {
		n = read(fd, to + length, room - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

/* The end of the line that it was typed on, or printed to, is none of it. */
static ssize_t without_newline(const uint8_t *secret, ssize_t length)
{
	ssize_t i;

	if (length < 2 || secret[length - 1] != '\n')
		return length;
	for (i = 0; i < length - 1; i++)
		if (!isprint(secret[i]) && !isspace(secret[i]) && secret[i] < 0x80)
			return length;
	return length - 1;
}

static bool judge(const uint8_t *secret, size_t length, char *why, size_t room)
{
	size_t i, unfit = 0, all = length - SCAN_MIN + 1;

	for (i = 0; i < all; i++)
		unfit += !window_fit(secret + i);
	/* All of a short one has to say something; in a long one some may not. */
	if (unfit * 8 <= all)
		return true;
	snprintf(
		why, room,
		"the secret is refused: of its %zu runs of %d bytes, %zu have fewer than four different values, or count up evenly: they would be found by chance, and prove nothing. Use one that is random",
		all, SCAN_MIN, unfit);
	return false;
}

bool secret_fit(const uint8_t *secret, size_t length, size_t minimum, char *why,
		size_t room)
{
	if (length < SCAN_MIN)
		snprintf(
			why, room,
			"the secret is refused: it has %zu bytes, and what is shorter than %d is found by chance",
			length, SCAN_MIN);
	else if (length > SCAN_MAX)
		snprintf(why, room,
			 "the secret is longer than %d bytes: give a part of it",
			 SCAN_MAX);
	else if (length < minimum)
		snprintf(why, room,
			 "--minimum %zu is more than the %zu bytes of the secret",
			 minimum, length);
	else
		return judge(secret, length, why, room);
	return false;
}

ssize_t secret_read(int fd, uint8_t *secret, size_t minimum, char *why, size_t room)
{
	ssize_t length = read_all(fd, secret, SCAN_MAX + 1);

	if (length < 0) {
		snprintf(
			why, room, "cannot read the secret from file descriptor %d: %s%s",
			fd, strerror((int)-length),
			length == -EBADF ?
				". Give one that is open for reading: --secret-fd 3 3<FILE" :
				"");
		return length;
	}
	if (!length) {
		snprintf(why, room, "file descriptor %d is empty: there is no secret",
			 fd);
		return -EINVAL;
	}
	if (length <= SCAN_MAX)
		length = without_newline(secret, length);
	return secret_fit(secret, (size_t)length, minimum, why, room) ? length : -EINVAL;
}
