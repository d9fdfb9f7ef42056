// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Into a buffer and out of it, with no copy of the data anywhere else: the kernel, or
 * one instruction, moves them. Each opens the buffer for as long as it takes.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buffer.h"

/* For as long as a function runs, also if the thread is cancelled in it. */
struct use {
	struct lethe_buffer *buffer;
	int opened;
};

static void use_end(struct use *use)
{
	if (use->opened > 0)
		lethe_buffer_close(use->buffer);
}

#define USE(name, b, access) \
	struct use name      \
		__attribute__((cleanup(use_end))) = { (b), buffer_use((b), (access)) }

static bool is_in(const struct lethe_buffer *b, size_t offset, size_t length)
{
	size_t all = lethe_buffer_length(b);

	return offset <= all && length <= all - offset;
}

static char *at(const struct lethe_buffer *b, size_t offset)
{
	return (char *)lethe_buffer_data(b) + offset;
}

PUBLIC ssize_t lethe_buffer_read(struct lethe_buffer *b, size_t offset, int fd,
				 size_t at_most)
{
	ssize_t n;

	if (!is_in(b, offset, at_most))
		return -EINVAL;
	USE(use, b, LETHE_ACCESS_WRITE);
	if (use.opened < 0)
		return use.opened;
	n = read(fd, at(b, offset), at_most);
	return n < 0 ? -errno : n;
}

PUBLIC int lethe_buffer_read_exactly(struct lethe_buffer *b, size_t offset, int fd,
				     size_t length)
{
	size_t got = 0;
	ssize_t n;
	int err = 0;

	if (!is_in(b, offset, length))
		return -EINVAL;
	USE(use, b, LETHE_ACCESS_WRITE);
	if (use.opened < 0)
		return use.opened;
	while (got < length) {
		n = read(fd, at(b, offset + got), length - got);
		if (n > 0) {
			got += (size_t)n;
		} else if (!n) {
			err = -ENODATA;
			break;
		} else if (errno != EINTR) {
			err = -errno;
			break;
		}
	}
	/* Half of a secret is none. */
	if (err && err != -EFAULT)
		lethe_wipe(at(b, offset), got);
	return err;
}

PUBLIC int lethe_buffer_fill_random(struct lethe_buffer *b)
{
	size_t length = lethe_buffer_length(b), got = 0;
	long n;

	USE(use, b, LETHE_ACCESS_WRITE);
	if (use.opened < 0)
		return use.opened;
	/* Not libc's, which may make the bytes itself, in registers. */
	while (got < length) {
		n = syscall(SYS_getrandom, at(b, got), length - got, 0);
		if (n >= 0)
			got += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

PUBLIC int lethe_buffer_move(struct lethe_buffer *b, size_t offset, void *from,
			     size_t length)
{
	if (!is_in(b, offset, length))
		return -EINVAL;
	USE(use, b, LETHE_ACCESS_WRITE);
	if (use.opened < 0)
		return use.opened;
	copy_secret(at(b, offset), from, length);
	lethe_wipe(from, length);
	return 0;
}

PUBLIC int lethe_buffer_copy(struct lethe_buffer *b, size_t offset, void *to,
			     size_t length)
{
	if (!is_in(b, offset, length))
		return -EINVAL;
	USE(use, b, LETHE_ACCESS_READ);
	if (use.opened < 0)
		return use.opened;
	copy_secret(to, at(b, offset), length);
	return 0;
}
