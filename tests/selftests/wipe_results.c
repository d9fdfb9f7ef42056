// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_RANGE leaves things as they are, but for the bytes: huge pages, what is
 * shared by copy-on-write, files. What it did is counted, and told to a caller that
 * was built with a shorter structure as far as that goes.
 */
#include <stddef.h>
#include <sys/vfs.h>

#include "knobs.h"
#include "ustack.h"

#define NR ((size_t)16)
#define HUGE ((size_t)2 << 20)

static struct lethe_wipe last;

static int wipe(void *start, size_t length)
{
	last = (struct lethe_wipe){
		.size = sizeof(last),
		.flags = LETHE_WIPE_RANGE,
		.start = (uintptr_t)start,
		.length = length,
	};
	return call(LETHE_IOC_WIPE, &last);
}

/* Exactly these counts, of a call that went well. */
static bool counts(int err, uint64_t wiped, uint64_t skipped)
{
	return !err && last.wiped == wiped && last.skipped == skipped && !last.dropped;
}

/* A number of kB that the kernel has of the mapping which begins at @start. */
static long smaps(const void *start, const char *field)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool inside = false;
	char line[512];
	long value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from == (uintptr_t)start;
		else if (inside && !strncmp(line, field, strlen(field)) &&
			 line[strlen(field)] == ':')
			value = atol(line + strlen(field) + 1);
	}
	if (file)
		fclose(file);
	return value;
}

static void test_skipped(void)
{
	unsigned char *p = must_map_pages(NR);

	memset(p, FILL, 6 * PAGE);
	mprotect(p + PAGE, 2 * PAGE, PROT_READ);
	mprotect(p + 4 * PAGE, PAGE, PROT_NONE);
	/* Read-only, and nothing in it. */
	mprotect(p + 10 * PAGE, 4 * PAGE, PROT_READ);
	tap_ok(counts(wipe(p, NR * PAGE), 3 * PAGE, 3 * PAGE),
	       "what is read-only or PROT_NONE is counted as skipped, as far as it is there");
	tap_ok(counts(wipe(p + PAGE + 100, 1000), 0, 1000), "to the byte");
	tap_ok(all_are(p + PAGE, FILL, 2 * PAGE) &&
		       !mprotect(p + 4 * PAGE, PAGE, PROT_READ) &&
		       all_are(p + 4 * PAGE, FILL, PAGE),
	       "and is what it was");
	munmap(p, NR * PAGE);
}

/* On a disk: of LETHE_DISK, else of the working directory's file system. */
static int disk_file(off_t *at)
{
	const char *disk = getenv("LETHE_DISK");
	char name[] = "lethe-file-XXXXXX";
	struct statfs fs;
	int fd;

	*at = 0;
	if (disk) {
		/* Not the page that pinning.c has. */
		*at = 64 * PAGE;
		return open(disk, O_RDWR | O_CLOEXEC);
	}
	/* Nor tmpfs, ramfs or overlayfs. */
	if (statfs(".", &fs) || fs.f_type == 0x01021994 || fs.f_type == 0x858458f6 ||
	    fs.f_type == 0x794c7630)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	unlink(name);
	return fd >= 0 && ftruncate(fd, PAGE) ? -1 : fd;
}

static void test_disk(void)
{
	static unsigned char bytes[PAGE];
	unsigned char *shared, *private;
	off_t at;
	int fd = disk_file(&at);

	memset(bytes, FILL, PAGE);
	if (fd < 0 || pwrite(fd, bytes, PAGE, at) != (ssize_t)PAGE) {
		tap_skip("a file on a disk", "a shared file on a disk is skipped");
		tap_skip("a file on a disk", "and it is what it was, mapped and read");
		tap_skip("a file on a disk",
			 "a private mapping of it is wiped, and it is not");
		return;
	}
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, at);
	if (shared == MAP_FAILED || private == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	/* Written to, so that it is there and may be written to. */
	shared[0] = FILL;
	tap_ok(counts(wipe(shared, PAGE), 0, PAGE), "a shared file on a disk is skipped");
	tap_ok(all_are(shared, FILL, PAGE) && !fsync(fd) &&
		       pread(fd, bytes, PAGE, at) == (ssize_t)PAGE &&
		       all_are(bytes, FILL, PAGE),
	       "and it is what it was, mapped and read");
	private[0] = FILL;
	tap_ok(counts(wipe(private, PAGE), PAGE, 0) && all_are(private, 0, PAGE) &&
		       all_are(shared, FILL, PAGE),
	       "a private mapping of it is wiped, and it is not");
	munmap(shared, PAGE);
	munmap(private, PAGE);
	close(fd);
}

