// SPDX-License-Identifier: MIT
/*
 * What a wipe takes as one of 64 in a submission, beside an ioctl for each. Whatever
 * the two have in common (the wipe itself) no ring makes less; so a wipe of one byte
 * stands beside it, and an entry that asks for nothing beside an ioctl that does.
 */
#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../selftests/tap.h"
#include "lethe_uring.h"
#include "series.h"
#include "vm_uring.h"

#define NR 64
#define PAGE 4096
#define TIMES 100

/* A number of the module's that means nothing to it. */
#define NOTHING _IO(LETHE_IOC_MAGIC, 0xff)

static int device;
static struct io_uring ring;
static struct lethe_wipe wipes[NR];

/*
 * All that could make it cheaper: file and ring are known by an index, one thread
 * submits, and it is not interrupted for completions.
 */
static void open_ring(void)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		0,
	};
	int err = -EINVAL;

	for (int i = 0; i < 2 && err; i++)
		err = io_uring_queue_init(NR, &ring, flags[i]);
	if (err || io_uring_register_files(&ring, &device, 1) ||
	    io_uring_register_ring_fd(&ring) < 0)
		tap_bail("no ring: %s", strerror(-err));
}

static void set_wipes(unsigned char *pages, size_t length)
{
	for (int i = 0; i < NR; i++)
		wipes[i] = (struct lethe_wipe){
			.size = sizeof(wipes[i]),
			.flags = LETHE_WIPE_RANGE,
			.start = (uintptr_t)pages + i * PAGE,
			.length = length,
		};
}

static void by_ioctls(void)
{
	for (int i = 0; i < NR; i++)
		if (ioctl(device, LETHE_IOC_WIPE, &wipes[i]))
			tap_bail("LETHE_IOC_WIPE: %s", strerror(errno));
}

static void by_no_ioctls(void)
{
	for (int i = 0; i < NR; i++)
		if (ioctl(device, NOTHING) >= 0 || errno != ENOTTY)
			tap_bail("an ioctl that there is not is one");
}

/* One system call: what is done as it is submitted is there as that returns. */
static void submit(void)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;

	if (io_uring_submit(&ring) != NR)
		tap_bail("io_uring_submit");
	io_uring_for_each_cqe(&ring, head, cqe)
	{
		if (cqe->res)
			tap_bail("by io_uring: %s", strerror(-cqe->res));
		nr++;
	}
	if (nr != NR)
		tap_bail("%u completions", nr);
	io_uring_cq_advance(&ring, nr);
}

static void by_ring(void)
{
	for (int i = 0; i < NR; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		lethe_prep_wipe(sqe, 0, &wipes[i]);
		sqe->flags = IOSQE_FIXED_FILE;
	}
	submit();
}

/* The entries are as by_ring() left them: there are as many as the ring has. */
static void by_ring_again(void)
{
	for (int i = 0; i < NR; i++)
		io_uring_get_sqe(&ring);
	submit();
}

static void by_no_ring(void)
{
	for (int i = 0; i < NR; i++)
		io_uring_prep_nop(io_uring_get_sqe(&ring));
	submit();
}

/* Nanoseconds for each of the 64. */
static double each(void (*all)(void))
{
	uint64_t start;

	all();
	start = now();
	for (int i = 0; i < TIMES; i++)
		all();
	return (double)(now() - start) / TIMES / NR;
}

static void measure(void (*ours)(void), void (*theirs)(void), struct series *our,
		    struct series *their)
{
	for (unsigned int round = 0; round < rounds; round++) {
		our->at[round] = each(ours);
		their->at[round] = each(theirs);
	}
}

static void compare_with(const char *metric, void (*ours)(void), void (*theirs)(void))
{
	struct series our, their;

	measure(ours, theirs, &our, &their);
	row(metric, "ns", &our, &their, "an ioctl", median(&our) / median(&their), "-",
	    "-");
}

void bench_uring(int door)
{
	unsigned char *pages = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct series ours, theirs;

	if (pages == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	device = door;
	open_ring();
	set_wipes(pages, PAGE);
	measure(by_ring, by_ioctls, &ours, &theirs);
	at_most("a wipe of 4 KiB, of 64 in a submission", "ns", &ours, &theirs,
		"an ioctl", 0.5);
	compare_with("the same, the entries prepared once", by_ring_again, by_ioctls);
	set_wipes(pages, 1);
	compare_with("the same, of one byte", by_ring, by_ioctls);
	compare_with("64 entries that ask for nothing", by_no_ring, by_no_ioctls);
	/* Else only some time after its end, and the module could not be unloaded. */
	io_uring_unregister_files(&ring);
	io_uring_queue_exit(&ring);
	munmap(pages, NR * PAGE);
}
