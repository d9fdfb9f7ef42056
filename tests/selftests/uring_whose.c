// SPDX-License-Identifier: MIT
/*
 * Whose a command is that goes through a ring: that of the task that submits it, on
 * whatever ring; and on no other thread, which is refused with memory as it was.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "uring.h"

/* Not on this thread: refused, each code, and nothing is written. */
static void test_refused(const char *what, unsigned int setup, unsigned int sqe_flags)
{
	struct lethe_create create = { .size = sizeof(create), .length = PAGE };
	struct lethe_query query = { .size = sizeof(query) };
	unsigned char *p = filled(1);
	struct io_uring ring, plain;
	struct lethe_wipe args = wipe_of(p, PAGE);
	int err = ring_init(&ring, ENTRIES, setup);

	if (err) {
		tap_skip(strerror(-err), "%s is refused", what);
		tap_skip(strerror(-err), "and memory is as it was, with %s", what);
		return;
	}
	must_ring(&plain, ENTRIES);
	args.wiped = 77;
	tap_ok(ring_call(&ring, LETHE_IOC_WIPE, &args, sqe_flags) == -EOPNOTSUPP &&
		       ring_call(&ring, LETHE_IOC_CREATE, &create, sqe_flags) ==
			       -EOPNOTSUPP &&
		       ring_call(&ring, LETHE_IOC_QUERY, &query, sqe_flags) ==
			       -EOPNOTSUPP,
	       "%s is EOPNOTSUPP", what);
	tap_ok(all_are(p, FILL, PAGE) && args.wiped == 77 && !query.version &&
		       ring_wipe(&plain, p, PAGE, 0) == PAGE && all_are(p, 0, PAGE),
	       "and all is as it was; on another ring, without, it is wiped");
	io_uring_queue_exit(&ring);
	io_uring_queue_exit(&plain);
	munmap(p, PAGE);
}

/* What a kernel gives to a worker, or has no way for, and another does here. */
static void test_either(const char *what, unsigned int setup, unsigned int sqe_flags)
{
	unsigned char *p = filled(2);
	struct io_uring ring, plain;
	int err = ring_init(&ring, ENTRIES, setup);
	int64_t wiped;

	if (err) {
		tap_skip(strerror(-err), "%s is done, or refused", what);
		return;
	}
	must_ring(&plain, ENTRIES);
	wiped = ring_wipe(&ring, p, PAGE, sqe_flags);
	tap_note("%s: %lld", what, (long long)wiped);
	tap_ok((wiped == PAGE ? all_are(p, 0, PAGE) :
				wiped == -EOPNOTSUPP && all_are(p, FILL, PAGE)) &&
		       ring_wipe(&plain, p + PAGE, PAGE, 0) == PAGE &&
		       all_are(p + PAGE, 0, PAGE),
	       "%s is done, or refused with nothing done", what);
	io_uring_queue_exit(&plain);
	io_uring_queue_exit(&ring);
	munmap(p, 2 * PAGE);
}

