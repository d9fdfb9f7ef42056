/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The calls of /dev/lethe for io_uring: submission entries are prepared, as
 * io_uring_prep_*() does it, for a ring of whatever library. It submits nothing,
 * and needs neither liburing nor liblethe: two headers of the kernel's alone.
 *
 *	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
 *
 *	lethe_prep_wipe(sqe, fd, &wipe);	// fd: open(LETHE_DEVICE, O_RDWR)
 *	io_uring_sqe_set_data(sqe, &wipe);
 *	io_uring_submit(&ring);			// wipe.wiped, once its cqe is there
 *
 * The completion's res is what the ioctl returns: zero, a descriptor, or -errno.
 * <linux/lethe.h> has the calls (struct lethe_uring_cmd is how they go through a
 * ring), and what is refused, which is EOPNOTSUPP: entries with IOSQE_ASYNC, all on
 * a ring with IORING_SETUP_SQPOLL, on some kernels those with IOSQE_IO_DRAIN and on
 * a ring with IORING_SETUP_IOPOLL, and a tid of another thread.
 * LETHE_FEATURE_URING in lethe_query.features says that the module has this at all.
 *
 * The structure is the kernel's from io_uring_submit() to the completion: it stays
 * where it is until then, and is not looked at. On one that is on a stack which a
 * wipe of the same submission erases, the results would be zeroed with it.
 *
 * A whole entry is set, also the user_data that io_uring_sqe_set_data() sets, which
 * is kept. Flags (IOSQE_IO_LINK, IOSQE_FIXED_FILE with fd an index, a personality)
 * are for afterwards. Each function writes to the entry and to nothing else: any
 * thread may call it, and a signal handler, for an entry that is its own.
 */
#ifndef LETHE_URING_H
#define LETHE_URING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/io_uring.h>
#include <linux/lethe.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any code: for a later one than those below. */
static inline void lethe_prep_call(struct io_uring_sqe *sqe, int fd, __u32 code,
				   void *args)
{
	struct lethe_uring_cmd payload = { (__u64)(uintptr_t)args, 0 };
	__u64 user_data = sqe->user_data;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = code;
	sqe->user_data = user_data;
	/* Named for its place alone: it is an array without elements. */
	memcpy((unsigned char *)sqe + offsetof(struct io_uring_sqe, cmd), &payload,
	       sizeof(payload));
}

/**
 * lethe_prep_wipe() - prepare LETHE_IOC_WIPE
 * @sqe: an entry of the ring's
 * @fd: of LETHE_DEVICE
 * @args: as for the ioctl; @tid is zero, or the thread's that submits
 *
 * What is wiped is the memory, and what is left of the registers, of the thread
 * that submits.
 */
static inline void lethe_prep_wipe(struct io_uring_sqe *sqe, int fd,
				   struct lethe_wipe *args)
{
	lethe_prep_call(sqe, fd, LETHE_IOC_WIPE, args);
}

/**
 * lethe_prep_create() - prepare LETHE_IOC_CREATE
 * @sqe: an entry of the ring's
 * @fd: of LETHE_DEVICE
 * @args: as for the ioctl
 *
 * The completion's res is a close-on-exec descriptor. EBUSY during a hibernation,
 * which the ioctl waits for.
 */
static inline void lethe_prep_create(struct io_uring_sqe *sqe, int fd,
				     struct lethe_create *args)
{
	lethe_prep_call(sqe, fd, LETHE_IOC_CREATE, args);
}

/**
 * lethe_prep_query() - prepare LETHE_IOC_QUERY
 * @sqe: an entry of the ring's
 * @fd: of LETHE_DEVICE
 * @args: as for the ioctl
 *
 * Frame numbers are for CAP_SYS_ADMIN, of the entry's personality if it has one.
 */
static inline void lethe_prep_query(struct io_uring_sqe *sqe, int fd,
				    struct lethe_query *args)
{
	lethe_prep_call(sqe, fd, LETHE_IOC_QUERY, args);
}

#ifdef __cplusplus
}
#endif

#endif /* LETHE_URING_H */
