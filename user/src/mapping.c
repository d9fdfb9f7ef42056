// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * /proc/self/maps: by PROCMAP_QUERY (Linux 6.11), which finds one mapping in a
 * microsecond, else by reading it from its beginning. What it says is true of the
 * moment at which it is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"
#include "mapping.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* <linux/fs.h> of Linux 6.11; older headers have not got it. */
struct query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size;
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};

#define QUERY _IOWR('f', 17, struct query)
#define QUERY_WRITABLE 0x02
#define QUERY_SHARED 0x08
#define QUERY_COVERING_OR_NEXT 0x10

static int open_to_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mappings_open(struct mappings *mappings)
{
	mappings->text = false;
	mappings->at = mappings->filled = 0;
	mappings->fd = open_to_read("/proc/self/maps");
	return mappings->fd < 0 ? mappings->fd : 0;
}

void mappings_close(struct mappings *mappings)
{
	if (mappings->fd >= 0)
		close(mappings->fd);
}

static int ask(int fd, uintptr_t address, struct mapping *found)
{
	struct query query = { .size = sizeof(query),
			       .query_flags = QUERY_COVERING_OR_NEXT,
			       .query_addr = address };

	if (ioctl(fd, QUERY, &query) < 0)
		return errno == ENOENT ? 0 : -errno;
	found->start = query.vma_start;
	found->end = query.vma_end;
	found->writable = query.vma_flags & QUERY_WRITABLE;
	found->shared = query.vma_flags & QUERY_SHARED;
	found->file = query.inode;
	found->device = makedev(query.dev_major, query.dev_minor);
	return 1;
}

/* The next byte of the text; 0 at its end; or -errno. */
static int next_byte(struct mappings *mappings)
{
	ssize_t n;

	if (mappings->at == mappings->filled) {
		do {
			n = read(mappings->fd, mappings->buffer,
				 sizeof(mappings->buffer));
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		mappings->filled = (size_t)n;
		mappings->at = 0;
	}
	return (unsigned char)mappings->buffer[mappings->at++];
}

static int digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number of the text, and what ended it: a byte, or 0 or -errno. */
static uint64_t next_number(struct mappings *mappings, unsigned int base, int *ended)
{
	uint64_t number = 0;

	while (*ended = next_byte(mappings), digit(*ended) >= 0)
		number = number * base + (unsigned int)digit(*ended);
	return number;
}

/* "start-end rwxp offset major:minor inode name" */
static int next_line(struct mappings *mappings, struct mapping *found)
{
	unsigned int major, minor;
	int c;

	found->start = next_number(mappings, 16, &c);
	if (c != '-')
		return c < 0 ? c : 0;
	found->end = next_number(mappings, 16, &c);
	next_byte(mappings);
	found->writable = next_byte(mappings) == 'w';
	next_byte(mappings);
	found->shared = next_byte(mappings) == 's';
	next_byte(mappings);
	next_number(mappings, 16, &c);
	major = (unsigned int)next_number(mappings, 16, &c);
	minor = (unsigned int)next_number(mappings, 16, &c);
	found->device = makedev(major, minor);
	found->file = next_number(mappings, 10, &c);
	while (c > 0 && c != '\n')
		c = next_byte(mappings);
	return c == '\n' ? 1 : -EIO;
}

int mappings_find(struct mappings *mappings, uintptr_t address, struct mapping *found)
{
	int err;

	if (!mappings->text) {
		err = ask(mappings->fd, address, found);
		if (err >= 0)
			return err;
		mappings->text = true;
		found->end = 0;
	}
	/* The one found last may reach to this address too. */
	while (found->end <= address) {
		err = next_line(mappings, found);
		if (err <= 0)
			return err;
	}
	return 1;
}

/* Does a file that is made so, and is on no disk, have this device? */
static bool is_device_of(int fd, uint64_t device)
{
	struct stat info;
	bool is;

	if (fd < 0)
		return false;
	is = !fstat(fd, &info) && info.st_dev == device;
	close(fd);
	return is;
}

/* "id parent major:minor root point options [optional] - type ..." */
static bool is_mounted_memory(uint64_t device)
{
	static const char *const types[] = { "tmpfs ", "ramfs ", "hugetlbfs " };
	struct mappings mounts = { .fd = open_to_read("/proc/self/mountinfo") };
	unsigned int major, minor;
	char type[12];
	bool is = false;
	size_t i, n;
	int c = 1;

	if (mounts.fd < 0)
		return false;
	while (c > 0 && !is) {
		next_number(&mounts, 10, &c);
		next_number(&mounts, 10, &c);
		major = (unsigned int)next_number(&mounts, 10, &c);
		minor = (unsigned int)next_number(&mounts, 10, &c);
		/* Nothing before it has a word that is a dash: spaces are escaped. */
		for (n = 0; c > 0 && c != '\n' && n < 3; c = next_byte(&mounts))
			n = c == " - "[n] ? n + 1 : c == ' ';
		for (n = 0; c > 0 && c != '\n'; c = next_byte(&mounts))
			if (n < sizeof(type))
				type[n++] = (char)c;
		for (i = 0; i < ARRAY_SIZE(types); i++)
			is |= makedev(major, minor) == device && n >= strlen(types[i]) &&
			      !memcmp(type, types[i], strlen(types[i]));
	}
	close(mounts.fd);
	return is;
}

bool mapping_is_memory(const struct mapping *mapping)
{
	/* Of no device that is mounted: shared anonymous memory, memfd_create()'s. */
	return space_contains((void *)mapping->start) ||
	       is_device_of(memfd_create("", MFD_CLOEXEC), mapping->device) ||
	       is_device_of((int)syscall(SYS_memfd_secret, O_CLOEXEC), mapping->device) ||
	       is_mounted_memory(mapping->device);
}
