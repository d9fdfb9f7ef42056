// SPDX-License-Identifier: MIT
/*
 * What the wipe call takes: of a range, beside memset(), which is what one has without
 * it; of registers, beside an ioctl that does nothing; of stacks, by itself and of
 * other threads. Ours and the peer's turns alternate. It wipes nothing of anybody
 * else's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "../selftests/tap.h"
#include "series.h"
#include "vm_wipe.h"

#define RANGE ((size_t)8 << 20)
#define PAGE ((size_t)4096)
#define PART (16 * 1024)
#define SMALL 200 /* calls a round of what is short */
#define LARGE 4

/* A number of the module's that means nothing to it. */
#define NOTHING _IO(LETHE_IOC_MAGIC, 0xff)

static int device;

static void wipe(pid_t tid, uint32_t flags, void *start, size_t length)
{
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = flags,
		.tid = tid,
		.start = (uintptr_t)start,
		.length = length,
	};

	while (ioctl(device, LETHE_IOC_WIPE, &args))
		/* A busy host's guest may not come by in time; that counts. */
		if (errno != EAGAIN)
			tap_bail("LETHE_IOC_WIPE: %s", strerror(errno));
}

static unsigned char *map_range(void)
{
	void *map = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	/* A touch is one page. */
	if (map == MAP_FAILED || madvise(map, RANGE, MADV_NOHUGEPAGE))
		tap_bail("8 MiB: %s", strerror(errno));
	return map;
}

/* Each takes what it does over and over: nanoseconds each time. */
static double by_call(unsigned char *range, int times)
{
	uint64_t start = now();

	for (int i = 0; i < times; i++)
		wipe(0, LETHE_WIPE_RANGE, range, RANGE);
	return (double)(now() - start) / times;
}

static double by_memset(unsigned char *range, int times)
{
	uint64_t start = now();

	for (int i = 0; i < times; i++)
		explicit_bzero(range, RANGE);
	return (double)(now() - start) / times;
}

/* The peer has all of its range in memory, since that is what it does. */
static void bench_ranges(void)
{
	unsigned char *sparse = map_range(), *full = map_range(),
		      *peer_range = map_range();
	struct series part, whole, peer;

	memset(sparse + RANGE / 2, 1, PART);
	memset(full, 1, RANGE);
	memset(peer_range, 1, RANGE);
	for (unsigned int round = 0; round < rounds; round++) {
		part.at[round] = by_call(sparse, SMALL);
		whole.at[round] = by_call(full, LARGE);
		peer.at[round] = by_memset(peer_range, LARGE);
	}
	at_least("LETHE_WIPE_RANGE of 8 MiB, 16 KiB there", "ns", &part, &peer, "memset",
		 median(&peer) / median(&part), 100);
	at_most("LETHE_WIPE_RANGE of 8 MiB, all there", "ns", &whole, &peer, "memset",
		1.3);
	munmap(sparse, RANGE);
	munmap(full, RANGE);
	munmap(peer_range, RANGE);
}

static double bare(void)
{
	uint64_t start = now();

	for (int i = 0; i < SMALL; i++)
		if (ioctl(device, NOTHING) >= 0 || errno != ENOTTY)
			tap_bail("an ioctl that there is not is one");
	return (double)(now() - start) / SMALL;
}

static double of(pid_t tid, uint32_t flags)
{
	uint64_t start = now();

	for (int i = 0; i < SMALL; i++)
		wipe(tid, flags, NULL, 0);
	return (double)(now() - start) / SMALL;
}

static void bench_registers(void)
{
	struct series ours, peer;

	for (unsigned int round = 0; round < rounds; round++) {
		ours.at[round] = of(0, LETHE_WIPE_REGISTERS);
		peer.at[round] = bare();
	}
	at_most("LETHE_WIPE_REGISTERS", "ns", &ours, &peer, "a bare ioctl", 2);
}

/* A thread with as much of dead stack, that sleeps or runs. */
static struct other {
	atomic_int tid;
	atomic_bool ending;
	bool spins;
} other;

static __attribute__((noinline)) void leave_dead_stack(void)
{
	unsigned char frame[PART];

	memset(frame, 1, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void *be_other(void *arg)
{
	(void)arg;
	leave_dead_stack();
	other.tid = gettid();
	while (other.spins && !other.ending)
		__builtin_ia32_pause();
	while (!other.ending)
		usleep(1000 * 1000);
	return NULL;
}

static void begin_other(pthread_t *thread, bool spins)
{
	other.spins = spins;
	other.ending = false;
	other.tid = 0;
	if (pthread_create(thread, NULL, be_other, NULL))
		tap_bail("pthread_create failed");
	while (!other.tid)
		usleep(1000);
}

static void *bench_own_stack(void *ours)
{
	struct series *series = ours;

	for (unsigned int round = 0; round < rounds; round++) {
		leave_dead_stack();
		series->at[round] = of(0, LETHE_WIPE_DEAD_STACK);
	}
	return NULL;
}

static void bench_other(bool spins, const char *metric, const struct series *own)
{
	struct series ours;
	pthread_t thread;

	begin_other(&thread, spins);
	for (unsigned int round = 0; round < rounds; round++)
		ours.at[round] = of(other.tid, LETHE_WIPE_DEAD_STACK);
	other.ending = true;
	pthread_join(thread, NULL);
	row(metric, "ns", &ours, own, "one's own", median(&ours) / median(own), "-", "-");
}

/* All of them of the same size: a thread's own, of 8 MiB. */
static void bench_stacks(void)
{
	struct series own;
	pthread_t thread;

	if (pthread_create(&thread, NULL, bench_own_stack, &own))
		tap_bail("pthread_create failed");
	pthread_join(thread, NULL);
	row_alone("LETHE_WIPE_DEAD_STACK, 16 KiB there, one's own", "ns", &own,
		  "nothing does that", "-", "-");
	bench_other(true, "of that, of a thread that runs", &own);
	bench_other(false, "of that, of a thread that sleeps", &own);
}

void bench_wipes(int door)
{
	device = door;
	bench_ranges();
	bench_registers();
	bench_stacks();
}
