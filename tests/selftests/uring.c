// SPDX-License-Identifier: MIT
/*
 * The device by io_uring: what the ioctls do, many in one submission, on each kind of
 * ring and in each place of a chain.
 */
#include "uring.h"

/* Another start and length for each, so that none can be taken for another. */
static struct lethe_wipe nth_wipe(unsigned char *p, size_t i)
{
	return wipe_of(p + i * PAGE + i % 61, PAGE - 61 - i % 1021);
}

static void test_many(size_t nr)
{
	struct lethe_wipe *ours = calloc(nr, sizeof(*ours));
	unsigned char *p = filled(nr), *other = filled(nr);
	size_t right = 0, alike = 0;
	struct io_uring ring;

	must_ring(&ring, nr);
	for (size_t i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = must_sqe(&ring);

		ours[i] = nth_wipe(p, i);
		lethe_prep_wipe(sqe, door, &ours[i]);
		io_uring_sqe_set_data64(sqe, i);
	}
	tap_ok(io_uring_submit(&ring) == (int)nr && io_uring_cq_ready(&ring) == nr,
	       "%zu wipes are one submission, and done as that returns", nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t which = nr;

		right += !next_res(&ring, &which) && which < nr &&
			 ours[which].wiped == ours[which].length;
	}
	for (size_t i = 0; i < nr; i++) {
		struct lethe_wipe args = nth_wipe(other, i);

		alike += !call(LETHE_IOC_WIPE, &args) && args.wiped == ours[i].wiped;
	}
	tap_ok(right == nr && alike == nr, "each says its bytes, as its ioctl does");
	tap_ok(!memcmp(p, other, nr * PAGE) && p[61] == 0 && p[PAGE - 1] == FILL,
	       "and memory is what ioctls make of it, to the byte");
	io_uring_queue_exit(&ring);
	munmap(p, nr * PAGE);
	munmap(other, nr * PAGE);
	free(ours);
}

/* A wipe that is wrong in one member. */
static int wrong(struct io_uring *ring, const struct lethe_wipe *args)
{
	return ring_call(ring, LETHE_IOC_WIPE, (void *)args, 0);
}

static void test_structures(struct io_uring *ring, unsigned char *p)
{
	const struct lethe_wipe good = wipe_of(p, PAGE);
	struct {
		struct lethe_wipe known;
		uint64_t tail;
	} more = { .known = good };
	struct lethe_wipe args;

	args = good, args.size = 39;
	tap_ok(wrong(ring, &args) == -EINVAL, "a structure that is too short is EINVAL");
	args.size = PAGE + 1;
	more.known.size = sizeof(more), more.tail = 1;
	tap_ok(wrong(ring, &args) == -E2BIG && wrong(ring, &more.known) == -E2BIG,
	       "one longer than a page, or with an unknown tail, is E2BIG");
	args = good, args.flags = 0;
	tap_ok(wrong(ring, &args) == -EINVAL && (args.flags = 1U << 31) &&
		       wrong(ring, &args) == -EINVAL &&
		       (args = good, args.reserved = 1, wrong(ring, &args)) == -EINVAL,
	       "no flag, an unknown one, and a reserved member are EINVAL");
	args = good, args.tid = getppid();
	tap_ok(wrong(ring, &args) == -EOPNOTSUPP && (args.tid = -1) &&
		       wrong(ring, &args) == -EOPNOTSUPP,
	       "another task's tid is EOPNOTSUPP");
	args = good, args.start = 1ULL << 63;
	tap_ok(wrong(ring, &args) == -EFAULT && wrong(ring, (void *)8) == -EFAULT &&
		       wrong(ring, (void *)(1ULL << 63)) == -EFAULT,
	       "a range, or a structure, past user space is EFAULT");
}

static void test_entries(struct io_uring *ring, unsigned char *p)
{
	struct lethe_wipe args = wipe_of(p, PAGE);
	struct io_uring_sqe *sqe;
	uint64_t word = 1;

	tap_ok(ring_call(ring, 0, &args, 0) == -ENOTTY &&
		       ring_call(ring, 1, &args, 0) == -ENOTTY &&
		       ring_call(ring, _IO(LETHE_IOC_MAGIC, 0xff), &args, 0) == -ENOTTY,
	       "a code that there is not is ENOTTY");
	sqe = must_sqe(ring);
	lethe_prep_wipe(sqe, door, &args);
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd) + 8, &word, 8);
	must_submit(ring);
	tap_ok(next_res(ring, NULL) == -EINVAL, "a reserved word in the entry is EINVAL");
	sqe = must_sqe(ring);
	lethe_prep_wipe(sqe, -1, &args);
	must_submit(ring);
	tap_ok(next_res(ring, NULL) == -EBADF, "a descriptor that there is not is EBADF");
}

