// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The kernel's copies of the caller's registers, erased by the module: whichever
 * backend the pages are from. One descriptor of the device is kept, since opening
 * it costs more than the call; who closes it all the same, or puts another file in
 * its place, makes one call fail, which then opens it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

#define UNKNOWN (-1)
#define NONE (-2)

static int device = UNKNOWN;

static int open_device(void)
{
	struct lethe_query query = { .size = sizeof(query) };
	struct cancellable was;
	int fd, expected = UNKNOWN;

	/* A section's end is no place to be cancelled at. */
	cancel_hold(&was);
	fd = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && (ioctl(fd, LETHE_IOC_QUERY, &query) < 0 ||
			!(query.features & LETHE_FEATURE_WIPE_REGISTERS))) {
		close(fd);
		fd = -1;
	}
	cancel_release(&was);
	if (!__atomic_compare_exchange_n(&device, &expected, fd < 0 ? NONE : fd, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
	    fd >= 0) {
		/* Another thread was first. */
		close(fd);
		return expected;
	}
	return fd < 0 ? NONE : fd;
}

/* 0 or -errno. */
static int wipe_by(int fd)
{
	struct lethe_wipe wipe = { .size = sizeof(wipe), .flags = LETHE_WIPE_REGISTERS };

	return ioctl(fd, LETHE_IOC_WIPE, &wipe) < 0 ? -errno : 0;
}

int kernel_wipe(void)
{
	int fd = __atomic_load_n(&device, __ATOMIC_ACQUIRE);
	int err;

	if (fd == UNKNOWN)
		fd = open_device();
	if (fd == NONE)
		return -ENODEV;
	err = wipe_by(fd);
	if (err != -EBADF && err != -ENOTTY)
		return err;

	/* Not ours any more, so not ours to close. */
	__atomic_compare_exchange_n(&device, &fd, UNKNOWN, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
	fd = open_device();
	return fd == NONE ? -ENODEV : wipe_by(fd);
}

void kernel_trim(void)
{
	int fd = __atomic_exchange_n(&device, UNKNOWN, __ATOMIC_ACQ_REL);

	if (fd >= 0)
		close(fd);
}
