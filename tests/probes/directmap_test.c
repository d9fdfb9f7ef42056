// SPDX-License-Identifier: MIT
/*
 * No frame of memfd_secret, of a region or of a section's stack can be read through
 * the direct map, while every frame of ordinary memory can, and what is only locked is
 * ordinary in that. Once they are given up, they can be read again: so what they were
 * before is what they were tried for, and not for being out of reach at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lethe.h>
#include <linux/lethe.h>

#include "../../bpf/directmap.h"
#include "../selftests/tap.h"

#define PAGE 4096UL
#define PAGES 64
/* Of a block that the module takes out of the direct map as a whole. */
#define BLOCK 512
#define FRAMES_MAX 16384
#define KEEP "/sys/module/lethe/parameters/keep_blocks"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static struct layout layout;
static struct directmap_probe *probe;

/* Frames, and how many of them can be read. */
struct batch {
	size_t nr, readable;
	unsigned long long frame[FRAMES_MAX];
};

static void try_all(struct batch *frames)
{
	static unsigned char readable[FRAMES_MAX];
	int err = directmap_probe_ask(probe, frames->frame, readable, frames->nr);

	if (err)
		tap_bail("the probe: %s", strerror(-err));
	frames->readable = 0;
	for (size_t i = 0; i < frames->nr; i++)
		frames->readable += readable[i];
}

/* Those of @pages pages that are there, by pagemap. */
static void look_up(struct batch *frames, const void *start, size_t pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t length = pages * sizeof(*frames->frame);

	if (fd < 0 || pread(fd, frames->frame, length,
			    (uintptr_t)start / PAGE * sizeof(*frames->frame)) != length)
		tap_bail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	for (frames->nr = 0; frames->nr < pages; frames->nr++) {
		if (!(frames->frame[frames->nr] >> 63))
			tap_bail("a page is not there");
		frames->frame[frames->nr] &= (1ULL << 55) - 1;
	}
}

static bool is_of(const struct batch *frames, unsigned long long frame)
{
	for (size_t i = 0; i < frames->nr; i++) {
		if (frames->frame[i] == frame)
			return true;
	}
	return false;
}

/* Beside the @size aligned frames that each of @frames is of, and none of them. */
static void neighbours(struct batch *beside, const struct batch *frames,
		       unsigned long long size)
{
	beside->nr = 0;
	for (size_t i = 0; i < frames->nr; i++) {
		unsigned long long start = frames->frame[i] & ~(size - 1);
		unsigned long long both[] = { start - 1, start + size };

		for (int side = 0; side < 2; side++) {
			if (both[side] < layout.frames && !is_of(frames, both[side]) &&
			    !is_of(beside, both[side]))
				beside->frame[beside->nr++] = both[side];
		}
	}
}

/* Somebody else may hold some of these: that one can be read says that it is not
 * the place that cannot. */
static void test_beside(const struct batch *secret, unsigned long long size,
			const char *what)
{
	static struct batch beside;

	neighbours(&beside, secret, size);
	try_all(&beside);
	tap_note("%zu of %zu frames beside them can be read", beside.readable, beside.nr);
	tap_ok(beside.readable, "and beside those of %s there are some that can", what);
}

static void *map(int flags, int fd, size_t length)
{
	void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (start == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return start;
}

static void test_ordinary(void)
{
	static struct batch frames;
	void *start = map(MAP_PRIVATE | MAP_ANONYMOUS, -1, PAGES * PAGE);
	unsigned long long past = layout.frames;
	unsigned char readable;

	memset(start, 1, PAGES * PAGE);
	look_up(&frames, start, PAGES);
	try_all(&frames);
	tap_ok(frames.readable == PAGES,
	       "every frame of ordinary memory can be read: %zu of %d", frames.readable,
	       PAGES);
	if (mlock(start, PAGES * PAGE))
		tap_bail("mlock: %s", strerror(errno));
	look_up(&frames, start, PAGES);
	try_all(&frames);
	tap_ok(frames.readable == PAGES,
	       "every frame that is only locked can be read: %zu of %d", frames.readable,
	       PAGES);
	munmap(start, PAGES * PAGE);
	tap_ok(directmap_probe_ask(probe, &past, &readable, 1) == -ERANGE,
	       "of what is past the end of RAM nothing is said");
}

static void test_memfd_secret(void)
{
	static struct batch frames;
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);
	void *start;

	if (fd < 0) {
		tap_skip("no memfd_secret", "no frame of memfd_secret can be read");
		tap_skip("no memfd_secret", "and beside them there are some that can");
		tap_skip("no memfd_secret", "once they are given up, they can");
		return;
	}
	if (ftruncate(fd, PAGES * PAGE))
		tap_bail("ftruncate: %s", strerror(errno));
	start = map(MAP_SHARED, fd, PAGES * PAGE);
	memset(start, 1, PAGES * PAGE);
	look_up(&frames, start, PAGES);
	try_all(&frames);
	tap_ok(!frames.readable, "no frame of memfd_secret can be read: %zu of %d",
	       frames.readable, PAGES);
	test_beside(&frames, 1, "memfd_secret");
	munmap(start, PAGES * PAGE);
	close(fd);
	try_all(&frames);
	/* Unless somebody else has made the one or other secret meanwhile. */
	tap_ok(frames.readable > PAGES / 2, "once they are given up, they can: %zu of %d",
	       frames.readable, PAGES);
}

