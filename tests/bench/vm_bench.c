// SPDX-License-Identifier: MIT
/*
 * What regions cost, wipes by io_uring, and sections, beside what they compete with,
 * in one guest: ours and the peer's runs alternate, so that a busy host slows both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../selftests/door.h"
#include "../selftests/knobs.h"
#include "series.h"
#include "stack.h"
#include "vm_section.h"
#include "vm_uring.h"
#include "vm_wipe.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define LIVE 10000
#define SAMPLES 200
#define SLICE_NS 200000000ULL
#define THREAD_PAGES 16

/* The number behind a word at the start of a line. */
static double number_in(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256];
	double number = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word)))
			number = strtod(line + strlen(word), NULL);
	if (file)
		fclose(file);
	if (number < 0)
		tap_bail("%s has no %s", path, word);
	return number;
}

/* What splits the direct map, for whoever is under measurement. */
struct direct_map {
	double kib, splits;
};

static struct direct_map direct_map(void)
{
	return (struct direct_map){
		.kib = number_in("/proc/meminfo", "DirectMap4k:"),
		.splits = number_in("/proc/vmstat", "direct_map_level2_splits"),
	};
}

static int open_region(size_t length)
{
	return must_create(length);
}

static int open_secretmem(size_t length)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd < 0 || ftruncate(fd, length))
		tap_bail("memfd_secret: %s", strerror(errno));
	return fd;
}

/* Create, map, touch every page, unmap, close: nanoseconds a page. */
static double life(int (*open_it)(size_t), size_t pages)
{
	uint64_t start = now();
	int fd = open_it(pages * PAGE);
	unsigned char *map = must_map(fd, pages * PAGE);

	for (size_t i = 0; i < pages; i++)
		map[i * PAGE] = 1;
	munmap(map, pages * PAGE);
	close(fd);
	return (double)(now() - start) / pages;
}

/* The mean of so many, and what they do to the direct map. */
static double lives(int nr, int (*open_it)(size_t), size_t pages,
		    struct direct_map *grown)
{
	struct direct_map before = direct_map(), after;
	double sum = 0;

	for (int i = 0; i < nr; i++)
		sum += life(open_it, pages);
	after = direct_map();
	grown->kib += after.kib - before.kib;
	grown->splits += after.splits - before.splits;
	return sum / nr;
}

/* What it is when no block is warm: each comes and goes with the region. */
static void bench_cold(void)
{
	struct series ours, peer;
	long keep = read_number(PARAMETERS "keep_blocks");
	char text[16];

	set_keep("0");
	for (unsigned int round = 0; round < rounds; round++) {
		ours.at[round] = life(open_region, 4096);
		peer.at[round] = life(open_secretmem, 4096);
	}
	snprintf(text, sizeof(text), "%ld", keep);
	set_keep(text);
	row("the same, 4096 pages, no block kept", "ns a page", &ours, &peer,
	    "memfd_secret", median(&peer) / median(&ours), "-", "-");
}

static void bench_lives(void)
{
	static const struct {
		size_t pages;
		int lives; /* in each round */
		double goal;
	} sizes[] = { { 16, 40, 20 }, { 256, 4, 50 }, { 4096, 1, 50 } };
	struct direct_map ours_grown = { 0 }, peer_grown = { 0 };
	struct series ours, peer;
	char name[64];

	/* Until as much is warm as is kept, now and then a block comes. */
	life(open_region, 4096);
	for (size_t i = 0; i < 3; i++) {
		for (unsigned int round = 0; round < rounds; round++) {
			ours.at[round] = lives(sizes[i].lives, open_region,
					       sizes[i].pages, &ours_grown);
			peer.at[round] = lives(sizes[i].lives, open_secretmem,
					       sizes[i].pages, &peer_grown);
		}
		snprintf(name, sizeof(name), "create+map+touch+close, %zu pages",
			 sizes[i].pages);
		at_least(name, "ns a page", &ours, &peer, "memfd_secret",
			 median(&peer) / median(&ours), sizes[i].goal);
	}

	printf("DirectMap4k growth in all of that, kB\t%g\t%g\tmemfd_secret\t-\t0\t%s\t-\n",
	       ours_grown.kib, peer_grown.kib, ours_grown.kib ? "no" : "yes");
	printf("direct_map_level2_splits in all of that\t%g\t%g\tmemfd_secret\t-\t0\t%s\t-\n",
	       ours_grown.splits, peer_grown.splits, ours_grown.splits ? "no" : "yes");
	fflush(stdout);
}

