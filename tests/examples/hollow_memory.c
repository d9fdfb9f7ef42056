// SPDX-License-Identifier: MIT
/*
 * Secret memory that is ordinary memory, to be preloaded together with residue's hollow.so:
 * a program as it is, with the protection off. What it leaves is what the same search of
 * the same program with Lethe is held to. It wipes nothing that is freed, seals nothing,
 * and lets everything be touched at any time.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lethe.h"

#define SHOWN __attribute__((visibility("default")))

SHOWN void *lethe_malloc(size_t size)
{
	return calloc(1, size);
}

SHOWN void *lethe_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

SHOWN void *lethe_realloc(void *block, size_t size)
{
	return realloc(block, size);
}

SHOWN void lethe_free(void *block)
{
	free(block);
}

SHOWN void lethe_wipe(void *start, size_t length)
{
	(void)start;
	(void)length;
}

SHOWN size_t lethe_trim(void)
{
	return 0;
}

struct lethe_buffer {
	size_t length;
	unsigned char data[];
};

SHOWN struct lethe_buffer *lethe_buffer_new(size_t length, unsigned int flags)
{
	struct lethe_buffer *buffer = calloc(1, sizeof(*buffer) + length);

	(void)flags;
	if (buffer)
		buffer->length = length;
	return buffer;
}

SHOWN void lethe_buffer_free(struct lethe_buffer *buffer)
{
	free(buffer);
}

SHOWN int lethe_buffer_protect(struct lethe_buffer *buffer, enum lethe_access access)
{
	(void)buffer;
	(void)access;
	return 0;
}

SHOWN int lethe_buffer_open(struct lethe_buffer *buffer, enum lethe_access access)
{
	return lethe_buffer_protect(buffer, access);
}

SHOWN void lethe_buffer_close(struct lethe_buffer *buffer)
{
	(void)buffer;
}

SHOWN int lethe_buffer_seal(struct lethe_buffer *buffer)
{
	(void)buffer;
	return 0;
}

SHOWN void *lethe_buffer_data(const struct lethe_buffer *buffer)
{
	return (void *)buffer->data;
}

SHOWN size_t lethe_buffer_length(const struct lethe_buffer *buffer)
{
	return buffer->length;
}

SHOWN int lethe_buffer_read_exactly(struct lethe_buffer *buffer, size_t offset, int fd,
				    size_t length)
{
	ssize_t got = read(fd, buffer->data + offset, length);

	return got < 0 ? -errno : (size_t)got == length ? 0 : -ENODATA;
}

SHOWN int lethe_buffer_move(struct lethe_buffer *buffer, size_t offset, void *from,
			    size_t length)
{
	memcpy(buffer->data + offset, from, length);
	return 0;
}
