// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_WIPE of what is swapped out: whole pages of a task's own are given up and
 * not read back, everything else comes back to be zeroed. It has the disk that
 * LETHE_DISK names for a swap device, and overwrites it. Not beside other tests: it
 * counts what the whole machine reads back.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "knobs.h"
#include "target.h"
#include "ustack.h"

#define NR ((size_t)32)
#define SWAP_PAGES 1000
#define CLUSTER "/proc/sys/vm/page-cluster"
#define CGROUP "/tmp/lethe-swap"
#define PLACE 5000 /* where a page's worth of bytes is only a part of two pages */

static struct lethe_wipe last;
static unsigned char *pages;

static int wipe_from(pid_t tid, uint32_t flags, void *start, size_t length)
{
	last = (struct lethe_wipe){
		.size = sizeof(last),
		.flags = flags,
		.tid = tid,
		.start = (uintptr_t)start,
		.length = length,
	};
	return call(LETHE_IOC_WIPE, &last);
}

static int wipe(void *start, size_t length)
{
	return wipe_from(0, LETHE_WIPE_RANGE, start, length);
}

static bool counts(int err, uint64_t wiped, uint64_t skipped, uint64_t dropped)
{
	return !err && last.wiped == wiped && last.skipped == skipped &&
	       last.dropped == dropped;
}

/* What mkswap writes. */
static bool make_swap(const char *disk)
{
	static unsigned char header[PAGE];
	const uint32_t words[] = { 1, SWAP_PAGES - 1, 0 };
	int fd = open(disk, O_RDWR | O_CLOEXEC);
	bool good;

	memcpy(header + 1024, words, sizeof(words));
	memcpy(header + PAGE - 10, "SWAPSPACE2", 10);
	good = write(fd, header, PAGE) == (ssize_t)PAGE && !fsync(fd);
	close(fd);
	return good && !swapon(disk, 0);
}

/* So that memory is asked of this program alone. */
static bool join_cgroup(void)
{
	return (!mkdir(CGROUP, 0700) || errno == EEXIST) &&
	       !mount("cgroup2", CGROUP, "cgroup2", 0, NULL) &&
	       !write_file(CGROUP "/cgroup.subtree_control", "+memory") &&
	       (!mkdir(CGROUP "/swap", 0700) || errno == EEXIST) &&
	       !write_file(CGROUP "/swap/cgroup.procs", "0") &&
	       !access(CGROUP "/swap/memory.reclaim", W_OK);
}

static void leave_cgroup(void)
{
	write_file(CGROUP "/cgroup.procs", "0");
	rmdir(CGROUP "/swap");
	umount(CGROUP);
	rmdir(CGROUP);
}

/* Pages that were read back from a swap device since the machine began. */
static long read_back(void)
{
	FILE *file = fopen("/proc/vmstat", "r");
	long value = -1;
	char line[128];

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, "pswpin ", 7))
			value = atol(line + 7);
	if (file)
		fclose(file);
	return value;
}

static size_t swapped(unsigned char *start, size_t nr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;
	size_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		if (pread(fd, &entry, sizeof(entry),
			  ((uintptr_t)start / PAGE + i) * sizeof(entry)) == sizeof(entry))
			sum += entry >> 62 & 1;
	close(fd);
	return sum;
}

/*
 * Until all of them are on the disk alone. A copy of a page stays after it was
 * written, which mincore() sees, until memory is asked for.
 */
static void must_swap_out(unsigned char *start, size_t nr)
{
	for (int i = 0; i < 200; i++) {
		madvise(start, nr * PAGE, MADV_PAGEOUT);
		write_file(CGROUP "/swap/memory.reclaim", "64M");
		if (!resident_pages(start, start + nr * PAGE))
			return;
		usleep(10 * 1000);
	}
	tap_bail("pages do not go to the swap device");
}

static void fill_and_swap_out(void)
{
	memset(pages, FILL, NR * PAGE);
	must_swap_out(pages, NR);
	if (swapped(pages, NR) != NR)
		tap_bail("pages are not where they were sent");
}

static void test_dropped(void)
{
	long before;
	bool same;

	fill_and_swap_out();
	before = read_back();
	same = all_are(pages, FILL, NR * PAGE);
	tap_ok(same && read_back() - before == (long)NR,
	       "a page that is swapped out is read back if it is touched (%ld: control)",
	       read_back() - before);
	fill_and_swap_out();
	before = read_back();
	tap_ok(counts(wipe(pages, NR * PAGE), 0, 0, NR * PAGE) && !swapped(pages, NR) &&
		       !resident_pages(pages, pages + NR * PAGE),
	       "it is dropped, counted, and nothing is in its place");
	tap_ok(all_are(pages, 0, NR * PAGE) && read_back() == before,
	       "it reads as zero, and nothing was read back (%ld)", read_back() - before);
}

