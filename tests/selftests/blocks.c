// SPDX-License-Identifier: MIT
/*
 * Blocks: that they come when needed and go when not, by which limits, and out
 * of memory in pieces too. It turns the module's parameters,
 * so it wants the module for itself and puts them back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "door.h"
#include "knobs.h"

#define BLOCK_PAGES ((size_t)512)
#define BLOCK (BLOCK_PAGES * PAGE)
#define MIB ((size_t)1 << 20)
#define TESTS 27

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* In /proc/meminfo, in bytes. */
static size_t meminfo(const char *word)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	size_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word)))
			kib = strtoul(line + strlen(word), NULL, 10);
	if (file)
		fclose(file);
	return kib * 1024;
}

/* Blocks come and go, seen through QUERY, when none is to stay. */
static void test_growth(void)
{
	struct lethe_query at;
	int one, two;

	set_keep("0");
	at = must_query();
	tap_ok(!at.blocks && !at.pages_free && !at.keep_blocks,
	       "no block is out while no region is, and none is to be kept");

	one = must_create(1);
	at = must_query();
	tap_ok(at.blocks == 1 && at.pages_used == 1 && at.pages_free == BLOCK_PAGES - 1,
	       "the first page takes one block");
	two = must_create(2 * BLOCK);
	at = must_query();
	tap_ok(at.blocks == 3 && at.pages_used == 1 + 2 * BLOCK_PAGES,
	       "two blocks' worth of pages take two more");
	tap_ok(!at.pages_small && !at.splits, "and nothing of it splits the direct map");
	close(one);
	at = must_query();
	tap_ok(at.blocks == 3 && at.pages_used == 2 * BLOCK_PAGES,
	       "a block of which a page is taken stays");
	close(two);
	at = must_query();
	tap_ok(!at.blocks && !at.pages_free && !at.pages_used,
	       "all go in the call that gives up their last page");
}

static void test_keep(void)
{
	struct lethe_query at;

	set_keep("2");
	close(must_create(4 * BLOCK));
	at = must_query();
	tap_ok(at.blocks == 2 && at.pages_free == 2 * BLOCK_PAGES && at.keep_blocks == 2,
	       "keep_blocks=2: of four blocks two stay, free");
	set_keep("1");
	tap_ok(must_query().blocks == 1, "lowering it to 1 gives one back at once");
	set_keep("0");
	tap_ok(!must_query().blocks, "and to 0, the other");
	tap_ok(write_file(PARAMETERS "keep_blocks", "-1") == -EINVAL &&
		       write_file(PARAMETERS "max_blocks", "many") == -EINVAL &&
		       !must_query().keep_blocks,
	       "what is no number of blocks is refused, and changes nothing");
}

static void test_max(void)
{
	int all, more;

	set_max("2");
	tap_ok(create(2 * BLOCK + 1) == -ENOMEM && !must_query().blocks,
	       "max_blocks=2: a page more is ENOMEM, and leaves no block behind");
	all = create(2 * BLOCK);
	tap_ok(all >= 0 && must_query().max_blocks == 2, "two blocks can be had");
	more = create(1);
	tap_ok(more == -ENOMEM, "and not a page after that");
	set_max("3");
	more = create(1);
	tap_ok(more >= 0, "max_blocks=3: now it can");
	close(more);
	set_max("1");
	tap_ok(must_query().blocks == 2, "lowering it takes nothing from a region");
	close(all);
	set_max("0");
}

static void test_shrinker(void)
{
	unsigned char *map;
	int held, err;

	set_keep("4");
	held = must_create(PAGE);
	map = must_map(held, PAGE);
	memset(map, 0x5a, PAGE);
	close(must_create(4 * BLOCK));
	tap_ok(must_query().blocks >= 4, "free blocks stay while nobody wants memory");
	err = write_file("/proc/sys/vm/drop_caches", "2");
	tap_ok(!err && must_query().blocks == 1,
	       "the shrinker gives back every block that is free");
	tap_ok(all_are(map, 0x5a, PAGE), "and not the one that is in use");
	munmap(map, PAGE);
	close(held);
	set_keep("0");
}

/*
 * Memory in pieces of one page: nearly all of it is filled and locked, and every
 * other page freed. Returns the mapping.
 */
static unsigned char *fragment(size_t *length)
{
	unsigned char *map;

	*length = (meminfo("MemAvailable:") - 40 * MIB) & ~(BLOCK - 1);
	/* Or what is locked would be moved to make room. */
	set("/proc/sys/vm/compact_unevictable_allowed", "0");
	map = must_map_plain(*length);
	madvise(map, *length, MADV_NOHUGEPAGE);
	if (mlock(map, *length))
		tap_bail("mlock of %zu bytes: %s", *length, strerror(errno));
	for (size_t i = 0; i < *length; i += 2 * PAGE)
		if (madvise(map + i, PAGE, MADV_DONTNEED_LOCKED))
			tap_bail("MADV_DONTNEED_LOCKED: %s", strerror(errno));
	return map;
}

static bool filled(unsigned char *map, size_t length, unsigned char seed)
{
	for (size_t i = 0; i < length / PAGE; i++)
		if (!all_are(map + i * PAGE, (unsigned char)(seed + i), PAGE))
			return false;
	return true;
}

