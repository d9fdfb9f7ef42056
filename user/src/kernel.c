// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the module wipes for us: the kernel's copies of registers, and stacks;
 * whichever backend the pages are from. One descriptor of the device is kept, since
 * opening it costs more than the call; who closes it all the same, or puts another
 * file in its place, makes one call fail, which then opens it again. Never asks an
 * older module for what that does not know.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define UNKNOWN (-1)
#define NONE (-2)

/* The features that are asked for here, all of them in a word's low half. */
#define FEATURES                                                   \
	(LETHE_FEATURE_WIPE_RANGE | LETHE_FEATURE_WIPE_REGISTERS | \
	 LETHE_FEATURE_WIPE_STACKS | LETHE_FEATURE_WIPE_OTHERS)

/*
 * A descriptor, and what the module behind it can do: in one word, for whoever reads
 * it to have both of the same module.
 */
static int64_t device = UNKNOWN;

static int64_t pack(int fd, uint64_t features)
{
	return (int64_t)((features & FEATURES) << 32 | (uint32_t)fd);
}

static int descriptor(int64_t packed)
{
	return (int)(uint32_t)packed;
}

static uint64_t features(int64_t packed)
{
	return (uint64_t)packed >> 32;
}

static int64_t open_device(void)
{
	struct lethe_query query = { .size = sizeof(query) };
	int64_t opened = NONE, expected = UNKNOWN;
	struct cancellable was;
	int fd;

	/* A section's end is no place to be cancelled at. */
	cancel_hold(&was);
	fd = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		if (!ioctl(fd, LETHE_IOC_QUERY, &query) && query.features & FEATURES)
			opened = pack(fd, query.features);
		else
			close(fd);
	}
	cancel_release(&was);
	if (!__atomic_compare_exchange_n(&device, &expected, opened, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		/* Another thread was first. */
		if (opened >= 0)
			close(descriptor(opened));
		return expected;
	}
	return opened;
}

/* 0 or -errno. */
static int wipe_by(int64_t opened, struct lethe_wipe *what)
{
	uint64_t needs = 0;

	if (what->flags & LETHE_WIPE_RANGE)
		needs |= LETHE_FEATURE_WIPE_RANGE;
	if (what->flags & LETHE_WIPE_REGISTERS)
		needs |= LETHE_FEATURE_WIPE_REGISTERS;
	if (what->flags & (LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK))
		needs |= LETHE_FEATURE_WIPE_STACKS;
	if (what->tid)
		needs |= LETHE_FEATURE_WIPE_OTHERS;
	if (opened == NONE || needs & ~features(opened))
		return -ENODEV;
	return ioctl(descriptor(opened), LETHE_IOC_WIPE, what) < 0 ? -errno : 0;
}

int kernel_wipe(unsigned int flags, pid_t tid, const void *start, size_t length)
{
	/* The bytes that it wiped are of no use to anybody here. */
	struct lethe_wipe what = { .size = sizeof(what),
				   .flags = flags,
				   .tid = tid,
				   .start = (uintptr_t)start,
				   .length = length };
	int64_t opened = __atomic_load_n(&device, __ATOMIC_ACQUIRE);
	int err;

	if (unlikely(opened == UNKNOWN))
		opened = open_device();
	err = wipe_by(opened, &what);
	if (likely(err != -EBADF && err != -ENOTTY))
		return err;

	/* Not ours any more, so not ours to close. */
	__atomic_compare_exchange_n(&device, &opened, UNKNOWN, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
	return wipe_by(open_device(), &what);
}

void kernel_trim(void)
{
	int64_t opened = __atomic_exchange_n(&device, UNKNOWN, __ATOMIC_ACQ_REL);

	if (opened >= 0)
		close(descriptor(opened));
}