/* A ring that came by fork() is its user's. */
static void test_forked(void)
{
	unsigned char *p = filled(1);
	struct io_uring ring;
	pid_t pid;

	must_ring(&ring, ENTRIES);
	pid = must_fork();
	if (!pid)
		_exit(ring_wipe(&ring, p, PAGE, 0) == PAGE && all_are(p, 0, PAGE) ? 0 :
										    1);
	tap_ok(!end_of(pid), "a child wipes its own memory on the parent's ring");
	tap_ok(all_are(p, FILL, PAGE), "and the parent's is as it was");
	/* What liburing has of the ring is this process's own. */
	ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;
	tap_ok(ring_wipe(&ring, p, PAGE, 0) == PAGE && all_are(p, 0, PAGE),
	       "until the parent wipes it, on that ring");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

/* In a child that was there before the ring: the bytes it wiped on that. */
static int64_t wipe_on_taken(int number, struct io_uring_params *params, unsigned char *p)
{
	int parent = syscall(SYS_pidfd_open, getppid(), 0);
	int fd = syscall(SYS_pidfd_getfd, parent, number, 0);
	struct io_uring ring;

	if (fd < 0)
		return -errno;
	if (io_uring_queue_mmap(fd, params, &ring))
		return 0;
	return ring_wipe(&ring, p, PAGE, 0);
}

/* A ring of another process: a socket no longer takes one, but there are other ways. */
static void test_taken(void)
{
	static const char sentence[] =
		"a process wipes its own memory on a ring that it took";
	struct io_uring_params params = { 0 };
	unsigned char *p = filled(1);
	struct io_uring ring;
	int ends[2], end;
	pid_t pid;

	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	pid = must_fork();
	if (!pid) {
		int64_t wiped = -1;
		int number;

		if (read(ends[0], &number, sizeof(number)) == sizeof(number) &&
		    read(ends[0], &params, sizeof(params)) == sizeof(params))
			wiped = wipe_on_taken(number, &params, p);
		_exit(wiped == PAGE && all_are(p, 0, PAGE) ? 0 : wiped == -EPERM ? 2 : 1);
	}
	if (io_uring_queue_init_params(ENTRIES, &ring, &params) ||
	    write(ends[1], &ring.ring_fd, sizeof(int)) != sizeof(int) ||
	    write(ends[1], &params, sizeof(params)) != sizeof(params))
		tap_bail("a ring for another process");
	end = end_of(pid);
	if (end == 2)
		tap_skip("leave to take one", sentence);
	else
		tap_ok(!end && all_are(p, FILL, PAGE), sentence);
	io_uring_queue_exit(&ring);
	close(ends[0]);
	close(ends[1]);
	munmap(p, PAGE);
}

struct visit {
	struct io_uring *ring;
	struct lethe_wipe args;
	int res;
};

static void *visit(void *arg)
{
	struct visit *visit = arg;

	visit->args.tid = gettid();
	visit->res = ring_call(visit->ring, LETHE_IOC_WIPE, &visit->args, 0);
	return NULL;
}

static void test_thread(void)
{
	unsigned char *p = filled(1);
	struct visit there = { .args = wipe_of(p, PAGE) };
	struct io_uring ring;
	pthread_t thread;

	must_ring(&ring, ENTRIES);
	there.ring = &ring;
	if (pthread_create(&thread, NULL, visit, &there))
		tap_bail("pthread_create");
	pthread_join(thread, NULL);
	tap_ok(!there.res && there.args.wiped == PAGE && all_are(p, 0, PAGE),
	       "on another thread's ring, a thread is who submits");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

/* Frame numbers by an entry of this personality; 0 is who submits. */
static int frames_as(struct io_uring *ring, int personality)
{
	uint64_t frames[4];
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES,
		.nr_frames = 4,
		.frames = (uintptr_t)frames,
	};
	struct io_uring_sqe *sqe = must_sqe(ring);

	lethe_prep_query(sqe, door, &args);
	sqe->personality = personality;
	must_submit(ring);
	return next_res(ring, NULL);
}

/* In a child: bits of what went wrong. */
static int with_personalities(void)
{
	struct io_uring ring;
	int root, nobody, bad = 0;

	must_ring(&ring, ENTRIES);
	root = io_uring_register_personality(&ring);
	bad |= frames_as(&ring, 0) ? 1 : 0;
	/* Its capabilities go and come with the effective user. */
	if (setresuid(-1, NOBODY, 0))
		return 64;
	nobody = io_uring_register_personality(&ring);
	bad |= frames_as(&ring, 0) == -EPERM ? 0 : 2;
	bad |= frames_as(&ring, root) ? 4 : 0;
	if (setresuid(-1, 0, 0))
		return 64;
	bad |= frames_as(&ring, nobody) == -EPERM ? 0 : 8;
	bad |= frames_as(&ring, 0) ? 16 : 0;
	return bad;
}

static void test_personality(void)
{
	static const char sentence[] =
		"frame numbers are for whom the entry's personality is: EPERM, or not";
	pid_t pid;
	int bad;

	if (geteuid()) {
		tap_skip("root", sentence);
		return;
	}
	pid = must_fork();
	if (!pid)
		_exit(with_personalities());
	bad = end_of(pid);
	tap_ok(!bad, "%s (%d)", sentence, bad);
}

int main(void)
{
	door_open();
	tap_plan(12);
	test_refused("an entry with IOSQE_ASYNC", 0, IOSQE_ASYNC);
	test_refused("a ring with IORING_SETUP_SQPOLL", IORING_SETUP_SQPOLL, 0);
	test_either("an entry with IOSQE_IO_DRAIN", 0, IOSQE_IO_DRAIN);
	test_either("one on a ring with IORING_SETUP_IOPOLL", IORING_SETUP_IOPOLL, 0);
	test_forked();
	test_taken();
	test_thread();
	test_personality();
	return tap_end();
}
