// SPDX-License-Identifier: MIT
/*
 * Making areas to swap to, and asking them. What leaves memory is never looked at
 * here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "area.h"

#define PAGE ((size_t)4096)
#define ZRAM "/sys/block/zram0/"
#define ZSWAP "/sys/module/zswap/parameters/"
#define ZSWAP_COUNTS "/sys/kernel/debug/zswap/"
#define DISKS_MAX 8
/* As good as for ever: the emulated machine is slow. */
#define WAIT_SECONDS 60
/* Nothing more comes if nothing came for so long. */
#define STILL_SECONDS 3

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int read_number(const char *path, const char *format, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	int n;

	if (!file)
		return -errno;
	n = fscanf(file, format, number);
	fclose(file);
	return n == 1 ? 0 : -EBADMSG;
}

/* False: it took too long. */
static bool wait_on(time_t begun)
{
	static const struct timespec moment = { 0, 1000 * 1000 };

	nanosleep(&moment, NULL);
	return time(NULL) < begun + WAIT_SECONDS;
}

int area_disk(unsigned int drive, char *path)
{
	char name[64];
	uint64_t serial;

	for (unsigned int i = 0; i < DISKS_MAX; i++) {
		snprintf(name, sizeof(name), "/sys/block/nvme%un1/device/serial", i);
		if (read_number(name, "lethe%" SCNu64, &serial) || serial != drive)
			continue;
		snprintf(path, 32, "/dev/nvme%un1", i);
		return 0;
	}
	return -ENODEV;
}

/* include/linux/swap.h: the first page of an area, as far as it is not zero. */
struct header {
	char boot[1024];
	uint32_t version, last_page;
	char zero[PAGE - 1024 - 8 - 10];
	char magic[10];
};

_Static_assert(sizeof(struct header) == PAGE, "a page");

int area_format(const char *path, uint64_t bytes)
{
	struct header *header = calloc(1, sizeof(*header));
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0 || !header) {
		err = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	header->version = 1;
	header->last_page = bytes / PAGE - 1;
	memcpy(header->magic, "SWAPSPACE2", sizeof(header->magic));
	if (pwrite(fd, header, PAGE, 0) != (ssize_t)PAGE || fsync(fd))
		err = -errno ?: -EIO;
out:
	if (fd >= 0)
		close(fd);
	free(header);
	return err;
}

/* An area has no holes, and none that is only promised: every byte is written. */
static int fill(const char *path, uint64_t bytes)
{
	const size_t piece = 256 * PAGE;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	void *zeros = calloc(1, piece);
	int err = 0;

	if (fd < 0 || !zeros)
		err = fd < 0 ? -errno : -ENOMEM;
	for (uint64_t at = 0; !err && at < bytes; at += piece)
		if (write(fd, zeros, piece) != (ssize_t)piece)
			err = -errno ?: -ENOSPC;
	if (!err && fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(zeros);
	return err;
}

int area_file(const char *disk, const char *path, uint64_t bytes)
{
	char *folder = strdup(path);
	int err = 0;

	if (!folder)
		return -ENOMEM;
	*strrchr(folder, '/') = '\0';
	if (mkdir(folder, 0700) && errno != EEXIST)
		err = -errno;
	if (!err && mount(disk, folder, "ext4", 0, NULL))
		err = -errno;
	free(folder);
	if (!err)
		err = fill(path, bytes);
	return err ?: area_format(path, bytes);
}

int area_zram(uint64_t bytes)
{
	char text[32];
	int err;

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	err = write_text(ZRAM "disksize", text);
	return err ?: area_format("/dev/zram0", bytes);
}

int area_zram_reset(void)
{
	return write_text(ZRAM "reset", "1");
}

int area_zram_stored(uint64_t *pages, uint64_t *forgotten)
{
	uint64_t bytes;
	/* What the pages would take; and the fourth of other numbers. */
	int err = read_number(ZRAM "mm_stat", "%" SCNu64, &bytes);

	*pages = bytes / PAGE;
	return err ?: read_number(ZRAM "io_stat", "%*u %*u %*u %" SCNu64, forgotten);
}

bool area_has_zswap(void)
{
	return access(ZSWAP "enabled", F_OK) == 0;
}

int area_zswap(bool on)
{
	int err = write_text(ZSWAP "enabled", on ? "Y" : "N");

	return err ?: write_text(ZSWAP "max_pool_percent", "50");
}

int area_zswap_holds(uint64_t *stored, uint64_t *given_on)
{
	int err = read_number(ZSWAP_COUNTS "stored_pages", "%" SCNu64, stored);
	uint64_t same;

	/* Of what is the same byte all over an older one keeps that byte alone. */
	if (!read_number(ZSWAP_COUNTS "same_filled_pages", "%" SCNu64, &same))
		*stored -= same;
	return err   ?:
		       read_number(ZSWAP_COUNTS "written_back_pages", "%" SCNu64,
				   given_on);
}

/* What is to be stored is what makes zswap look at its limit. */
static void store_one(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (page == MAP_FAILED)
		return;
	for (size_t i = 0; i < 64; i++)
		page[i] = i;
	madvise(page, PAGE, MADV_PAGEOUT);
	munmap(page, PAGE);
}

int area_zswap_empty(void)
{
	uint64_t stored = 1, before = 0, given_on;
	int err = write_text(ZSWAP "max_pool_percent", "0");
	time_t begun = time(NULL), moved = begun;

	while (!err && stored && time(NULL) <= moved + STILL_SECONDS) {
		if (!wait_on(begun))
			return -ETIMEDOUT;
		/* Each has an older one give on a page or two; a newer one, all. */
		for (int i = 0; i < 8; i++)
			store_one();
		err = area_zswap_holds(&stored, &given_on);
		if (stored != before)
			moved = time(NULL);
		before = stored;
	}
	return err;
}

uint64_t area_vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "re");
	uint64_t value, found = 0;
	char word[64];

	if (!file)
		return 0;
	while (fscanf(file, "%63s %" SCNu64, word, &value) == 2)
		if (!strcmp(word, name))
			found = value;
	fclose(file);
	return found;
}

int area_settle(void)
{
	time_t begun = time(NULL);

	while (area_vmstat("nr_writeback"))
		if (!wait_on(begun))
			return -ETIMEDOUT;
	return 0;
}
