/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the device by io_uring share: rings, one command at a time,
 * and pages that are filled. It judges nothing.
 */
#ifndef LETHE_TESTS_URING_H
#define LETHE_TESTS_URING_H

#include <liburing.h>

#include "door.h"
#include "lethe_uring.h"

#define FILL 0xe5
#define ENTRIES 8

/* 0, or -errno where this kernel, or this user, has no such ring. */
UNUSED static int ring_init(struct io_uring *ring, unsigned int entries,
			    unsigned int flags)
{
	struct io_uring_params params = { .flags = flags };

	memset(ring, 0, sizeof(*ring));
	return io_uring_queue_init_params(entries, ring, &params);
}

UNUSED static void must_ring(struct io_uring *ring, unsigned int entries)
{
	int err = ring_init(ring, entries, 0);

	if (err)
		tap_bail("a ring of %u entries: %s", entries, strerror(-err));
}

UNUSED static struct io_uring_sqe *must_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		tap_bail("the submission queue is full");
	return sqe;
}

UNUSED static struct lethe_wipe wipe_of(const void *start, size_t length)
{
	return (struct lethe_wipe){
		.size = sizeof(struct lethe_wipe),
		.flags = LETHE_WIPE_RANGE,
		.start = (uintptr_t)start,
		.length = length,
	};
}

/* The next completion's res; @data, if asked for, is whose it was. */
UNUSED static int next_res(struct io_uring *ring, uint64_t *data)
{
	struct __kernel_timespec long_enough = { .tv_sec = 30 };
	struct io_uring_cqe *cqe;
	int err, res;

	do
		err = io_uring_wait_cqe_timeout(ring, &cqe, &long_enough);
	while (err == -EINTR);
	if (err)
		tap_bail("no completion: %s", strerror(-err));
	res = cqe->res;
	if (data)
		*data = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

UNUSED static void must_submit(struct io_uring *ring)
{
	int nr = io_uring_submit(ring);

	if (nr < 0)
		tap_bail("io_uring_submit: %s", strerror(-nr));
}

/* One command, waited for: its res. */
UNUSED static int ring_call(struct io_uring *ring, uint32_t code, void *args,
			    unsigned int sqe_flags)
{
	struct io_uring_sqe *sqe = must_sqe(ring);

	lethe_prep_call(sqe, door, code, args);
	io_uring_sqe_set_flags(sqe, sqe_flags);
	must_submit(ring);
	return next_res(ring, NULL);
}

/* The bytes wiped, or a negative errno. */
UNUSED static int64_t ring_wipe(struct io_uring *ring, void *start, size_t length,
				unsigned int sqe_flags)
{
	struct lethe_wipe args = wipe_of(start, length);
	int err = ring_call(ring, LETHE_IOC_WIPE, &args, sqe_flags);

	return err ? err : (int64_t)args.wiped;
}

UNUSED static unsigned char *filled(size_t nr)
{
	unsigned char *p = must_map_plain(nr * PAGE);

	memset(p, FILL, nr * PAGE);
	return p;
}

#endif /* LETHE_TESTS_URING_H */
