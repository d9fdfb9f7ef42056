// SPDX-License-Identifier: MIT
/*
 * Whose memory cgroup pays: whoever made a region, for just its pages, and for
 * as long as it lives.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "door.h"
#include "knobs.h"

#define BLOCK ((size_t)2 << 20)
#define MIB ((size_t)1 << 20)
#define CGROUP "/tmp/lethe-cgroup"

/* A control group of our own with a limit, in bytes or "max"; false without. */
static bool cgroup_make(const char *name, const char *limit)
{
	char path[128];

	if (mkdir(CGROUP, 0700) && errno != EEXIST)
		return false;
	if (access(CGROUP "/cgroup.procs", F_OK) &&
	    mount("cgroup2", CGROUP, "cgroup2", 0, NULL))
		return false;
	if (write_file(CGROUP "/cgroup.subtree_control", "+memory"))
		return false;
	snprintf(path, sizeof(path), CGROUP "/%s", name);
	if (mkdir(path, 0700) && errno != EEXIST)
		return false;
	snprintf(path, sizeof(path), CGROUP "/%s/memory.max", name);
	return !write_file(path, limit);
}

static void cgroup_remove(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	rmdir(path);
}

static void cgroup_join(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s/cgroup.procs", name);
	set(path, "0");
}

static long charged(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s/memory.current", name);
	return read_number(path);
}

/* A CPU's stock of charges, and what the calls themselves take. */
static bool about(long bytes, long expected)
{
	long slack = MIB;

	return bytes > expected - slack && bytes < expected + slack;
}

/* Bits of the exit status: what was not as it should be. */
static int in_cgroup(void)
{
	long before, small;
	int bad = 0, fd, one;

	cgroup_join("a");
	before = charged("a");
	one = create(1);
	small = charged("a") - before;
	bad |= one >= 0 && about(small, 0) ? 0 : 1;
	fd = create(2 * BLOCK);
	bad |= fd >= 0 && about(charged("a") - before, 2 * BLOCK) ? 0 : 2;
	close(fd);
	bad |= about(charged("a") - before, 0) ? 0 : 4;
	fd = create(16 * MIB);
	bad |= fd == -ENOMEM && about(charged("a") - before, 0) ? 0 : 8;
	fd = create(4 * MIB);
	bad |= fd >= 0 ? 0 : 16;
	return bad;
}

static void test_cgroup(void)
{
	int kept, end, fd;
	long before;
	pid_t pid;

	/* Warm blocks of somebody else: who takes from them pays all the same. */
	set_keep("16");
	kept = must_create(8 * BLOCK);
	close(kept);

	pid = must_fork();
	if (!pid)
		_exit(in_cgroup());
	end = end_of(pid);
	tap_ok(end >= 0 && !(end & 1), "a page is charged as a page, not as a block");
	tap_ok(end >= 0 && !(end & 2),
	       "a region from warm blocks is charged to its creator's memory cgroup");
	tap_ok(end >= 0 && !(end & 4), "and the charge returns in the closing call");
	tap_ok(end >= 0 && !(end & 8),
	       "the cgroup's limit strikes at CREATE, as ENOMEM, and kills nobody");
	tap_ok(end >= 0 && !(end & 16), "and what fits below it can still be had");
	tap_ok(about(charged("a"), 0),
	       "a region that ends with its process is uncharged");

	/* Made in one cgroup and given up in another. */
	before = charged("b");
	pid = must_fork();
	if (!pid) {
		cgroup_join("b");
		fd = create(2 * BLOCK);
		if (fd < 0 || !about(charged("b") - before, 2 * BLOCK))
			_exit(1);
		cgroup_join("a");
		if (!about(charged("b") - before, 2 * BLOCK))
			_exit(2);
		close(fd);
		_exit(about(charged("b") - before, 0) && about(charged("a"), 0) ? 0 : 3);
	}
	end = end_of(pid);
	tap_ok(!end,
	       "a region given up from another cgroup is uncharged from its own (%d)",
	       end);
	cgroup_remove("a");
	cgroup_remove("b");
	umount(CGROUP);
}

int main(void)
{
	char keep[16];

	door_open_alone();
	if (getuid() || access(PARAMETERS "keep_blocks", W_OK))
		tap_skip_all("root, and the module's parameters");
	if (!cgroup_make("a", "12582912") || !cgroup_make("b", "max"))
		tap_skip_all("the memory controller of cgroup v2");
	snprintf(keep, sizeof(keep), "%ld", read_number(PARAMETERS "keep_blocks"));
	tap_plan(7);
	test_cgroup();
	set_keep(keep);
	return tap_end();
}
