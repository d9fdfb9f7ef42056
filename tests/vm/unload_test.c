// SPDX-License-Identifier: MIT
/*
 * unload_test LETHE_KO SWEEP_KO: the module leaves the direct map as it found it.
 * SWEEP_KO reads every page of memory from inside the kernel; that it would notice
 * is seen while a region is open. And of what a region held nothing is left in all of
 * RAM, which the host searches. For the virtual machine: it loads modules.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../residue/ending.h"
#include "../residue/record.h"
#include "../selftests/tap.h"
#include "hostlink.h"

#define LENGTH ((size_t)5 << 20)
#define BLOCK_PAGES 512
#define SECRET_PAGES 64

enum { CONTROL, SECRET, NEEDLES };

static void must_load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

/* 0 or -errno. */
static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

struct sweep {
	unsigned long unreadable, pages;
};

static struct sweep must_sweep(void)
{
	FILE *file = fopen("/sys/module/lethe_sweep/parameters/unreadable", "r");
	struct sweep sweep;

	if (!file || fscanf(file, "%lu %lu", &sweep.unreadable, &sweep.pages) != 2)
		tap_bail("no sweep");
	fclose(file);
	tap_note("%lu of %lu pages cannot be read", sweep.unreadable, sweep.pages);
	return sweep;
}

/* The direct map's three counters, as the kernel prints them. */
static void must_count(char *counters, size_t room)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t used = 0;
	char line[128];

	counters[0] = 0;
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "DirectMap", 9))
			used += snprintf(counters + used, room - used, "%s", line);
	if (!file || !used)
		tap_bail("no DirectMap in /proc/meminfo");
	fclose(file);
}

/* The kernel frees a module's init text later, which may split an entry. */
static void must_come_to_rest(char *counters, size_t room)
{
	static const struct timespec moment = { 0, 100 * 1000 * 1000 };
	char again[256];
	int same = 0;

	must_count(counters, room);
	while (same < 10) {
		nanosleep(&moment, NULL);
		must_count(again, sizeof(again));
		same = strcmp(counters, again) ? 0 : same + 1;
		strcpy(counters, again);
	}
}

/* Those that are kept free: to the module's shrinker. */
static void give_blocks_back(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "2", 1) != 1)
		tap_bail("drop_caches: %s", strerror(errno));
	close(fd);
}

/* In ordinary memory, which is unmapped when the region is. */
static unsigned char *map_control(void)
{
	void *map = mmap(NULL, SECRET_PAGES * ENDING_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		tap_bail("ordinary memory: %s", strerror(errno));
	return map;
}

static void test_memory(const struct needle *needles)
{
	struct hostlink_found found[NEEDLES];
	uint64_t searched;
	int err = hostlink_search("unloaded", needles, NEEDLES, NULL, 0, found,
				  &searched);

	if (err)
		tap_bail("the host's search: %s", strerror(-err));
	residue_record("guest RAM at module unload", "kmod", found[CONTROL].copies,
		       found[SECRET].copies, searched, "");
	tap_ok(found[CONTROL].copies > 0 && !found[SECRET].copies,
	       "of what was in the region nothing is in RAM (%" PRIu64
	       "), as there is of ordinary memory that was given up with it (%" PRIu64
	       ")",
	       found[SECRET].copies, found[CONTROL].copies);
}

int main(int argc, char **argv)
{
	struct lethe_create create = { .size = sizeof(create), .length = LENGTH };
	struct lethe_query query = { .size = sizeof(query) };
	char before[256], after[256];
	struct sweep first, open_now, last;
	struct needle needles[NEEDLES];
	unsigned char *map, *control;
	int device, region;

	if (argc != 3)
		tap_bail("usage: unload_test LETHE_KO SWEEP_KO");
	if (hostlink_open())
		tap_bail("no host to search this machine's memory");
	tap_plan(7);
	must_load(argv[2]);
	/* What it began with is given back later, and cannot be read meanwhile. */
	must_come_to_rest(before, sizeof(before));
	first = must_sweep();
	must_load(argv[1]);
	/* Not sooner: a module's own text, made read-only, splits an entry. */
	must_come_to_rest(before, sizeof(before));

	device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	region = ioctl(device, LETHE_IOC_CREATE, &create);
	map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0);
	if (map == MAP_FAILED || ioctl(device, LETHE_IOC_QUERY, &query))
		tap_bail("no region: %s", strerror(errno));
	memset(map, 0x5a, LENGTH);
	control = map_control();
	ending_plant(&needles[CONTROL], "control", control, SECRET_PAGES);
	ending_plant(&needles[SECRET], "secret", map, SECRET_PAGES);
	close(device);
	open_now = must_sweep();
	tap_ok(query.blocks >= LENGTH / query.block_size &&
		       open_now.unreadable ==
			       first.unreadable + query.blocks * BLOCK_PAGES,
	       "while a region is open, the kernel cannot read the pages of its %llu blocks, and all others",
	       (unsigned long long)query.blocks);
	tap_ok(unload("lethe") == -EWOULDBLOCK,
	       "the module does not unload while a region's descriptor is open");
	close(region);
	tap_ok(unload("lethe") == -EWOULDBLOCK, "nor while a region is mapped");
	munmap(map, LENGTH);
	munmap(control, SECRET_PAGES * ENDING_PAGE);
	/* Not later: giving up a module's text may split one as well. */
	give_blocks_back();
	must_count(after, sizeof(after));
	tap_ok(!unload("lethe"), "it unloads when the last is gone");
	test_memory(needles);

	last = must_sweep();
	tap_ok(last.unreadable == first.unreadable && last.pages == first.pages,
	       "then the kernel can read every page that it could before (%lu pages read)",
	       last.pages - last.unreadable);
	if (!tap_ok(!strcmp(before, after),
		    "with the blocks back, the direct map's counters are as before"))
		tap_note("before: %s after: %s", before, after);
	unload("lethe_sweep");
	return tap_end();
}
