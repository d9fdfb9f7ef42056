// SPDX-License-Identifier: MIT
/*
 * Memory of each kind, and what a probe tells of it, gathered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/lethe.h>

#include "frames.h"
#include "kinds.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define GATHERED_MAX 4096

const char *const kind_names[KINDS] = {
	[ORDINARY] = "ordinary",
	[KMOD] = "kmod",
	[MEMFD] = "memfd_secret",
	[LOCKED] = "mlock",
};

const unsigned int kind_bits[KINDS] = {
	[KMOD] = FRAME_KMOD,
	[MEMFD] = FRAME_MEMFD,
	[LOCKED] = FRAME_LOCKED,
};

static int kind_fd(enum kind kind, size_t length)
{
	struct lethe_create args = { .size = sizeof(args), .length = length };
	int door, fd;

	if (kind == MEMFD) {
		fd = syscall(SYS_memfd_secret, O_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, length)) {
			close(fd);
			return -1;
		}
		return fd;
	}
	door = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (door < 0)
		return -1;
	fd = ioctl(door, LETHE_IOC_CREATE, &args);
	close(door);
	return fd;
}

bool kind_possible(enum kind kind)
{
	int fd;

	if (kind == ORDINARY || kind == LOCKED)
		return true;
	fd = kind_fd(kind, PAGE);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(127);
}

void *kind_map(enum kind kind, void *at, size_t pages)
{
	bool has_fd = kind == KMOD || kind == MEMFD;
	int fd = has_fd ? kind_fd(kind, pages * PAGE) : -1;
	int flags = (has_fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) |
		    (at ? MAP_FIXED : 0);
	char *map;

	if (has_fd && fd < 0)
		die(kind_names[kind]);
	map = mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	if (has_fd)
		close(fd);
	if (kind == LOCKED &&
	    (madvise(map, pages * PAGE, MADV_DONTDUMP) ||
	     madvise(map, pages * PAGE, MADV_DONTFORK) || mlock(map, pages * PAGE)))
		die("mlock");
	for (size_t i = 0; i < pages; i++)
		map[i * PAGE] = 'l';
	return map;
}

static struct {
	struct ring_buffer *ring;
	size_t nr;
	struct event event[GATHERED_MAX];
} gathered;

static int keep(void *context, void *data, size_t size)
{
	(void)context;
	if (size >= sizeof(struct event) && gathered.nr < GATHERED_MAX)
		memcpy(&gathered.event[gathered.nr], data, sizeof(struct event));
	gathered.nr++;
	return 0;
}

void gather_open(int map_fd)
{
	gathered.ring = ring_buffer__new(map_fd, keep, NULL, NULL);
	if (!gathered.ring)
		die("ring_buffer__new");
}

size_t gather(void)
{
	ring_buffer__consume(gathered.ring);
	return gathered.nr;
}

void gather_begin(void)
{
	gather();
	gathered.nr = 0;
}

size_t gathered_by(unsigned int what, pid_t pid, unsigned int how, struct event *last)
{
	size_t nr = 0;

	for (size_t i = 0; i < gathered.nr && i < GATHERED_MAX; i++) {
		const struct event *event = &gathered.event[i];

		if (event->what != what || event->pid != pid || event->how != how)
			continue;
		*last = *event;
		nr++;
	}
	return nr;
}
