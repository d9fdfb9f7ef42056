// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * All memory of a stopped process, to the engine. Of anonymous memory only pages that
 * there are, by the page map; of a file what is in it, and what was written to a copy of
 * its pages. What the kernel refuses is counted, and never taken for clean.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "output.h"
#include "scan.h"

#define PAGE 4096ULL
/* A file that cannot be opened, to see where its holes are, is read whole up to here. */
#define HUGE_FILE (1ULL << 30)

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)

/* Of Linux 6.7, and in no header of Debian 12. */
struct scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct scan_range {
	__u64 start, end, categories;
};

#define PAGEMAP_SCAN _IOWR('f', 16, struct scan_arg)
#define IS_PRESENT (1ULL << 3)
#define IS_SWAPPED (1ULL << 4)
#define IS_ZERO (1ULL << 5)

ssize_t memory_read(const struct scan *scan, uint64_t address, void *to, size_t length)
{
	struct iovec local = { .iov_base = to, .iov_len = length };
	struct iovec remote = { .iov_base = (void *)address, .iov_len = length };
	ssize_t n;

	/* Where there is no process, it is a file. */
	n = scan->stopped.alive ?
		    process_vm_readv(scan->stopped.alive, &local, 1, &remote, 1, 0) :
		    0;
	if (n > 0 || (n < 0 && errno == ESRCH))
		return n < 0 ? -errno : n;
	/* This way also what the process itself may not read now. */
	n = pread(scan->memory, to, length, (off_t)address);
	return n < 0 ? -errno : n ? n : -ESRCH;
}

/* The next range of pages in [@from, @end) that there are; false: none. */
static bool populated(const struct scan *scan, uint64_t from, uint64_t end,
		      uint64_t *range_start, uint64_t *range_end)
{
	static bool no_scan;
	struct scan_range range;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = from,
		.end = end,
		.vec = (uintptr_t)&range,
		.vec_len = 1,
		.category_inverted = IS_ZERO,
		.category_mask = IS_ZERO,
		.category_anyof_mask = IS_PRESENT | IS_SWAPPED,
		.return_mask = IS_PRESENT | IS_SWAPPED,
	};
	uint64_t entries[8192], at = from, n, i;
	bool in = false;
	int got;

	if (!no_scan) {
		got = ioctl(scan->pagemap, PAGEMAP_SCAN, &arg);
		*range_start = range.start;
		*range_end = range.end;
		if (got >= 0)
			return got > 0;
		no_scan = true;
	}
	for (; at < end; at += n * PAGE) {
		n = (end - at) / PAGE;
		if (n > sizeof(entries) / sizeof(entries[0]))
			n = sizeof(entries) / sizeof(entries[0]);
		/* If it cannot be asked, all of it is read. */
		if (pread(scan->pagemap, entries, n * 8, (off_t)(at / PAGE * 8)) !=
		    (ssize_t)(n * 8))
			memset(entries, 0xff, n * 8);
		for (i = 0; i < n; i++) {
			if (!(entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) == !in)
				continue;
			*(in ? range_end : range_start) = at + i * PAGE;
			if (in)
				return true;
			in = true;
		}
	}
	*range_end = end;
	return in;
}

