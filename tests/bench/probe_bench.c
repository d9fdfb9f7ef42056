// SPDX-License-Identifier: MIT
/*
 * What the swap probe costs: how fast memory is swapped out with it and without it, by
 * turns, to zram and to a swap file; what each of its programs takes a run; and that
 * nothing is left of it where nobody asks.
 *
 *	probe_bench [MIB [ROUNDS]]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../user/lethectl/check.h"
#include "../selftests/tap.h"
#include "series.h"
#include "zram.h"

#define PAGE 4096
#define PROGRAMS_MAX 64
/* No more than 3 % slower. */
#define GOAL 0.97
#define TRIES 5
#define SWAPPED (1ULL << 62)
/* Others' pages come to swap, too. */
#define ROOM (3 * pages * PAGE + (128 << 20))

static unsigned char *memory;
static size_t pages = 64 << 20 >> 12;

/* With what the pages are filled. */
enum filling {
	MIXED, /* half noise, half one word: as much work for zram as memory usually is */
	WORDS, /* one word: zram does not even compress it */
};

/* Brings back what was swapped out before, and makes it dirty. */
static void fill(enum filling filling)
{
	static uint64_t noise = 88172645463325252;
	uint64_t *word = (uint64_t *)memory;
	size_t i;

	for (i = 0; i < pages * PAGE / sizeof(*word); i++) {
		if (filling == MIXED ? i % 512 < 256 : i % 512 == 0) {
			noise ^= noise << 13;
			noise ^= noise >> 7;
			noise ^= noise << 17;
		}
		word[i] = noise;
	}
}

static size_t swapped(void)
{
	static uint64_t entries[512];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t at, i, nr = 0;
	ssize_t n;

	for (at = 0; at < pages; at += (size_t)n / 8) {
		n = pread(fd, entries, sizeof(entries),
			  (off_t)(((uintptr_t)memory / PAGE + at) * 8));
		if (n <= 0)
			tap_bail("pagemap: %s", strerror(errno));
		for (i = 0; i < (size_t)n / 8 && at + i < pages; i++)
			nr += !!(entries[i] & SWAPPED);
	}
	close(fd);
	return nr;
}

static uint64_t own_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Pages a second, by the clock and by the time that the CPU was ours. */
struct rate {
	double wall, cpu;
};

static struct rate page_out(enum filling filling, unsigned int tries)
{
	uint64_t wall, cpu;
	struct sysinfo info;
	struct rate rate;
	size_t left;

	wall = now();
	cpu = own_time();
	if (madvise(memory, pages * PAGE, MADV_PAGEOUT))
		tap_bail("MADV_PAGEOUT: %s", strerror(errno));
	cpu = own_time() - cpu;
	wall = now() - wall;
	left = swapped();
	/* Some were just in a batch of the kernel's; if it is more, it is no swap-out. */
	if (left < pages - pages / 50) {
		if (!tries) {
			sysinfo(&info);
			tap_bail(
				"only %zu of %zu pages were swapped out; of swap %lu KiB are free",
				left, pages, info.freeswap / 1024 * info.mem_unit);
		}
		/* What stands in the way may be the kernel's own, and pass. */
		usleep(100000);
		fill(filling);
		return page_out(filling, tries - 1);
	}
	rate.wall = (double)left * 1e9 / (double)wall;
	rate.cpu = (double)left * 1e9 / (double)cpu;
	return rate;
}

#define ALL ((1U << SWAP_WAYS) - 1)

/* The probe, as lethectl check has it: by all ways. */
static struct layout layout;
static struct frames *frames;
static struct swap_probe *probe;

static void attach(unsigned int ways)
{
	const char *why = "";
	int err;

	err = layout_learn(&layout, &why);
	if (!err)
		err = frames_open(&frames, &layout, &why);
	if (!err)
		err = swap_probe_open_ways(&probe, frames, ways, &why);
	if (err)
		tap_bail("the probe: %s (%s)", why, strerror(-err));
}

static void detach(void)
{
	swap_probe_close(probe);
	frames_close(frames);
}

/* A probe that saw nothing would cost nothing. */
static void must_have_seen(size_t at_least)
{
	unsigned long long most = 0;
	struct swap_counts counts;
	unsigned int i;

	if (swap_probe_counts(probe, &counts))
		tap_bail("the probe does not say what it saw");
	for (i = 0; i < SWAP_WAYS; i++)
		if (counts.way[i].pages > most)
			most = counts.way[i].pages;
	if (most < at_least)
		tap_bail("the probe saw %llu pages, not %zu", most, at_least);
}

static struct rate without_probe(enum filling filling)
{
	fill(filling);
	return page_out(filling, TRIES);
}

static struct rate with_probe(enum filling filling, unsigned int ways)
{
	struct rate rate;

	attach(ways);
	fill(filling);
	rate = page_out(filling, TRIES);
	must_have_seen(pages - pages / 50);
	detach();
	return rate;
}

static void compare(const char *where, enum filling filling, unsigned int ways)
{
	struct series on, off, on_cpu, off_cpu, ratio, ratio_cpu;
	char metric[96];
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		struct rate with, without;

		/* Which is first alternates too, so that nothing else is measured by it. */
		if (i % 2) {
			with = with_probe(filling, ways);
			without = without_probe(filling);
		} else {
			without = without_probe(filling);
			with = with_probe(filling, ways);
		}
		on.at[i] = with.wall;
		off.at[i] = without.wall;
		on_cpu.at[i] = with.cpu;
		off_cpu.at[i] = without.cpu;
		ratio.at[i] = with.wall / without.wall;
		ratio_cpu.at[i] = with.cpu / without.cpu;
	}
	snprintf(metric, sizeof(metric), "swapped out to %s", where);
	at_least(metric, "pages a second", &on, &off, "no probe", median(&ratio), GOAL);
	snprintf(metric, sizeof(metric), "swapped out to %s, CPU time alone", where);
	at_least(metric, "pages a second", &on_cpu, &off_cpu, "no probe",
		 median(&ratio_cpu), GOAL);
}