static void test_shared(void)
{
	unsigned char *p = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	memset(p, FILL, NR * PAGE);
	pid = must_fork();
	if (!pid)
		_exit(!counts(wipe(p, NR * PAGE), NR * PAGE, 0));
	tap_ok(!end_of(pid) && all_are(p, 0, NR * PAGE),
	       "shared memory is wiped, by one who has not touched it too");
	madvise(p, NR * PAGE, MADV_REMOVE);
	p[5 * PAGE] = FILL;
	madvise(p, NR * PAGE, MADV_DONTNEED);
	tap_ok(counts(wipe(p + 3, NR * PAGE - 3), PAGE, 0) && !p[5 * PAGE] &&
		       smaps(p, "Rss") == 4,
	       "of it as well, what is not there is not made");
	munmap(p, NR * PAGE);
}

static bool is_never(void)
{
	char text[64] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled",
		      O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, sizeof(text) - 1);

	close(fd);
	return got > 0 && strstr(text, "[never]");
}

/* A small machine has none unless root says so, and then as before. */
static void say_huge(const char *enabled, const char *zero_page)
{
	write_file("/sys/kernel/mm/transparent_hugepage/enabled", enabled);
	write_file("/sys/kernel/mm/transparent_hugepage/use_zero_page", zero_page);
}

static void test_huge(void)
{
	const bool never = is_never();
	unsigned char *raw = must_map_plain(3 * HUGE), *p;

	p = (unsigned char *)(((uintptr_t)raw + HUGE - 1) & ~(HUGE - 1));
	/* One mapping of just that. */
	munmap(raw, p - raw);
	munmap(p + HUGE, raw + 3 * HUGE - (p + HUGE));
	if (never)
		say_huge("madvise", "1");
	madvise(p, HUGE, MADV_HUGEPAGE);
	memset(p, FILL, HUGE);
	if (smaps(p, "AnonHugePages") != 2048) {
		tap_skip("a huge page",
			 "a part of a huge page is wiped, and that stays huge");
		tap_skip("a huge page", "all of one likewise");
		tap_skip("a huge page",
			 "one that was only read stays the shared page of zeros");
	} else {
		tap_ok(counts(wipe(p + 5, HUGE - 4096), HUGE - 4096, 0) &&
			       smaps(p, "AnonHugePages") == 2048 && p[4] == FILL &&
			       !p[5] && p[HUGE - 4091] == FILL,
		       "a part of a huge page is wiped, and that stays huge");
		memset(p, FILL, HUGE);
		tap_ok(counts(wipe(p, HUGE), HUGE, 0) &&
			       smaps(p, "AnonHugePages") == 2048 && all_are(p, 0, HUGE),
		       "all of one likewise");
		madvise(p, HUGE, MADV_DONTNEED);
		tap_ok(all_are(p, 0, HUGE) && counts(wipe(p, HUGE), 0, 0) &&
			       !smaps(p, "Rss"),
		       "one that was only read stays the shared page of zeros");
	}
	if (never)
		say_huge("never", "0");
	munmap(p, HUGE);
}