/* Anonymous memory has no descriptor. */
static double life_plain(size_t pages)
{
	uint64_t start = now();
	unsigned char *map = must_map_plain(pages * PAGE);

	for (size_t i = 0; i < pages; i++)
		map[i * PAGE] = 1;
	munmap(map, pages * PAGE);
	return (double)(now() - start) / pages;
}

/* A region of one page holds the block, so that it stays warm. */
static void bench_warm(void)
{
	struct series ours, peer;
	int holder = must_create(PAGE);

	life(open_region, 128);
	for (unsigned int round = 0; round < rounds; round++) {
		ours.at[round] = peer.at[round] = 0;
		for (int i = 0; i < 20; i++) {
			ours.at[round] += life(open_region, 128) / 20;
			peer.at[round] += life_plain(128) / 20;
		}
	}
	at_most("a page given up and taken again, warm", "ns", &ours, &peer,
		"anonymous page", 2);
	close(holder);
}

/* What a thread does over and over. */
static void one_region(void)
{
	close(must_create(THREAD_PAGES * PAGE));
}

static void one_count(void)
{
	for (volatile int i = 0; i < 10000; i++)
		;
}

static void bench_threads(void)
{
	struct series one, two, count_one, count_two, ratio;

	for (unsigned int round = 0; round < rounds; round++) {
		one.at[round] = throughput(one_region, 1, SLICE_NS);
		two.at[round] = throughput(one_region, 2, SLICE_NS);
		count_one.at[round] = throughput(one_count, 1, SLICE_NS);
		count_two.at[round] = throughput(one_count, 2, SLICE_NS);
		ratio.at[round] = two.at[round] / one.at[round];
	}
	at_least("2 threads, create+close of 16 pages", "a second", &two, &one,
		 "1 thread", median(&ratio), 1.6);
	/* What two CPUs of this machine are worth, where nothing is shared. */
	for (unsigned int round = 0; round < rounds; round++)
		ratio.at[round] = count_two.at[round] / count_one.at[round];
	row("2 threads that only count", "a second", &count_two, &count_one, "1 thread",
	    median(&ratio), "-", "-");
}

/* The middle sample of each of the two. */
static void sample(double *create_ns, double *close_ns)
{
	static double creates[SAMPLES], closes[SAMPLES];

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t start = now(), middle;
		int fd = must_create(PAGE);

		middle = now();
		close(fd);
		creates[i] = middle - start;
		closes[i] = now() - middle;
	}
	*create_ns = middle_of(creates, SAMPLES);
	*close_ns = middle_of(closes, SAMPLES);
}

static void bench_live(void)
{
	struct series first_create, first_close, create_late, close_late;
	static int fds[LIVE];

	for (unsigned int round = 0; round < rounds; round++) {
		sample(&first_create.at[round], &first_close.at[round]);
		for (int i = 0; i < LIVE; i++)
			fds[i] = must_create(PAGE);
		sample(&create_late.at[round], &close_late.at[round]);
		for (int i = 0; i < LIVE; i++)
			close(fds[i]);
	}
	at_most("create with 10,000 regions live", "ns", &create_late, &first_create,
		"the first", 1.5);
	at_most("close with 10,000 regions live", "ns", &close_late, &first_close,
		"the first", 1.5);
}

int main(void)
{
	struct rlimit files = { 2 * LIVE, 2 * LIVE };
	struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };

	door_open();
	if (setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_MEMLOCK, &locked))
		tap_bail("setrlimit: %s", strerror(errno));
	print_header();
	bench_lives();
	bench_cold();
	bench_warm();
	bench_threads();
	bench_live();
	bench_uring(door);
	bench_sections(door);
	for (unsigned int round = 0; round < rounds; round++)
		measure_stacks(round);
	print_stacks();
	bench_wipes(door);
	return 0;
}