/* The very file that is mapped, or -1. */
static int open_file(const struct scan *scan, const struct map *map)
{
	char path[4200];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)scan->pid,
		 (unsigned long long)map->start, (unsigned long long)map->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", (int)scan->pid,
			 map->name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (fd >= 0 &&
	    (fstat(fd, &st) || st.st_ino != map->inode || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool read_page(struct scan *scan, uint64_t page)
{
	return memory_read(scan, page, scan->peeked, PAGE) == (ssize_t)PAGE;
}

/*
 * A page that is not there, as it would be. Read through the process it would be there from
 * then on, and be searched; what lies behind it would be looked at for that, and so on: to
 * the end of what may be terabytes, or all of what a file system has.
 */
static bool imagine_page(struct scan *scan, const struct map *map, uint64_t page)
{
	ssize_t n;
	int fd;

	/* Huge pages are few; and for userfaultfd(2) it is the process that brings one. */
	if (map->huge || map->faults)
		return false;
	if (map->kind != KIND_FILE) {
		memset(scan->peeked, 0, PAGE);
		return true;
	}
	fd = open_file(scan, map);
	if (fd < 0)
		return map->end - map->start <= HUGE_FILE && read_page(scan, page);
	n = pread(fd, scan->peeked, PAGE, (off_t)(page - map->start + map->offset));
	close(fd);
	if (n <= 0)
		return false;
	memset(scan->peeked + n, 0, PAGE - (size_t)n);
	return true;
}

static bool peek_page(struct scan *scan, uint64_t page)
{
	const struct map *map = maps_find(&scan->maps, page);
	uint64_t start, end;

	/* To read a device can make it do something. */
	if (map && map->io)
		return false;
	if (!map || map->kind == KIND_KERNEL || map->kind == KIND_SECRET ||
	    map->kind == KIND_DEVICE || !strcmp(map->name, "[vdso]") ||
	    populated(scan, page, page + PAGE, &start, &end))
		return read_page(scan, page);
	return imagine_page(scan, map, page);
}

int memory_peek(void *arg, uint64_t address)
{
	struct scan *scan = arg;
	uint64_t page = address & ~(PAGE - 1);

	if (page != scan->peeked_at) {
		scan->peeked_at = 0;
		if (!peek_page(scan, page))
			return -1;
		scan->peeked_at = page;
	}
	return scan->peeked[address - page];
}

static void refuse(struct map *map, uint64_t address, uint64_t length, int why)
{
	if (!map->refused) {
		map->refused_at = address;
		map->refused_why = why;
	}
	map->refused += length;
}

/* Behind a file's end there is nothing to be read. */
static bool is_nothing(const struct scan *scan, const struct map *map, uint64_t page)
{
	uint64_t start, end;

	return map->kind == KIND_FILE &&
	       !populated(scan, page, page + PAGE, &start, &end);
}

/* 0; or -errno when there is no process any more. */
static int feed(struct scan *scan, struct map *map, uint64_t from, uint64_t end)
{
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;
	static uint64_t shown;
	uint64_t length, skip;
	ssize_t n;

	for (; from < end; from += (uint64_t)n) {
		length = end - from < SCAN_BUFFER ? end - from : SCAN_BUFFER;
		n = memory_read(scan, from, buffer, length);
		if (n == -ESRCH)
			return -ESRCH;
		if (n > 0) {
			engine_feed(scan->engine, from, buffer, (size_t)n);
			map->searched += (uint64_t)n;
			if (engine_bytes(scan->engine) >> 26 != shown) {
				shown = engine_bytes(scan->engine) >> 26;
				progress("searched %llu MiB",
					 (unsigned long long)shown << 6);
			}
			continue;
		}
		/* Of these none is read if one is not. */
		skip = map->kind == KIND_SECRET || map->kind == KIND_DEVICE ? end - from :
									      PAGE;
		if (skip > PAGE || !is_nothing(scan, map, from))
			refuse(map, from, skip, (int)-n);
		n = (ssize_t)skip;
	}
	return 0;
}

static int feed_populated(struct scan *scan, struct map *map, uint64_t from, uint64_t end)
{
	uint64_t range_start, range_end;
	int err = 0;

	while (!err && from < end &&
	       populated(scan, from, end, &range_start, &range_end)) {
		err = feed(scan, map, range_start, range_end);
		from = range_end;
	}
	return err;
}

/* What is in the file, and between that, where it has holes, pages that there are. */
static int feed_file(struct scan *scan, struct map *map)
{
	uint64_t at = map->start, data, hole, had;
	int fd = open_file(scan, map), err = 0;
	off_t offset;

	while (!err && at < map->end && fd >= 0) {
		offset = lseek(fd, (off_t)(at - map->start + map->offset), SEEK_DATA);
		if (offset < 0 && errno != ENXIO) {
			close(fd);
			fd = -1;
			break;
		}
		data = offset < 0 ? map->end :
				    (uint64_t)offset - map->offset + map->start;
		data &= ~(PAGE - 1);
		if (data > map->end)
			data = map->end;
		err = feed_populated(scan, map, at, data);
		if (err || data == map->end) {
			at = map->end;
			break;
		}
		offset = lseek(fd, offset, SEEK_HOLE);
		hole = offset < 0 ? map->end :
				    (uint64_t)offset - map->offset + map->start;
		hole = (hole + PAGE - 1) & ~(PAGE - 1);
		if (hole > map->end)
			hole = map->end;
		err = feed(scan, map, data, hole);
		at = hole;
	}
	if (fd >= 0)
		close(fd);
	/* Reading holes of shared memory would fill them. */
	if (!err && map->end - at > HUGE_FILE) {
		had = map->searched;
		err = feed_populated(scan, map, at, map->end);
		refuse(map, at, map->end - at - (map->searched - had), EACCES);
		return err;
	}
	return err ? err : feed(scan, map, at, map->end);
}

/* What is in the file and in no page table: it is not read through the process. */
static void feed_gap(struct scan *scan, struct map *map, int fd, uint64_t from,
		     uint64_t end)
{
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;
	uint64_t length;
	ssize_t n = 0;

	for (; from < end; from += (uint64_t)n) {
		length = end - from < SCAN_BUFFER ? end - from : SCAN_BUFFER;
		n = pread(fd, buffer, length, (off_t)(from - map->start + map->offset));
		if (n <= 0)
			break;
		engine_feed(scan->engine, from, buffer, (size_t)n);
		map->searched += (uint64_t)n;
	}
	if (n < 0)
		refuse(map, from, end - from, errno);
}

/*
 * What is not there is not to be read through the process: of hugetlbfs that would take a
 * page for it, of few, and with userfaultfd(2) wait for who is stopped. But read(2) of the
 * file does neither. Private and without a name it is nobody else's.
 */
static int feed_gaps(struct scan *scan, struct map *map)
{
	bool own = map->rights[3] == 'p' && !strncmp(map->name, "/anon_hugepage", 14);
	uint64_t from = map->start, range_start, range_end;
	int fd = own ? -1 : open_file(scan, map), err = 0;

	for (; !err && from < map->end; from = range_end) {
		if (!populated(scan, from, map->end, &range_start, &range_end))
			range_start = range_end = map->end;
		if (fd >= 0)
			feed_gap(scan, map, fd, from, range_start);
		else if (!own && range_start > from)
			refuse(map, from, range_start - from, EACCES);
		err = feed(scan, map, range_start, range_end);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int memory_scan(struct scan *scan)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < scan->maps.nr; i++) {
		struct map *map = &scan->maps.map[i];

		if (map->kind == KIND_KERNEL)
			continue;
		/* To read a device can make it do something. */
		if (map->io)
			refuse(map, map->start, map->end - map->start, EFAULT);
		else if (map->huge || (map->faults && map->kind == KIND_FILE))
			err = feed_gaps(scan, map);
		else if (map->kind == KIND_FILE)
			err = feed_file(scan, map);
		else if (map->kind == KIND_SECRET || map->kind == KIND_DEVICE ||
			 !strcmp(map->name, "[vdso]"))
			err = feed(scan, map, map->start, map->end);
		else if (map->populated)
			err = feed_populated(scan, map, map->start, map->end);
	}
	engine_flush(scan->engine);
	return err;
}
