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

/* A descriptor, or -errno. */
static int make(size_t length)
{
	struct lethe_create create = { .size = sizeof(create), .length = length };
	int device, region;

	device = open_device();
	if (device < 0)
		return device;
	region = ioctl(device, LETHE_IOC_CREATE, &create);
	if (region < 0)
		region = -errno;
	close(device);
	return region;
}

/* With MAP_FIXED at *@address, else it is set. A failure leaves what was there. */
static int map_region(void **address, size_t length, int flags, int region)
{
	void *p = mmap(*address, length, PROT_READ | PROT_WRITE, MAP_SHARED | flags,
		       region, 0);

	if (p == MAP_FAILED)
		return -errno;
	*address = p;
	return 0;
}

static int map(void *address, size_t length)
{
	int region, err;

	region = make(length);
	if (region < 0)
		return region;
	err = map_region(&address, length, MAP_FIXED, region);
	close(region);
	return err;
}

static int copy_fill(int copy, const void *from, size_t length)
{
	void *there = NULL;
	int err;

	err = map_region(&there, length, 0, copy);
	if (err)
		return err;
	copy_secret(there, from, length);
	munmap(there, length);
	return 0;
}

/*
 * The copy was charged to the parent, and would be for as long as the child has it:
 * so the child goes on with one of its own, or, if there is none to be had, with it.
 */
static int copy_adopt(void *address, size_t length, int copy)
{
	void *there = NULL;
	int err;

	if (map(address, length))
		return map_region(&address, length, MAP_FIXED, copy);
	err = map_region(&there, length, 0, copy);
	if (err)
		return err;
	copy_secret(address, there, length);
	munmap(there, length);
	return 0;
}

const struct backend backend_kmod = {
	.name = "kmod",
	.level = LETHE_LEVEL_UNMAPPED,
	.probe = probe,
	.map = map,
	.copy_make = make,
	.copy_fill = copy_fill,
	.copy_adopt = copy_adopt,
};
