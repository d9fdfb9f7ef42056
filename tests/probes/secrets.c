// SPDX-License-Identifier: MIT
/*
 * Secret pages of each backend, and ordinary ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "../selftests/tap.h"
#include "secrets.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

const char *const backend_names[BACKENDS] = { "kmod", "memfd_secret", "mlock" };

static int open_region(size_t nr)
{
	struct lethe_create create = { .size = sizeof(create), .length = nr * PAGE };
	int device = open("/dev/lethe", O_RDWR | O_CLOEXEC);
	int fd;

	if (device < 0)
		return -1;
	fd = ioctl(device, LETHE_IOC_CREATE, &create);
	close(device);
	if (fd < 0)
		tap_bail("no region of %zu pages: %s", nr, strerror(errno));
	return fd;
}

static int open_memfd(size_t nr)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, nr * PAGE))
		tap_bail("memfd_secret cannot be made larger: %s", strerror(errno));
	return fd;
}

static char *map(size_t nr, int flags, int fd)
{
	char *at = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		tap_bail("%zu pages cannot be mapped: %s", nr, strerror(errno));
	return at;
}

void pages_touch(const struct pages *pages)
{
	size_t i;

	/* In each page something else, and much of it: nothing is the same filled. */
	for (i = 0; i < pages->nr * PAGE; i += 64)
		*(volatile unsigned long *)(pages->at + i) =
			(i + 1) * 0x9e3779b97f4a7c15UL + (unsigned long)pages->at;
}

bool secret_make(struct pages *pages, enum backend backend, size_t nr)
{
	pages->nr = nr;
	pages->fd = -1;
	pages->at = NULL;
	pages->backend = backend;
	if (backend == LOCKED) {
		pages->at = map(nr, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (madvise(pages->at, nr * PAGE, MADV_DONTDUMP) ||
		    madvise(pages->at, nr * PAGE, MADV_DONTFORK) ||
		    mlock(pages->at, nr * PAGE))
			tap_bail("%zu pages cannot be locked: %s", nr, strerror(errno));
	} else {
		pages->fd = backend == KMOD ? open_region(nr) : open_memfd(nr);
		if (pages->fd < 0)
			return false;
		pages->at = map(nr, MAP_SHARED, pages->fd);
	}
	pages_touch(pages);
	return true;
}

void ordinary_make(struct pages *pages, size_t nr)
{
	pages->nr = nr;
	pages->fd = -1;
	pages->backend = BACKENDS;
	pages->at = map(nr, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(pages->at, nr * PAGE, MADV_NOHUGEPAGE);
	pages_touch(pages);
}

void pages_drop(struct pages *pages)
{
	if (pages->at)
		munmap(pages->at, pages->nr * PAGE);
	if (pages->fd >= 0)
		close(pages->fd);
	pages->at = NULL;
	pages->fd = -1;
}

static unsigned long long entry_of(const void *address)
{
	unsigned long long entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (unsigned long)address / PAGE * sizeof(entry)) < 0)
		tap_bail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return entry;
}

bool page_is_swapped(const void *address)
{
	return entry_of(address) >> 62 == 1;
}

unsigned long long page_frame(const void *address)
{
	unsigned long long entry = entry_of(address);

	if (!(entry >> 63) || !(entry & ((1ULL << 55) - 1)))
		tap_bail("no frame at %p", address);
	return entry & ((1ULL << 55) - 1);
}

/* pagemap says nothing of a region; the module does. */
static void frames_of_region(const struct pages *pages, unsigned long long *frame)
{
	struct lethe_query query = { .size = sizeof(query),
				     .flags = LETHE_QUERY_FRAMES | LETHE_QUERY_REGION,
				     .fd = pages->fd,
				     .nr_frames = pages->nr,
				     .frames = (unsigned long)frame };
	int device = open("/dev/lethe", O_RDWR | O_CLOEXEC);

	if (device < 0 || ioctl(device, LETHE_IOC_QUERY, &query) ||
	    query.nr_frames != pages->nr)
		tap_bail("the module does not say the frames of a region: %s",
			 strerror(errno));
	close(device);
}

void pages_frames(const struct pages *pages, unsigned long long *frame)
{
	size_t i;

	if (pages->backend == KMOD) {
		frames_of_region(pages, frame);
		return;
	}
	for (i = 0; i < pages->nr; i++)
		frame[i] = page_frame(pages->at + i * PAGE);
}

void drain_lists(void)
{
	cpu_set_t before, one;
	struct pages pages;
	int cpu;

	sched_getaffinity(0, sizeof(before), &before);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		ordinary_make(&pages, 64);
		mlock(pages.at, pages.nr * PAGE);
		pages_drop(&pages);
	}
	sched_setaffinity(0, sizeof(before), &before);
}