static void fill(unsigned char *map, size_t length, unsigned char seed)
{
	for (size_t i = 0; i < length / PAGE; i++)
		memset(map + i * PAGE, (unsigned char)(seed + i), PAGE);
}

/* One small page after the other goes back to the kernel, which uses them. */
static bool memory_is_whole(void)
{
	size_t length = (meminfo("MemAvailable:") - 60 * MIB) & ~(BLOCK - 1);
	unsigned char *map = must_map_plain(length);
	bool zero = true;

	for (size_t i = 0; i < length; i += PAGE) {
		zero &= !map[i];
		map[i] = 1;
	}
	munmap(map, length);
	return zero;
}

#define PIECES 128

static void test_pieces(void)
{
	struct lethe_query at = must_query();
	unsigned char *plain, *maps[PIECES];
	bool zero = true, right = true;
	int fds[PIECES], nr = 0;
	size_t length;

	plain = fragment(&length);
	/* What whole blocks are left go first. */
	while (nr < PIECES && at.pages_small < 4 * BLOCK_PAGES) {
		fds[nr] = create(BLOCK);
		if (fds[nr] < 0)
			break;
		maps[nr] = must_map(fds[nr], BLOCK);
		zero &= all_are(maps[nr], 0, BLOCK);
		fill(maps[nr], BLOCK, nr);
		nr++;
		at = must_query();
	}
	tap_ok(at.pages_small && at.splits,
	       "memory in pieces: smaller runs are taken (%llu pages, %llu splits)",
	       (unsigned long long)at.pages_small, (unsigned long long)at.splits);
	tap_ok(at.pages_used + at.pages_free == at.blocks * BLOCK_PAGES + at.pages_small,
	       "whole blocks and smaller runs make up all pages that are out");
	for (int i = 0; i < nr; i++)
		right &= filled(maps[i], BLOCK, i);
	tap_ok(zero && right, "their pages come zeroed, and are no one else's");
	for (int i = 0; i < nr; i++) {
		munmap(maps[i], BLOCK);
		close(fds[i]);
	}
	at = must_query();
	tap_ok(!at.pages_small && !at.pages_used && !at.blocks,
	       "a smaller run goes back as soon as it is free");
	munmap(plain, length);
	tap_ok(memory_is_whole(), "and the kernel can use all of that memory again");
	set("/proc/sys/vm/compact_unevictable_allowed", "1");
}

#define HAMMER_SECONDS 10

static atomic_bool hammer_stop;

struct hammer {
	unsigned int seed;
	unsigned long regions, dirty, torn, failed;
};

static void hammer_once(struct hammer *hammer)
{
	size_t length = (rand_r(&hammer->seed) % 48 + 1) * PAGE;
	unsigned char mark = rand_r(&hammer->seed) % 255 + 1;
	int fd = create(length);
	unsigned char *map;

	if (fd < 0) {
		hammer->failed++;
		return;
	}
	map = must_map(fd, length);
	hammer->dirty += !all_are(map, 0, length);
	memset(map, mark, length);
	sched_yield();
	hammer->torn += !all_are(map, mark, length);
	hammer->regions++;
	/* Either may be the last to hold it. */
	if (mark & 1)
		close(fd);
	munmap(map, length);
	if (!(mark & 1))
		close(fd);
}

static void *hammer_run(void *arg)
{
	while (!atomic_load(&hammer_stop))
		hammer_once(arg);
	return NULL;
}

/* While blocks are given back under their feet. */
static void test_hammer(void)
{
	struct hammer hammers[2] = { { .seed = 1 }, { .seed = 2 } };
	struct lethe_query at;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, hammer_run, &hammers[i]))
			tap_bail("pthread_create failed");
	for (time_t end = time(NULL) + HAMMER_SECONDS; time(NULL) < end;) {
		usleep(50000);
		set_keep(time(NULL) & 1 ? "1" : "0");
		write_file("/proc/sys/vm/drop_caches", "2");
	}
	atomic_store(&hammer_stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	tap_ok(hammers[0].regions > 100 && hammers[1].regions > 100 &&
		       !hammers[0].failed && !hammers[1].failed,
	       "two threads make and end %lu and %lu regions at once, none refused",
	       hammers[0].regions, hammers[1].regions);
	tap_ok(!hammers[0].dirty && !hammers[1].dirty, "each came zeroed");
	tap_ok(!hammers[0].torn && !hammers[1].torn, "and was its holder's alone");
	set_keep("0");
	at = must_query();
	tap_ok(!at.blocks && !at.pages_used && !at.pages_small && !at.pages_free,
	       "and afterwards nothing is out of the direct map");
}

int main(void)
{
	char keep[16], most[16];

	door_open_alone();
	if (getuid() || access(PARAMETERS "keep_blocks", W_OK))
		tap_skip_all("root, and the module's parameters");
	if (must_query().regions)
		tap_skip_all("the module for itself: somebody has a region");
	snprintf(keep, sizeof(keep), "%ld", read_number(PARAMETERS "keep_blocks"));
	snprintf(most, sizeof(most), "%ld", read_number(PARAMETERS "max_blocks"));

	tap_plan(TESTS);
	set_max("0");
	test_growth();
	test_keep();
	test_max();
	test_shrinker();
	test_hammer();
	/* Last, since what was split stays split. */
	test_pieces();
	set_keep(keep);
	set_max(most);
	return tap_end();
}