/* Of the region @fd, or, if it is -1, of all. */
static void query(struct batch *frames, int device, int fd)
{
	struct lethe_query query = {
		.size = sizeof(query),
		.flags = LETHE_QUERY_FRAMES | (fd < 0 ? 0 : LETHE_QUERY_REGION),
		.fd = fd,
		.frames = (uintptr_t)frames->frame,
		.nr_frames = FRAMES_MAX,
	};

	if (ioctl(device, LETHE_IOC_QUERY, &query) || query.nr_frames > FRAMES_MAX)
		tap_bail("LETHE_IOC_QUERY: %s", strerror(errno));
	frames->nr = query.nr_frames;
}

static void set_keep(const char *value)
{
	int fd = open(KEEP, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		tap_bail("%s: %s", KEEP, strerror(errno));
	close(fd);
}

static void test_region(int device)
{
	static struct batch frames;
	struct lethe_create create = { .size = sizeof(create), .length = PAGES * PAGE };
	char keep[16] = "";
	int fd = open(KEEP, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, keep, sizeof(keep) - 1) < 0)
		tap_bail("%s: %s", KEEP, strerror(errno));
	close(fd);
	/* A block that is kept stays out of the direct map. */
	set_keep("0");
	fd = ioctl(device, LETHE_IOC_CREATE, &create);
	if (fd < 0)
		tap_bail("LETHE_IOC_CREATE: %s", strerror(errno));
	query(&frames, device, fd);
	try_all(&frames);
	tap_ok(frames.nr == PAGES && !frames.readable,
	       "no frame of a region can be read: %zu of %zu", frames.readable,
	       frames.nr);
	test_beside(&frames, BLOCK, "a region's block");
	close(fd);
	try_all(&frames);
	tap_ok(frames.readable == PAGES, "once it is closed, they can: %zu of %d",
	       frames.readable, PAGES);
	set_keep(keep);
}

struct section {
	int device;
	struct batch frames;
	enum lethe_level level;
};

static void in_section(void *arg)
{
	struct section *section = arg;
	unsigned char here = 1;

	section->level = lethe_level_of(&here);
	if (section->device >= 0)
		query(&section->frames, section->device, -1);
	else
		look_up(&section->frames, &here, 1);
	try_all(&section->frames);
}

static void test_section(int device)
{
	static struct section section;
	int err;

	section.device = device;
	err = lethe_do(in_section, &section);
	if (err)
		tap_bail("lethe_do: %s", strerror(-err));
	tap_note("%s: %zu of %zu frames can be read", lethe_backend(),
		 section.frames.readable, section.frames.nr);
	tap_ok(section.frames.nr && !section.frames.readable ==
					    (section.level == LETHE_LEVEL_UNMAPPED),
	       "a section's stack can be read just where its level says so");
}

int main(void)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	const char *why = "";

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	tap_plan(10);
	if (layout_learn(&layout, &why) || directmap_probe_open(&probe, &layout, &why))
		tap_bail("%s", why);
	test_ordinary();
	test_memfd_secret();
	if (device >= 0) {
		test_region(device);
	} else {
		tap_skip("no " LETHE_DEVICE, "no frame of a region can be read");
		tap_skip("no " LETHE_DEVICE, "and beside those of its blocks some can");
		tap_skip("no " LETHE_DEVICE, "once it is closed, they can");
	}
	test_section(device);
	directmap_probe_close(probe);
	return tap_end();
}
