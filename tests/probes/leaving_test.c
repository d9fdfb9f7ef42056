// SPDX-License-Identifier: MIT
/*
 * Every call that copies a buffer away, on secret pages of each kind: seen, once, with
 * who and where. The same call on ordinary memory is counted, and no event.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "../selftests/tap.h"
#include "leaving_run.h"

static int new_socket(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) ? -1 : ends[0];
}

static ssize_t by_write(void *at, size_t length)
{
	return write(null_file(), at, length);
}

static ssize_t by_pwrite(void *at, size_t length)
{
	return pwrite(null_file(), at, length, 0);
}

static char plain[GIVEN];

/* The second of two. */
static const struct iovec *vectors_of(void *at, size_t length)
{
	static struct iovec vectors[2] = { { plain, sizeof(plain) } };

	vectors[1] = (struct iovec){ at, length };
	return vectors;
}

static ssize_t by_writev(void *at, size_t length)
{
	return writev(null_file(), vectors_of(at, length), 2);
}

static ssize_t by_pwritev(void *at, size_t length)
{
	return pwritev(null_file(), vectors_of(at, length), 2, 0);
}

static ssize_t by_pwritev2(void *at, size_t length)
{
	return pwritev2(null_file(), vectors_of(at, length), 2, 0, 0);
}

static ssize_t by_io_submit(void *at, size_t length)
{
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PWRITE,
				.aio_fildes = null_file(),
				.aio_buf = (uintptr_t)at,
				.aio_nbytes = length };
	struct iocb *requests[] = { &request };
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context))
		return -1;
	return syscall(SYS_io_submit, context, 1, requests);
}

static ssize_t by_sendto(void *at, size_t length)
{
	return sendto(new_socket(), at, length, MSG_DONTWAIT, NULL, 0);
}

static struct msghdr message_of(void *at, size_t length)
{
	return (struct msghdr){ .msg_iov = (void *)vectors_of(at, length),
				.msg_iovlen = 2 };
}

static ssize_t by_sendmsg(void *at, size_t length)
{
	struct msghdr message = message_of(at, length);

	return sendmsg(new_socket(), &message, MSG_DONTWAIT);
}

static ssize_t by_sendmmsg(void *at, size_t length)
{
	struct iovec ordinary = { plain, sizeof(plain) };
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_iov = &ordinary, .msg_iovlen = 1 } },
		{ .msg_hdr = message_of(at, length) },
	};

	return sendmmsg(new_socket(), messages, 2, MSG_DONTWAIT);
}

/* Of pages that the kernel will not pin it fails: it was given all the same. */
static ssize_t by_vmsplice(void *at, size_t length)
{
	struct iovec vector = { at, length };
	int ends[2];

	if (pipe(ends))
		return -1;
	if (vmsplice(ends[1], &vector, 1, 0) < 0 && errno != EFAULT)
		return -1;
	return 0;
}

/* One request; with the kernel's own thread that takes it, or without. */
static ssize_t by_ring(void (*prepare)(struct io_uring_sqe *, void *, size_t), void *at,
		       size_t length, unsigned int flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 1000 };
	struct io_uring_cqe *done;
	struct io_uring ring;
	int err = io_uring_queue_init_params(2, &ring, &params);

	if (!err) {
		prepare(io_uring_get_sqe(&ring), at, length);
		err = io_uring_submit_and_wait(&ring, 1) < 0;
	}
	if (!err)
		err = io_uring_wait_cqe(&ring, &done) ?: done->res < 0 ? done->res : 0;
	errno = -err;
	return err ? -1 : 0;
}

static void prepare_write(struct io_uring_sqe *sqe, void *at, size_t length)
{
	io_uring_prep_write(sqe, null_file(), at, length, 0);
}

static void prepare_writev(struct io_uring_sqe *sqe, void *at, size_t length)
{
	io_uring_prep_writev(sqe, null_file(), vectors_of(at, length), 2, 0);
}

static void prepare_send(struct io_uring_sqe *sqe, void *at, size_t length)
{
	io_uring_prep_send(sqe, new_socket(), at, length, MSG_DONTWAIT);
}

static void prepare_sendmsg(struct io_uring_sqe *sqe, void *at, size_t length)
{
	static struct msghdr message;

	message = message_of(at, length);
	io_uring_prep_sendmsg(sqe, new_socket(), &message, MSG_DONTWAIT);
}

static ssize_t by_ring_write(void *at, size_t length)
{
	return by_ring(prepare_write, at, length, 0);
}

