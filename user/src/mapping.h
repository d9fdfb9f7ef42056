/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the kernel says of this process's mappings, one after the other. Allocates
 * nothing and reads none of their memory.
 */
#ifndef LETHE_MAPPING_H
#define LETHE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct mapping - one of them
 * @start: its first byte
 * @end: the byte after its last
 * @writable: the process may write it, as far as the mapping goes
 * @shared: what is written to it is another mapping's too, or a file's
 * @file: there is a file behind it, if only one without a name
 * @device: that file's, as in st_dev
 */
struct mapping {
	uintptr_t start, end;
	bool writable, shared, file;
	uint64_t device;
};

/**
 * struct mappings - the way through them, upwards
 * @fd: /proc/self/maps
 * @text: the kernel answers no questions: it is read
 * @at: the next byte of @buffer to be read
 * @filled: the bytes in it
 */
struct mappings {
	int fd;
	bool text;
	size_t at, filled;
	char buffer[512];
};

/* 0 or -errno: -ENOENT where there is no /proc. */
int mappings_open(struct mappings *mappings);
/*
 * The one that has @address in it, or else the first above it; from one call to the
 * next @address never falls. 1; 0 if there is none; or -errno.
 */
int mappings_find(struct mappings *mappings, uintptr_t address, struct mapping *found);
void mappings_close(struct mappings *mappings);

/* Is the file behind it memory and nothing else: not on any disk? */
bool mapping_is_memory(const struct mapping *mapping);

#endif /* LETHE_MAPPING_H */
