// SPDX-License-Identifier: MIT
/*
 * Regions: what they hold at first, how long they live, and that nothing is left
 * in their pages. What system calls do on one is in the tables (rows.h).
 */
#include "door.h"

#define NR ((size_t)8)

static void test_new(void)
{
	int fd = must_create(NR * PAGE);
	unsigned char *map = must_map(fd, NR * PAGE);

	tap_ok(all_are(map, 0, NR * PAGE), "a new region is all zero");
	munmap(map, NR * PAGE);
	close(fd);
}

static void test_life(void)
{
	struct lethe_query before = must_query(), after;
	int fd = must_create(NR * PAGE);
	unsigned char *map = must_map(fd, NR * PAGE);

	memset(map, 0x77, NR * PAGE);
	close(fd);
	after = must_query();
	tap_ok(all_are(map, 0x77, NR * PAGE) && after.regions == before.regions + 1,
	       "a region lives on while it is mapped, its descriptor closed");
	munmap(map, PAGE);
	munmap(map + PAGE, (NR - 1) * PAGE);
	after = must_query();
	tap_ok(after.regions == before.regions && after.pages_used == before.pages_used,
	       "the last munmap ends it, before it returns");

	fd = must_create(NR * PAGE);
	map = must_map(fd, NR * PAGE);
	munmap(map, NR * PAGE);
	after = must_query();
	tap_ok(after.regions == before.regions + 1,
	       "a region lives on while its descriptor is open");
	close(fd);
	after = must_query();
	tap_ok(after.regions == before.regions && after.pages_used == before.pages_used,
	       "the last close ends it, before it returns");
}

/* A child that dies with @how while it holds a region; the count then. */
static bool gone_after(int how)
{
	struct lethe_query before = must_query(), after;
	pid_t pid = must_fork();

	if (!pid) {
		unsigned char *map = must_map(must_create(NR * PAGE), NR * PAGE);

		memset(map, 0x5a, NR * PAGE);
		if (how)
			kill(getpid(), how);
		_exit(0);
	}
	end_of(pid);
	after = must_query();
	return after.regions == before.regions && after.pages_used == before.pages_used;
}

/*
 * Blocks are handed out again lowest page first, so that what was given up last
 * is what comes next: dirty pages that were not wiped are met here.
 */
static void test_wiped(void)
{
	const size_t nr = 1500;
	unsigned char *map;
	size_t dirty = 0;
	int fd;

	for (int round = 0; round < 8; round++) {
		fd = must_create(nr * PAGE);
		map = must_map(fd, nr * PAGE);
		for (size_t i = 0; i < nr; i++)
			dirty += !all_are(map + i * PAGE, 0, PAGE);
		memset(map, 0xd7, nr * PAGE);
		if (round & 1) {
			close(fd);
			munmap(map, nr * PAGE);
		} else {
			munmap(map, nr * PAGE);
			close(fd);
		}
	}
	tap_ok(!dirty, "pages that were given up come back zeroed (%zu of %zu not)",
	       dirty, 8 * nr);

	tap_ok(gone_after(0) && gone_after(SIGKILL) && gone_after(SIGSEGV),
	       "exit, SIGKILL and SIGSEGV end a region before the parent knows");
	fd = must_create(NR * PAGE);
	map = must_map(fd, NR * PAGE);
	tap_ok(all_are(map, 0, NR * PAGE),
	       "and what the dead wrote is not in the next one");
	munmap(map, NR * PAGE);
	close(fd);
}

int main(void)
{
	door_open_alone();
	tap_plan(8);
	test_new();
	test_life();
	test_wiped();
	return tap_end();
}