static void test_errors(void)
{
	unsigned char *p = filled(1);
	struct io_uring ring;

	must_ring(&ring, ENTRIES);
	test_structures(&ring, p);
	test_entries(&ring, p);
	tap_ok(all_are(p, FILL, PAGE), "and none of that wiped anything");
	tap_ok(ring_wipe(&ring, p, PAGE, 0) == PAGE && all_are(p, 0, PAGE),
	       "which the same entry, right, does");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

static void test_own_tid(void)
{
	unsigned char *p = filled(1);
	struct lethe_wipe args = wipe_of(p, PAGE);
	struct io_uring ring;

	must_ring(&ring, ENTRIES);
	args.tid = gettid();
	tap_ok(!ring_call(&ring, LETHE_IOC_WIPE, &args, 0) && all_are(p, 0, PAGE),
	       "the submitter's own tid is the submitter");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

/* Each of these, linked to the next: what comes of them, one after the other. */
static void test_linked(void)
{
	unsigned char *p = filled(4);
	struct lethe_create create = { .size = sizeof(create), .length = PAGE };
	struct lethe_wipe args[3];
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int res[3];

	must_ring(&ring, ENTRIES);
	for (int i = 0; i < 3; i++) {
		args[i] = wipe_of(p + i * PAGE, PAGE);
		sqe = must_sqe(&ring);
		lethe_prep_wipe(sqe, door, &args[i]);
		io_uring_sqe_set_flags(sqe, i < 2 ? IOSQE_IO_LINK : 0);
	}
	must_submit(&ring);
	for (int i = 0; i < 3; i++)
		res[i] = next_res(&ring, NULL);
	tap_ok(!res[0] && !res[1] && !res[2] && all_are(p, 0, 3 * PAGE),
	       "linked wipes are done one after the other");

	memset(p, FILL, 3 * PAGE);
	args[1].flags = 0;
	for (int i = 0; i < 3; i++) {
		sqe = must_sqe(&ring);
		lethe_prep_wipe(sqe, door, &args[i]);
		io_uring_sqe_set_flags(sqe, i < 2 ? IOSQE_IO_LINK : 0);
	}
	must_submit(&ring);
	for (int i = 0; i < 3; i++)
		res[i] = next_res(&ring, NULL);
	tap_ok(!res[0] && res[1] == -EINVAL && res[2] == -ECANCELED &&
		       all_are(p, 0, PAGE) && all_are(p + PAGE, FILL, 2 * PAGE),
	       "behind one that fails, the next is not done");

	/* A descriptor is a positive number, and no failure. */
	sqe = must_sqe(&ring);
	lethe_prep_create(sqe, door, &create);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	lethe_prep_wipe(must_sqe(&ring), door, &args[2]);
	must_submit(&ring);
	res[0] = next_res(&ring, NULL);
	res[1] = next_res(&ring, NULL);
	tap_ok(res[0] >= 0 && !res[1] && all_are(p + 2 * PAGE, 0, PAGE),
	       "behind a region that is made, it is");
	close(res[0]);
	io_uring_queue_exit(&ring);
	munmap(p, 4 * PAGE);
}

static long milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * It runs as this task goes on, and not before what it waits for. A task that comes too
 * late to see that waits for longer.
 */
static void test_behind_timeout(void)
{
	unsigned char *p = filled(1);
	struct lethe_wipe args;
	struct io_uring ring;
	bool early, late = true;
	int res[2];

	must_ring(&ring, ENTRIES);
	for (long wait = 50; late && wait < 10000; wait *= 2) {
		struct __kernel_timespec soon = { wait / 1000, wait % 1000 * 1000000 };
		long begun = milliseconds();
		struct io_uring_sqe *sqe = must_sqe(&ring);

		memset(p, FILL, PAGE);
		args = wipe_of(p, PAGE);
		/* Its end is ETIME, and goes for a success with this flag. */
		io_uring_prep_timeout(sqe, &soon, 0, IORING_TIMEOUT_ETIME_SUCCESS);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		lethe_prep_wipe(must_sqe(&ring), door, &args);
		must_submit(&ring);
		early = !all_are(p, FILL, PAGE);
		late = milliseconds() - begun >= wait;
		res[0] = next_res(&ring, NULL);
		res[1] = next_res(&ring, NULL);
	}
	tap_ok(!late && !early && res[0] == -ETIME && !res[1] && args.wiped == PAGE &&
		       all_are(p, 0, PAGE),
	       "behind a timeout it is done after that, by this task");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

static void test_setup(const char *what, unsigned int setup)
{
	unsigned char *p = filled(1);
	struct io_uring ring;
	int err = ring_init(&ring, ENTRIES, setup);

	if (err) {
		tap_skip(strerror(-err), "on a ring with %s it is wiped", what);
		return;
	}
	tap_ok(ring_wipe(&ring, p, PAGE, 0) == PAGE && all_are(p, 0, PAGE),
	       "on a ring with %s it is wiped", what);
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

static void test_registered(void)
{
	unsigned char *p = filled(1);
	struct lethe_wipe args = wipe_of(p, PAGE);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	must_ring(&ring, ENTRIES);
	if (io_uring_register_files(&ring, &door, 1) ||
	    io_uring_register_ring_fd(&ring) < 0)
		tap_bail("a registered file");
	sqe = must_sqe(&ring);
	lethe_prep_wipe(sqe, 0, &args);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	must_submit(&ring);
	tap_ok(!next_res(&ring, NULL) && args.wiped == PAGE && all_are(p, 0, PAGE),
	       "by a registered file, on a registered ring");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

static void test_query(void)
{
	struct lethe_query ours = { .size = sizeof(ours) }, theirs = must_query();
	struct io_uring ring;

	must_ring(&ring, ENTRIES);
	tap_ok(!ring_call(&ring, LETHE_IOC_QUERY, &ours, 0) &&
		       ours.version == theirs.version &&
		       ours.features == theirs.features &&
		       ours.block_size == theirs.block_size &&
		       ours.features & LETHE_FEATURE_URING,
	       "a query says what the ioctl says, this feature among it");
	io_uring_queue_exit(&ring);
}

static void test_create(void)
{
	struct lethe_create args = { .size = sizeof(args), .length = 3 * PAGE };
	struct io_uring ring;
	unsigned char *p;
	int fd;

	must_ring(&ring, ENTRIES);
	fd = ring_call(&ring, LETHE_IOC_CREATE, &args, 0);
	if (!tap_ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC,
		    "a region is a close-on-exec descriptor"))
		tap_bail("no region: %s", strerror(-fd));
	io_uring_queue_exit(&ring);
	p = must_map(fd, 3 * PAGE);
	close(fd);
	tap_ok(all_are(p, 0, 3 * PAGE) && memset(p, FILL, 3 * PAGE) &&
		       all_are(p, FILL, 3 * PAGE),
	       "and works, when the ring is gone");
	munmap(p, 3 * PAGE);
}

/* Each flag, alone and with a range, is to a ring what it is to the ioctl. */
static void test_flags(void)
{
	static const uint32_t flags[] = {
		LETHE_WIPE_REGISTERS,
		LETHE_WIPE_REGISTERS | LETHE_WIPE_RANGE,
		LETHE_WIPE_DEAD_STACK,
		LETHE_WIPE_SIGSTACK,
	};
	const size_t nr = sizeof(flags) / sizeof(flags[0]);
	unsigned char *p = filled(1);
	struct io_uring ring;
	bool zeroed = false;
	size_t alike = 0;

	must_ring(&ring, ENTRIES);
	for (size_t i = 0; i < nr; i++) {
		struct lethe_wipe ours = { .size = sizeof(ours), .flags = flags[i] };
		struct lethe_wipe theirs;
		int ret, res;

		if (flags[i] & LETHE_WIPE_RANGE)
			ours = wipe_of(p, PAGE);
		ours.flags = flags[i];
		theirs = ours;
		ret = call(LETHE_IOC_WIPE, &theirs);
		memset(p, FILL, PAGE);
		res = ring_call(&ring, LETHE_IOC_WIPE, &ours, 0);
		zeroed |= all_are(p, 0, PAGE);
		tap_note("flags %#x: %d, by the ioctl %d", flags[i], res, ret);
		alike += res == ret;
	}
	tap_ok(alike == nr && (zeroed ||
			       !(must_query().features & LETHE_FEATURE_WIPE_REGISTERS)),
	       "the registers, and all else to wipe, as the ioctl has it");
	io_uring_queue_exit(&ring);
	munmap(p, PAGE);
}

/* Opening it begins one; for that nobody else may have a region. */
static void test_hibernation(void)
{
	static const char sentence[] = "during a hibernation CREATE does not wait: EBUSY";
	struct lethe_create args = { .size = sizeof(args), .length = PAGE };
	struct io_uring ring;
	int snapshot, during, after;

	if (geteuid()) {
		tap_skip("root", sentence);
		return;
	}
	if (flock(door, LOCK_EX))
		tap_bail("flock: %s", strerror(errno));
	snapshot = open("/dev/snapshot", O_RDONLY | O_CLOEXEC);
	if (snapshot < 0) {
		tap_skip("/dev/snapshot", sentence);
		return;
	}
	must_ring(&ring, ENTRIES);
	during = ring_call(&ring, LETHE_IOC_CREATE, &args, 0);
	close(snapshot);
	after = ring_call(&ring, LETHE_IOC_CREATE, &args, 0);
	tap_ok(during == -EBUSY && after >= 0, sentence);
	close(after);
	io_uring_queue_exit(&ring);
}

int main(void)
{
	door_open();
	tap_plan(29);
	test_many(64);
	test_many(1000);
	test_errors();
	test_own_tid();
	test_linked();
	test_behind_timeout();
	test_setup("DEFER_TASKRUN",
		   IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	test_setup("SQE128 and CQE32", IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	test_registered();
	test_query();
	test_create();
	test_flags();
	test_hibernation();
	return tap_end();
}