/* Zeros that parent and child share: nothing is gained by making them two. */
static void test_copy_on_write(void)
{
	unsigned char *p = must_map_pages(2 * NR);
	long before, after;
	int ends[2], err;
	char byte;
	pid_t pid;

	memset(p, FILL, 2 * NR * PAGE);
	memset(p, 0, NR * PAGE);
	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	pid = must_fork();
	if (!pid) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1)                 ? 1 :
		      all_are(p + NR * PAGE, FILL, NR * PAGE) ? 0 :
								2);
	}
	close(ends[0]);
	before = smaps(p, "Private_Dirty");
	err = wipe(p, NR * PAGE);
	after = smaps(p, "Private_Dirty");
	tap_ok(counts(err, 0, 0) && after == before,
	       "zeros that are shared by copy-on-write stay shared (%ld, %ld kB private)",
	       before, after);
	err = wipe(p + NR * PAGE, NR * PAGE);
	after = smaps(p, "Private_Dirty");
	tap_ok(counts(err, NR * PAGE, 0) && after >= before + (long)(NR * PAGE / 1024),
	       "other bytes do not: the pages become two (%ld kB private: control)",
	       after);
	close(ends[1]);
	tap_ok(!end_of(pid), "and the other one's are what they were");
	munmap(p, 2 * NR * PAGE);
}

static long page_tables(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, "VmPTE:", 6))
			value = atol(line + 6);
	if (file)
		fclose(file);
	return value;
}

static void test_sparse(void)
{
	const size_t length = (size_t)8 << 20;
	unsigned char *p = must_map_pages(length / PAGE);
	long tables;
	int err;

	memset(p + (1 << 20), FILL, 4 * PAGE);
	tables = page_tables();
	err = wipe(p, length);
	tap_ok(counts(err, 4 * PAGE, 0) && page_tables() == tables &&
		       resident_pages(p, p + length) == 4,
	       "of 8 MiB with 16 KiB in memory, 16 KiB are touched, and nothing is made");
	munmap(p, length);
}

static void test_locked(void)
{
	unsigned char *p = must_map_pages(4);

	memset(p, FILL, 4 * PAGE);
	if (mlock(p, 4 * PAGE)) {
		tap_skip("RLIMIT_MEMLOCK", "locked memory is wiped, and stays there");
	} else {
		tap_ok(counts(wipe(p, 4 * PAGE), 4 * PAGE, 0) &&
			       resident_pages(p, p + 4 * PAGE) == 4 &&
			       smaps(p, "Locked") == 16,
		       "locked memory is wiped, and stays there");
	}
	munmap(p, 4 * PAGE);
}

/* The structure as somebody knows it who has only so much of it. */
static bool told(unsigned char *end, size_t size, size_t results)
{
	unsigned char *target = must_map_pages(2);
	struct lethe_wipe *args = (struct lethe_wipe *)(end - size);
	const uint64_t expect[] = { PAGE, PAGE, 0 };
	unsigned char before[16];
	bool good;

	memset(target, FILL, 2 * PAGE);
	mprotect(target + PAGE, PAGE, PROT_READ);
	memset(end - size - sizeof(before), FILL, sizeof(before));
	memset(args, 0, size);
	args->size = size;
	args->flags = LETHE_WIPE_RANGE;
	args->start = (uintptr_t)target;
	args->length = 2 * PAGE;
	memset(&args->wiped, 0, results);
	good = !call(LETHE_IOC_WIPE, args) && !memcmp(&args->wiped, expect, results) &&
	       all_are(end - size - sizeof(before), FILL, sizeof(before));
	munmap(target, 2 * PAGE);
	return good;
}

static void test_sizes(void)
{
	static const size_t sizes[] = { 40, 48, 56 };
	unsigned char *p = must_map_pages(3), *end = p + PAGE;
	size_t right = 0, beside = 0;

	/* Nothing may be read or written past the structure. */
	mprotect(end, PAGE, PROT_NONE);
	for (int i = 0; i < 3; i++)
		right += told(end, sizes[i], sizes[i] - 32);
	tap_ok(right == 3,
	       "a caller that knows 40, 48 or 56 bytes is told as much as it knows (%zu of 3)",
	       right);
	mprotect(end, PAGE, PROT_READ | PROT_WRITE);
	memset(end, FILL, PAGE);
	for (int i = 0; i < 3; i++)
		beside += told(end, sizes[i], sizes[i] - 32) && all_are(end, FILL, PAGE);
	tap_ok(beside == 3, "and nothing is written past that (%zu of 3)", beside);
	munmap(p, 3 * PAGE);
}

int main(void)
{
	door_open();
	tap_plan(18);
	test_skipped();
	test_disk();
	test_shared();
	test_huge();
	test_copy_on_write();
	test_sparse();
	test_locked();
	test_sizes();
	return tap_end();
}