static void test_parts(void)
{
	fill_and_swap_out();
	tap_ok(counts(wipe(pages + 100, 50), 50, 0, 0) && all_are(pages, FILL, 100) &&
		       all_are(pages + 100, 0, 50) && all_are(pages + 150, FILL, PAGE),
	       "of a part of one, just that is zeroed, after it was read back");
	fill_and_swap_out();
	tap_ok(counts(wipe(pages + PLACE, 4 * PAGE), PAGE, 0, 3 * PAGE) &&
		       all_are(pages, FILL, PLACE) &&
		       all_are(pages + PLACE, 0, 4 * PAGE) &&
		       all_are(pages + PLACE + 4 * PAGE, FILL,
			       NR * PAGE - PLACE - 4 * PAGE),
	       "a range that ends within pages drops whole ones, and is right to the byte");
	fill_and_swap_out();
	memset(pages + 4 * PAGE, FILL, PAGE);
	memset(pages + 9 * PAGE, FILL, PAGE);
	tap_ok(!wipe(pages, NR * PAGE) && last.wiped == 2 * PAGE &&
		       last.dropped == (NR - 2) * PAGE && all_are(pages, 0, NR * PAGE),
	       "among pages that are in memory likewise: the sum is all of it");
}

static void test_refused(void)
{
	long before;

	fill_and_swap_out();
	before = read_back();
	mprotect(pages, 2 * PAGE, PROT_READ);
	mprotect(pages + 4 * PAGE, 2 * PAGE, PROT_NONE);
	tap_ok(counts(wipe(pages, 6 * PAGE), 0, 0, 2 * PAGE) && read_back() == before,
	       "what the task could not write stays where it is, and is not read back");
	mprotect(pages, NR * PAGE, PROT_READ | PROT_WRITE);
	tap_ok(all_are(pages, FILL, 2 * PAGE) &&
		       all_are(pages + 4 * PAGE, FILL, 2 * PAGE),
	       "and is what it was");
}

static void test_forked(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	fill_and_swap_out();
	pid = must_fork();
	if (!pid) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) || !all_are(pages, FILL, NR * PAGE));
	}
	close(ends[0]);
	tap_ok(counts(wipe(pages, NR * PAGE), 0, 0, NR * PAGE),
	       "what a fork's child has on the disk too is dropped");
	close(ends[1]);
	tap_ok(!end_of(pid), "and the child's is what it was");
}

static void test_shared(void)
{
	unsigned char *map = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int err;

	if (map == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	memset(map, FILL, NR * PAGE);
	must_swap_out(map, NR);
	err = wipe(map, NR * PAGE);
	tap_ok(counts(err, NR * PAGE, 0, 0) && all_are(map, 0, NR * PAGE),
	       "shared memory that is swapped out is read back and zeroed (%zu bytes left)",
	       count_fill(map, NR * PAGE));
	munmap(map, NR * PAGE);
}

static int dead_err;

static void wipe_dead(void)
{
	static struct below below;

	last = (struct lethe_wipe){ .size = sizeof(last),
				    .flags = LETHE_WIPE_DEAD_STACK };
	dead_err = wipe_below(&last, &below);
}

static void test_stack(void)
{
	fill_and_swap_out();
	run_on(pages, NR * PAGE, wipe_dead);
	tap_ok(!dead_err && last.dropped >= (NR - 8) * PAGE && !last.skipped &&
		       all_are(pages, 0, (NR - 8) * PAGE),
	       "what is dead of a stack and swapped out is dropped");
}

static size_t wait_swapped_out(void)
{
	must_swap_out(RANGE_AT, 1);
	target->changed = 1;
	return wait_asleep();
}

static void test_tracee(void)
{
	pid_t pid = start_process(wait_swapped_out);
	long before;
	int err;

	must_await(&target->changed, "a target's page on the disk");
	if (!seize_and_stop(pid))
		tap_bail("ptrace: %s", strerror(errno));
	before = read_back();
	err = wipe_from(pid, LETHE_WIPE_RANGE, RANGE_AT, PAGE);
	tap_ok(counts(err, 0, 0, PAGE) && read_back() == before,
	       "a tracee's page that is swapped out is dropped");
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	target->go = 1;
	must_await(&target->done, "a target's end");
	tap_ok(!target->left[RANGE] && all_are(RANGE_AT, OWN, PAGE),
	       "and it finds zeros there; the tracer's own is as it was");
	end_of(pid);
}

int main(void)
{
	const char *disk = getenv("LETHE_DISK");
	char cluster[16];

	door_open();
	if (geteuid() || !disk)
		tap_skip_all("root, and LETHE_DISK to swap to");
	if (!join_cgroup())
		tap_skip_all("a memory cgroup that can be told to reclaim");
	if (!make_swap(disk))
		tap_skip_all("swapping to LETHE_DISK");
	target_open(-1);
	pages = must_map_pages(NR);
	/* One page at a time is read back, so that they can be counted. */
	snprintf(cluster, sizeof(cluster), "%ld", read_number(CLUSTER));
	set(CLUSTER, "0");
	tap_plan(14);
	test_dropped();
	test_parts();
	test_refused();
	test_forked();
	test_shared();
	test_stack();
	test_tracee();
	set(CLUSTER, cluster);
	swapoff(disk);
	leave_cgroup();
	return tap_end();
}