static ssize_t by_ring_thread(void *at, size_t length)
{
	return by_ring(prepare_write, at, length, IORING_SETUP_SQPOLL);
}

static ssize_t by_ring_writev(void *at, size_t length)
{
	return by_ring(prepare_writev, at, length, 0);
}

static ssize_t by_ring_send(void *at, size_t length)
{
	return by_ring(prepare_send, at, length, 0);
}

static ssize_t by_ring_sendmsg(void *at, size_t length)
{
	return by_ring(prepare_sendmsg, at, length, 0);
}

static const struct act {
	const char *name;
	enum leaving_way how;
	give_fn *give;
} acts[] = {
	{ "write", LEAVING_WRITE, by_write },
	{ "pwrite64", LEAVING_WRITE, by_pwrite },
	{ "writev", LEAVING_WRITE, by_writev },
	{ "pwritev", LEAVING_WRITE, by_pwritev },
	{ "pwritev2", LEAVING_WRITE, by_pwritev2 },
	{ "io_submit", LEAVING_WRITE, by_io_submit },
	{ "sendto", LEAVING_SEND, by_sendto },
	{ "sendmsg", LEAVING_SEND, by_sendmsg },
	{ "sendmmsg", LEAVING_SEND, by_sendmmsg },
	{ "vmsplice", LEAVING_SPLICE, by_vmsplice },
	{ "an io_uring write", LEAVING_URING, by_ring_write },
	{ "an io_uring write by the kernel's thread", LEAVING_URING, by_ring_thread },
	{ "an io_uring writev", LEAVING_URING, by_ring_writev },
	{ "an io_uring send", LEAVING_URING, by_ring_send },
	{ "an io_uring sendmsg", LEAVING_URING, by_ring_sendmsg },
};

#define ACTS (sizeof(acts) / sizeof(acts[0]))

static void test_act(const struct act *act, enum kind kind)
{
	struct leaving_counts before = leaving_now(), after;
	pid_t child = leaving_in_child(act->give, kind, PAGE, GIVEN);
	struct event event = {};
	bool counted;

	after = leaving_now();
	counted = after.calls[act->how] > before.calls[act->how];
	if (leaving_run->error == ENOSYS || leaving_run->error == EPERM) {
		tap_skip(strerror(leaving_run->error), "%s of %s memory", act->name,
			 kind_names[kind]);
		return;
	}
	if (leaving_run->error)
		tap_note("%s: %s", act->name, strerror(leaving_run->error));
	if (kind == ORDINARY)
		tap_ok(!leaving_run->error && counted && !leaving_told(child),
		       "%s of ordinary memory is counted, and no event", act->name);
	else
		tap_ok(!leaving_run->error && counted &&
			       after.secret[act->how] > before.secret[act->how] &&
			       leaving_told_once(child, act->how, kind, &event),
		       "%s of %s memory is told once: by whom, where and how much",
		       act->name, kind_names[kind]);
}

#define EDGES 3

static void test_edges(enum kind kind)
{
	struct event event;
	pid_t child = leaving_in_child(by_write, kind, PAGE - 10, GIVEN);

	tap_ok(leaving_told_once(child, LEAVING_WRITE, kind, &event),
	       "a buffer that begins before %s memory and reaches into it is told",
	       kind_names[kind]);
	child = leaving_in_child(by_write, kind, PAGE - GIVEN, GIVEN);
	tap_ok(!leaving_told(child), "one that ends where %s memory begins is not",
	       kind_names[kind]);
	child = leaving_in_child(by_write, kind, 2 * PAGE, GIVEN);
	tap_ok(!leaving_told(child), "nor one that begins where %s memory ends",
	       kind_names[kind]);
}

static bool possible[KINDS];

int main(void)
{
	leaving_begin();
	tap_plan(KINDS * ACTS + (KINDS - 1) * EDGES);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		possible[kind] = kind_possible(kind);
		for (size_t i = 0; i < ACTS; i++) {
			if (possible[kind])
				test_act(&acts[i], kind);
			else
				tap_skip(kind_names[kind], "%s", acts[i].name);
		}
	}
	for (enum kind kind = KMOD; kind < KINDS; kind++) {
		if (possible[kind])
			test_edges(kind);
		else
			for (int i = 0; i < EDGES; i++)
				tap_skip(kind_names[kind], "where a buffer ends");
	}
	leaving_end();
	return tap_end();
}
