// SPDX-License-Identifier: MIT
/*
 * Ways to have the kernel, or a device, hold on to a page, which all have to be
 * refused; and beside each the way that copies, which works: what is copied is
 * in ordinary memory then.
 *
 * Direct I/O is tried on the block device that LETHE_DISK names, whose first page
 * is overwritten, else on a file in the working directory.
 */
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "rows.h"

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

static const char *splice_word(unsigned char *at)
{
	struct iovec there = { at, sizeof(uint64_t) };
	uint64_t word = 0;
	int ends[2];

	if (pipe(ends) || vmsplice(ends[1], &there, 1, 0) < 0)
		return failed();
	/* The pipe has the page, even if the kernel cannot read that. */
	return read(ends[0], &word, sizeof(word)) < 0 ? "pinned" : seen(word);
}

/*
 * GUP-fast looks at page tables alone, so the page is there: just now, or since
 * long enough that another mapping finds it.
 */
static const char *splice_fresh(struct memory *m, long arg)
{
	(void)arg;
	return splice_word(m->map);
}

static const char *splice_existing(struct memory *m, long arg)
{
	unsigned char *map;

	(void)arg;
	munmap(m->map, LENGTH);
	map = mmap(NULL, LENGTH, RW, MAP_SHARED, m->fd, 0);
	if (map == MAP_FAILED || *(volatile uint64_t *)map != MARK)
		return failed();
	return splice_word(map);
}

/* A file for direct I/O, or -1: where it would be copied it proves nothing. */
static int direct_file(void)
{
	const char *disk = getenv("LETHE_DISK");
	char name[] = "lethe-direct-XXXXXX";
	struct statfs fs;
	int fd, plain;

	if (disk)
		return open(disk, O_RDWR | O_DIRECT | O_EXCL);
	/* tmpfs takes O_DIRECT in later kernels, and copies all the same. */
	if (statfs(".", &fs) || fs.f_type == 0x01021994 || fs.f_type == 0x858458f6)
		return -1;
	plain = mkstemp(name);
	if (plain < 0)
		return -1;
	fd = open(name, O_RDWR | O_DIRECT);
	unlink(name);
	close(plain);
	return fd;
}

static const char *direct_write(struct memory *m, long arg)
{
	unsigned char *copy = must_map_plain(PAGE);
	int fd = direct_file();

	(void)arg;
	if (fd < 0)
		return "SKIP a file for direct I/O: LETHE_DISK";
	if (pwrite(fd, m->map, PAGE, 0) < 0)
		return failed();
	if (pread(fd, copy, PAGE, 0) != (ssize_t)PAGE)
		return failed();
	return seen(*(uint64_t *)copy);
}

static const char *direct_read(struct memory *m, long arg)
{
	unsigned char *zeros = must_map_plain(PAGE);
	int fd = direct_file();

	(void)arg;
	if (fd < 0)
		return "SKIP a file for direct I/O: LETHE_DISK";
	if (pwrite(fd, zeros, PAGE, 0) != (ssize_t)PAGE || pread(fd, m->map, PAGE, 0) < 0)
		return failed();
	return first_word(m) ? "nothing" : "written";
}

/* An io_uring of one entry, without a library. */
static struct {
	int fd;
	struct io_uring_sqe *sqe;
	char *sq, *cq;
	struct io_uring_params params;
} ring;

static const char *ring_open(void)
{
	struct io_uring_params *p = &ring.params;

	ring.fd = syscall(SYS_io_uring_setup, 1, p);
	if (ring.fd < 0)
		return "SKIP io_uring";
	ring.sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, RW,
		       MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
	ring.cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
		       RW, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_CQ_RING);
	ring.sqe = mmap(NULL, p->sq_entries * sizeof(*ring.sqe), RW,
			MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
	return ring.sq == MAP_FAILED || ring.cq == MAP_FAILED || ring.sqe == MAP_FAILED ?
		       failed() :
		       NULL;
}

/* One operation, and its result. */
static int ring_do(int opcode, int fd, const void *at, size_t length)
{
	struct io_uring_params *p = &ring.params;
	struct io_uring_cqe *cqe = (void *)(ring.cq + p->cq_off.cqes);

	memset(ring.sqe, 0, sizeof(*ring.sqe));
	ring.sqe->opcode = opcode;
	ring.sqe->fd = fd;
	ring.sqe->addr = (uintptr_t)at;
	ring.sqe->len = length;
	*(uint32_t *)(ring.sq + p->sq_off.array) = 0;
	__atomic_add_fetch((uint32_t *)(ring.sq + p->sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) !=
	    1)
		return -errno;
	return cqe->res;
}

