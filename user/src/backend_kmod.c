// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret pages from lethe.ko: a region for each mapping. Keeps no descriptor
 * open, so that a daemon which closes all of its own loses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static int open_device(void)
{
	int fd = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int probe(void)
{
	struct lethe_query query = { .size = sizeof(query) };
	int device, err = 0;

	device = open_device();
	if (device < 0)
		return device;
	if (ioctl(device, LETHE_IOC_QUERY, &query) < 0)
		err = -errno;
	else if (!(query.features & LETHE_FEATURE_REGIONS) || query.page_size != PAGE)
		err = -EPROTO;
	close(device);
	return err;
}

static int map(void *address, size_t length)
{
	struct lethe_create create = { .size = sizeof(create), .length = length };
	int device, region, err = 0;

	device = open_device();
	if (device < 0)
		return device;
	region = ioctl(device, LETHE_IOC_CREATE, &create);
	if (region < 0)
		err = -errno;
	close(device);
	if (err)
		return err;

	/* A failing mmap() leaves what was at the address. */
	if (mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, region,
		 0) == MAP_FAILED)
		err = -errno;
	close(region);
	return err;
}

const struct backend backend_kmod = {
	.name = "kmod",
	.level = LETHE_LEVEL_UNMAPPED,
	.probe = probe,
	.map = map,
};