/* What the kernel counts of each program. */
struct loaded {
	uint32_t id;
	char name[BPF_OBJ_NAME_LEN];
	uint64_t ns, runs;
};

/* The id behind "prog_id:" of a descriptor of ours, of a program or a link; or 0. */
static uint32_t id_behind(const char *descriptor)
{
	char path[300], line[128];
	uint32_t id = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", descriptor);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "prog_id: %u", &id) == 1)
			break;
	if (file)
		fclose(file);
	return id;
}

static bool ask(uint32_t id, struct loaded *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id), err;

	if (fd < 0)
		return false;
	err = bpf_obj_get_info_by_fd(fd, &info, &length);
	close(fd);
	program->id = id;
	program->ns = info.run_time_ns;
	program->runs = info.run_cnt;
	snprintf(program->name, sizeof(program->name), "%s", info.name);
	return !err;
}

/* The BPF programs that this process has, and so keeps: of nobody else's. */
static unsigned int own_programs(struct loaded *programs)
{
	DIR *dir = opendir("/proc/self/fdinfo");
	struct dirent *entry;
	unsigned int nr = 0, i;
	uint32_t id;

	while (dir && nr < PROGRAMS_MAX && (entry = readdir(dir))) {
		id = id_behind(entry->d_name);
		for (i = 0; id && i < nr && programs[i].id != id; i++)
			;
		if (id && i == nr && ask(id, &programs[nr]))
			nr++;
	}
	if (dir)
		closedir(dir);
	return nr;
}

static void print_program(const struct loaded *program)
{
	struct series mean;
	char metric[96];
	unsigned int i;

	if (!program->runs)
		return;
	for (i = 0; i < rounds; i++)
		mean.at[i] = (double)program->ns / (double)program->runs;
	snprintf(metric, sizeof(metric), "program %s, %.2f runs a page, a run",
		 program->name, (double)program->runs / rounds / (double)pages);
	row_alone(metric, "ns", &mean, "the mean, and what it takes to measure", "-",
		  "-");
}

/* While pages are swapped out. Whoever else frees a page then runs some of them as well. */
static void print_programs(enum filling filling)
{
	static struct loaded sum[PROGRAMS_MAX], start[PROGRAMS_MAX], end[PROGRAMS_MAX];
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	unsigned int nr, i, k;

	if (stats < 0)
		tap_bail("BPF_ENABLE_STATS: %s", strerror(errno));
	attach(ALL);
	nr = own_programs(sum);
	for (k = 0; k < nr; k++)
		sum[k].ns = sum[k].runs = 0;
	for (i = 0; i < rounds; i++) {
		fill(filling);
		if (own_programs(start) != nr)
			tap_bail("programs came or went");
		page_out(filling, TRIES);
		own_programs(end);
		for (k = 0; k < nr; k++) {
			sum[k].ns += end[k].ns - start[k].ns;
			sum[k].runs += end[k].runs - start[k].runs;
		}
	}
	must_have_seen(pages);
	detach();
	close(stats);
	for (k = 0; k < nr; k++)
		print_program(&sum[k]);
}

/* What is not attached costs nothing: there is nothing. */
static void print_rest(void)
{
	static struct loaded programs[PROGRAMS_MAX];
	struct series with, without;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		attach(ALL);
		with.at[i] = own_programs(programs);
		detach();
		without.at[i] = own_programs(programs);
	}
	row("programs in the kernel when the probe is closed", "number", &without, &with,
	    "when it is open", median(&without) / median(&with), "<= 0",
	    median(&without) > 0 ? "no" : "yes");
}

static void bench_zram(void)
{
	const char *why = zram_on(ROOM);

	if (why)
		tap_bail("zram: %s", why);
	compare("zram", MIXED, ALL);
	compare("zram, watched by block_bio_queue alone", MIXED, 1U << SWAP_BLOCK);
	compare("zram, watched by mm_vmscan_write_folio alone", MIXED,
		1U << SWAP_RECLAIM);
	compare("zram, uncompressed", WORDS, ALL);
	print_programs(MIXED);
	zram_off();
}

static void bench_file(void)
{
	struct guarded *guarded = guard_start();
	char why[256];

	if (!guarded)
		tap_bail("no guard: %s", strerror(errno));
	if (swap_file_make(guarded, NULL, ROOM, why, sizeof(why)))
		tap_bail("%s", why);
	compare("a file", MIXED, ALL);
	compare("a file, watched by block_bio_queue alone", MIXED, 1U << SWAP_BLOCK);
	compare("a file, watched by mm_vmscan_write_folio alone", MIXED,
		1U << SWAP_RECLAIM);
	if (!guard_end())
		tap_bail("the swap file is not gone");
}

int main(int argc, char **argv)
{
	rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 31;
	if (argc > 1)
		pages = (size_t)atoi(argv[1]) << 20 >> 12;
	if (!pages || !rounds || rounds > ROUNDS_MAX)
		tap_bail("usage: probe_bench [MIB [ROUNDS]]");
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	/* Page by page, as most of what is swapped out is. */
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	print_header();
	bench_zram();
	bench_file();
	print_rest();
	return 0;
}
