// SPDX-License-Identifier: MIT
/*
 * A zram device that nobody else has, by /sys/class/zram-control: whatever zram0 is
 * used for stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "../../user/lethectl/undo.h"
#include "zram.h"

#define CONTROL "/sys/class/zram-control/"
#define PAGE 4096

static char device[32], number[16];
static int undo_number = -1;

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int add_device(void)
{
	int fd = open(CONTROL "hot_add", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, number, sizeof(number) - 1);
	int err = n > 0 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	if (err)
		return err;
	number[n] = '\0';
	number[strcspn(number, "\n")] = '\0';
	snprintf(device, sizeof(device), "/dev/zram%s", number);
	return 0;
}

/* The kernel takes it away only if it is no swap, and nobody has it open. */
static void undo(void *unused)
{
	char path[64];

	(void)unused;
	if (!number[0])
		return;
	swapoff(device);
	snprintf(path, sizeof(path), "/sys/block/zram%s/reset", number);
	put(path, "1");
	put(CONTROL "hot_remove", number);
	number[0] = '\0';
}

static int write_header(size_t length)
{
	static unsigned char page[PAGE];
	const uint32_t header[] = { 1, (uint32_t)(length / PAGE - 1), 0 };
	int fd = open(device, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	memcpy(page + 1024, header, sizeof(header));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	if (write(fd, page, sizeof(page)) != sizeof(page) || fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

const char *zram_on(size_t length)
{
	char path[64], text[32];
	int err;

	undo_number = undo_push(undo, NULL);
	err = add_device();
	if (err) {
		undo_now(undo_number);
		return err == -ENOENT ? "this kernel has no zram" : strerror(-err);
	}
	snprintf(path, sizeof(path), "/sys/block/zram%s/disksize", number);
	snprintf(text, sizeof(text), "%zu", length);
	err = put(path, text);
	if (!err)
		err = write_header(length);
	if (!err && swapon(device, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK))
		err = -errno;
	if (err)
		undo_now(undo_number);
	return err ? strerror(-err) : NULL;
}

void zram_off(void)
{
	undo_now(undo_number);
}
