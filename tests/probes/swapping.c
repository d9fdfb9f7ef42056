// SPDX-License-Identifier: MIT
/*
 * Somewhere to swap to, for the time of a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include <linux/fs.h>

#include "../selftests/tap.h"
#include "swapping.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* The first page of it: mkswap's. */
struct swap_header {
	char boot[1024];
	unsigned int version, last_page, bad_pages;
	unsigned char uuid[16], label[16];
	char rest[PAGE - 1024 - 12 - 32 - 10];
	char magic[10];
};

_Static_assert(sizeof(struct swap_header) == PAGE, "one page");

static struct {
	char path[PATH_MAX];
	bool on, file;
	off_t end;
	pid_t pid;
} swapping;

void swapping_end(void)
{
	/* A child of the test ends without it. */
	if (swapping.pid != getpid())
		return;
	if (swapping.on && swapoff(swapping.path))
		tap_note("swapoff %s: %s", swapping.path, strerror(errno));
	if (swapping.file)
		unlink(swapping.path);
	swapping.on = swapping.file = false;
}

static void on_signal(int number)
{
	swapping_end();
	_exit(128 + number);
}

static bool write_header(int fd, unsigned long pages)
{
	struct swap_header header = { .version = 1, .last_page = pages - 1 };

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	return pwrite(fd, &header, sizeof(header), 0) == sizeof(header);
}

/* Without a hole: each page of it is written. */
static bool write_all(int fd, unsigned long pages)
{
	static const char zero[1 << 16];
	unsigned long i;

	for (i = 0; i < pages * PAGE / sizeof(zero); i++) {
		if (write(fd, zero, sizeof(zero)) != sizeof(zero))
			return false;
	}
	return true;
}

static const char *begin(const char *disk, unsigned long pages)
{
	unsigned long long size;
	ssize_t length;
	int fd;

	if (disk) {
		snprintf(swapping.path, sizeof(swapping.path), "%s", disk);
		fd = open(disk, O_RDWR | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
			return "the disk cannot be opened";
		pages = size / PAGE - SCRATCH;
		swapping.end = pages * PAGE;
	} else {
		length = readlink("/proc/self/exe", swapping.path,
				  sizeof(swapping.path) - 16);
		if (length < 0)
			return "no /proc";
		strcpy(swapping.path + length, ".swap");
		fd = open(swapping.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			return "no file can be made";
		swapping.file = true;
		if (!write_all(fd, pages))
			return "no room on the disk";
	}
	if (!write_header(fd, pages) || fsync(fd))
		return "swap cannot be written to";
	close(fd);
	/* Before all others. */
	if (swapon(swapping.path, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK))
		return errno == EINVAL ? "no swap file can be on this file system" :
					 "swapon is refused";
	swapping.on = true;
	return NULL;
}

const char *swapping_begin(const char *env, unsigned long pages)
{
	swapping.pid = getpid();
	atexit(swapping_end);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	return begin(getenv(env), pages);
}

int swapping_scratch(off_t *offset)
{
	char path[PATH_MAX + 8];
	int fd;

	*offset = swapping.end;
	if (!swapping.file)
		return open(swapping.path, O_RDWR | O_DIRECT | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s.direct", swapping.path);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	unlink(path);
	return fd;
}

bool page_out(const struct pages *pages)
{
	int tries;
	size_t i;

	/* What is in a processor's list, or was touched just now, goes at a later one. */
	for (tries = 0; tries < 50; tries++) {
		madvise(pages->at, pages->nr * PAGE, MADV_PAGEOUT);
		for (i = 0; i < pages->nr; i++) {
			if (!page_is_swapped(pages->at + i * PAGE))
				break;
		}
		if (i == pages->nr)
			return true;
		drain_lists();
		usleep(20000);
	}
	return false;
}

unsigned long long vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "re");
	unsigned long long value = 0;
	char line[128];

	if (!file)
		tap_bail("no /proc/vmstat");
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
			value = strtoull(line + strlen(name), NULL, 10);
	}
	fclose(file);
	return value;
}