static const char *ring_fixed(struct memory *m, long arg)
{
	struct iovec buffer = { m->map, LENGTH };
	const char *err = ring_open();

	(void)arg;
	if (err)
		return err;
	return done_if(!syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS,
				&buffer, 1));
}

static const char *ring_write(struct memory *m, long arg)
{
	const char *err = ring_open();
	uint64_t word = 0;
	int ends[2], got;

	(void)arg;
	if (err || pipe(ends))
		return err ? err : failed();
	got = ring_do(IORING_OP_WRITE, ends[1], m->map, sizeof(word));
	if (got < 0)
		return strerrorname_np(-got);
	return read(ends[0], &word, sizeof(word)) < 0 ? failed() : seen(word);
}

static const char *ring_read(struct memory *m, long arg)
{
	const char *err = ring_open();
	uint64_t word = 0;
	int ends[2], got;

	(void)arg;
	if (err || pipe(ends) || write(ends[1], &word, sizeof(word)) != sizeof(word))
		return err ? err : failed();
	got = ring_do(IORING_OP_READ, ends[0], m->map, sizeof(word));
	if (got < 0)
		return strerrorname_np(-got);
	return first_word(m) ? "nothing" : "written";
}

static const char *plain_write(struct memory *m, long arg)
{
	uint64_t word = 0;
	int ends[2];

	(void)arg;
	if (pipe(ends) || write(ends[1], m->map, sizeof(word)) < 0)
		return failed();
	return read(ends[0], &word, sizeof(word)) < 0 ? failed() : seen(word);
}

static const char *plain_read(struct memory *m, long arg)
{
	uint64_t word = 0;
	int ends[2];

	(void)arg;
	if (pipe(ends) || write(ends[1], &word, sizeof(word)) != sizeof(word) ||
	    read(ends[0], m->map, sizeof(word)) < 0)
		return failed();
	return first_word(m) ? "nothing" : "written";
}

/* Two sockets that are connected, by way of the loopback. */
static bool connected(int type, int *from, int *to)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, type, 0);

	*from = socket(AF_INET, type, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    (type == SOCK_STREAM && listen(listener, 1)) ||
	    getsockname(listener, (struct sockaddr *)&at, &length) ||
	    connect(*from, (struct sockaddr *)&at, sizeof(at)))
		return false;
	*to = type == SOCK_STREAM ? accept(listener, NULL, NULL) : listener;
	return *to >= 0;
}

static const char *send_word(struct memory *m, int type, int flags)
{
	uint64_t word = 0;
	int from, to, one = 1;

	if (!connected(type, &from, &to))
		return "SKIP a loopback";
	if (flags && setsockopt(from, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return "SKIP SO_ZEROCOPY";
	if (send(from, m->map, sizeof(word), flags) < 0)
		return failed();
	return recv(to, &word, sizeof(word), 0) < 0 ? "sent" : seen(word);
}

static const char *send_zerocopy(struct memory *m, long type)
{
	return send_word(m, type, MSG_ZEROCOPY);
}

static const char *send_copy(struct memory *m, long type)
{
	return send_word(m, type, 0);
}

static const struct row rows[] = {
	ROW("`vmsplice`, fresh page", splice_fresh, "EFAULT", "EFAULT", "the secret"),
	ROW("`vmsplice`, existing page", splice_existing, "EFAULT", "EFAULT",
	    "the secret"),
	ROW("O_DIRECT `write` from it", direct_write, "EFAULT", "EFAULT", "the secret"),
	ROW("O_DIRECT `read` into it", direct_read, "EFAULT", "EFAULT", "written"),
	ROW("`io_uring_register` IORING_REGISTER_BUFFERS", ring_fixed, "EFAULT", "EFAULT",
	    "done", .anonymous = true),
	ROW("`send` MSG_ZEROCOPY, TCP", send_zerocopy, "EFAULT", "EFAULT", "the secret",
	    .arg = SOCK_STREAM),
	ROW("`send` MSG_ZEROCOPY, UDP", send_zerocopy, "EFAULT", "EFAULT", "the secret",
	    .arg = SOCK_DGRAM),
	ROW("`io_uring` IORING_OP_WRITE from it, a copy", ring_write, "the secret",
	    "the secret", "the secret"),
	ROW("`io_uring` IORING_OP_READ into it, a copy", ring_read, "written", "written",
	    "written"),
	ROW("`write` from it, a copy", plain_write, "the secret", "the secret",
	    "the secret"),
	ROW("`read` into it, a copy", plain_read, "written", "written", "written"),
	ROW("`send` from it, a copy", send_copy, "the secret", "the secret", "the secret",
	    .arg = SOCK_STREAM),
};

ROWS_MAIN(rows)
