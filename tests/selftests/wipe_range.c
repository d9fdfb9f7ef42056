// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_RANGE: zeroes what is there, counts it exactly, and makes nothing
 * that was not there.
 */
#include <sys/syscall.h>

#include "door.h"

#ifndef MADV_NOHUGEPAGE
#define MADV_NOHUGEPAGE 15
#endif

#define NR ((size_t)64)
#define FILL 0xe5

static int wipe_as(pid_t tid, uint64_t start, uint64_t length, uint64_t *wiped)
{
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = LETHE_WIPE_RANGE,
		.tid = tid,
		.start = start,
		.length = length,
		.wiped = UINT64_MAX,
	};
	int err = call(LETHE_IOC_WIPE, &args);

	*wiped = args.wiped;
	return err;
}

/* The bytes wiped, or a negative errno. */
static int64_t wipe(const void *start, size_t length)
{
	uint64_t wiped;
	int err = wipe_as(0, (uintptr_t)start, length, &wiped);

	return err ? err : (int64_t)wiped;
}

static unsigned char *pages(size_t nr)
{
	unsigned char *p = must_map_plain(nr * PAGE);

	/* Exact counts: a touch is one page. */
	madvise(p, nr * PAGE, MADV_NOHUGEPAGE);
	return p;
}

static size_t resident(void *start, size_t nr)
{
	unsigned char vec[NR];
	size_t sum = 0;

	if (mincore(start, nr * PAGE, vec))
		tap_bail("mincore: %s", strerror(errno));
	for (size_t i = 0; i < nr; i++)
		sum += vec[i] & 1;
	return sum;
}

static void test_resident(void)
{
	unsigned char *p = pages(NR);

	tap_ok(wipe(p, NR * PAGE) == 0 && resident(p, NR) == 0,
	       "pages that were never touched are neither wiped nor made");

	p[3 * PAGE] = p[4 * PAGE + 17] = p[63 * PAGE + 4095] = FILL;
	tap_ok(resident(p, NR) == 3 && wipe(p, NR * PAGE) == 3 * PAGE &&
		       resident(p, NR) == 3 && !p[3 * PAGE] && !p[4 * PAGE + 17] &&
		       !p[63 * PAGE + 4095],
	       "of 64 pages, the 3 that were touched are wiped, and no more");

	memset(p, FILL, NR * PAGE);
	tap_ok(wipe(p, NR * PAGE) == NR * PAGE && all_are(p, 0, NR * PAGE),
	       "all of a range that is resident is wiped");
	munmap(p, NR * PAGE);
}

static void test_edges(void)
{
	static const struct {
		size_t start, length;
	} parts[] = {
		{ 0, 1 },     { 1, 1 },       { 4095, 1 }, { 4095, 2 },
		{ 7, 4096 },  { 4090, 4110 }, { 100, 63 }, { 1, 3 * 4096 - 2 },
		{ 13, 8191 },
	};
	const size_t nr = sizeof(parts) / sizeof(parts[0]);
	unsigned char *p = pages(3);
	size_t right = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t start = parts[i].start, end = start + parts[i].length;

		memset(p, FILL, 3 * PAGE);
		right += wipe(p + start, end - start) == (int64_t)(end - start) &&
			 all_are(p, FILL, start) && all_are(p + start, 0, end - start) &&
			 all_are(p + end, FILL, 3 * PAGE - end);
	}
	tap_ok(right == nr, "unaligned ranges are wiped to the byte (%zu of %zu)", right,
	       nr);
	munmap(p, 3 * PAGE);
}

static int with(uint32_t flags, uint32_t reserved)
{
	unsigned char byte;
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = flags,
		.reserved = reserved,
		.start = (uintptr_t)&byte,
		.length = 1,
	};

	return call(LETHE_IOC_WIPE, &args);
}

static void test_errors(void)
{
	const uint64_t top = (1ULL << 47) - PAGE;
	unsigned char *p = pages(1);
	uint64_t start = (uintptr_t)p, wiped;

	*p = FILL;
	tap_ok(wipe(p, 0) == -EINVAL, "a length of zero is EINVAL");
	tap_ok(wipe_as(0, start, -start, &wiped) == -EINVAL &&
		       wipe_as(0, start, UINT64_MAX, &wiped) == -EINVAL &&
		       wipe_as(0, UINT64_MAX, 2, &wiped) == -EINVAL,
	       "a range that wraps round is EINVAL");
	tap_ok(wipe_as(0, 1ULL << 63, PAGE, &wiped) == -EFAULT &&
		       wipe_as(0, UINT64_MAX - PAGE, PAGE, &wiped) == -EFAULT &&
		       wipe_as(0, start, UINT64_MAX - start, &wiped) == -EFAULT,
	       "a range past user space is EFAULT");
	tap_ok(wipe_as(0, top - PAGE, PAGE, &wiped) == 0 && !wiped,
	       "the last page of user space is not");
	tap_ok(with(0, 0) == -EINVAL && with(LETHE_WIPE_RANGE | 1U << 31, 0) == -EINVAL &&
		       with(LETHE_WIPE_RANGE, 1) == -EINVAL,
	       "no flag, an unknown one, and a reserved member are EINVAL");
	tap_ok(*p == FILL, "and none of that wiped anything");
	munmap(p, PAGE);
}

static void test_skipped(void)
{
	unsigned char *p = pages(6);
	int64_t wiped;

	memset(p, FILL, 6 * PAGE);
	mprotect(p + PAGE, PAGE, PROT_READ);
	mprotect(p + 3 * PAGE, PAGE, PROT_NONE);
	munmap(p + 4 * PAGE, PAGE);
	wiped = wipe(p, 6 * PAGE);
	tap_ok(wiped == 3 * PAGE && all_are(p, 0, PAGE) &&
		       all_are(p + 2 * PAGE, 0, PAGE) && all_are(p + 5 * PAGE, 0, PAGE),
	       "read-only, PROT_NONE and unmapped pages are passed over");
	mprotect(p + 3 * PAGE, PAGE, PROT_READ);
	tap_ok(all_are(p + PAGE, FILL, PAGE) && all_are(p + 3 * PAGE, FILL, PAGE),
	       "and keep what is in them");
	munmap(p, 6 * PAGE);
}

static void test_key(void)
{
	int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	unsigned char *p;

	if (key < 0) {
		tap_skip("protection keys", "a page behind a key is passed over");
		return;
	}
	p = pages(2);
	memset(p, FILL, 2 * PAGE);
	if (pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, key))
		tap_bail("pkey_mprotect: %s", strerror(errno));
	tap_ok(wipe(p, 2 * PAGE) == PAGE && all_are(p, FILL, PAGE) &&
		       all_are(p + PAGE, 0, PAGE),
	       "a page behind a protection key is passed over");
	pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, 0);
	pkey_free(key);
	munmap(p, 2 * PAGE);
}

/* One wipes, the other looks, each way round. */
static void test_copy_on_write(void)
{
	unsigned char *p = pages(4);
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
	memset(p, FILL, 4 * PAGE);
	pid = must_fork();
	if (!pid) {
		close(ends[1]);
		/* Until the parent has wiped: it then closes its end. */
		if (read(ends[0], &byte, 1))
			_exit(1);
		_exit(all_are(p, FILL, 4 * PAGE) ? 0 : 2);
	}
	close(ends[0]);
	tap_ok(wipe(p, 4 * PAGE) == 4 * PAGE && all_are(p, 0, 4 * PAGE),
	       "copy-on-write after fork: the parent's pages are wiped");
	close(ends[1]);
	tap_ok(!end_of(pid), "and the child's copy is as it was");

	memset(p, FILL, 4 * PAGE);
	pid = must_fork();
	if (!pid)
		_exit(wipe(p, 4 * PAGE) == 4 * PAGE && all_are(p, 0, 4 * PAGE) ? 0 : 1);
	tap_ok(!end_of(pid) && all_are(p, FILL, 4 * PAGE), "and the other way round");
	munmap(p, 4 * PAGE);
}

static void test_zero_page(void)
{
	unsigned char *p = pages(4);
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < 4; i++)
		sum += p[i * PAGE];
	tap_ok(!sum && resident(p, 4) == 4 && wipe(p, 4 * PAGE) == 0,
	       "pages that were only read stay the shared zero page");
	munmap(p, 4 * PAGE);
}

static void test_files(void)
{
	unsigned char *shared, *private;
	int fd = memfd_create("wipe", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PAGE))
		tap_bail("memfd_create: %s", strerror(errno));
	shared = must_map(fd, PAGE);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (private == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	memset(shared, FILL, PAGE);
	tap_ok(private[0] == FILL && wipe(private, PAGE) == PAGE &&
		       all_are(private, 0, PAGE) && all_are(shared, FILL, PAGE),
	       "a private mapping of a file is wiped, and the file is not");
	tap_ok(wipe(shared, PAGE) == PAGE && all_are(shared, 0, PAGE),
	       "a shared one is wiped");
	munmap(shared, PAGE);
	munmap(private, PAGE);
	close(fd);
}

static void test_sparse(void)
{
	const size_t span = 16ULL << 40;
	unsigned char *p = mmap(NULL, span, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const size_t at[] = { 0, span / 3 & ~(PAGE - 1), span - PAGE };
	bool clean = true;

	if (p == MAP_FAILED) {
		tap_skip("16 TiB of address space", "a huge range is searched");
		return;
	}
	for (int i = 0; i < 3; i++) {
		mprotect(p + at[i], PAGE, PROT_READ | PROT_WRITE);
		memset(p + at[i], FILL, PAGE);
	}
	clean &= wipe(p, span) == 3 * PAGE;
	for (int i = 0; i < 3; i++)
		clean &= all_are(p + at[i], 0, PAGE);
	tap_ok(clean, "3 pages are found and wiped in a range of 16 TiB");
	munmap(p, span);
}

static void test_huge(void)
{
	const size_t huge = 2 * 1024 * 1024;
	unsigned char *raw = must_map_plain(3 * huge), *p;

	p = (unsigned char *)(((uintptr_t)raw + huge - 1) & ~(huge - 1));
	madvise(p, huge, MADV_HUGEPAGE);
	memset(p, FILL, huge + PAGE);
	tap_ok(wipe(p + 1, huge) == (int64_t)huge && p[0] == FILL &&
		       all_are(p + 1, 0, huge) && p[huge + 1] == FILL,
	       "a range across a huge page is wiped to the byte");
	munmap(raw, 3 * huge);
}

static void test_region(void)
{
	int fd = must_create(8 * PAGE);
	unsigned char *one = must_map(fd, 8 * PAGE);
	unsigned char *two = must_map(fd, 8 * PAGE);

	memset(one, FILL, 8 * PAGE);
	tap_ok(wipe(one + 5, 3 * PAGE) == 3 * PAGE && all_are(two, FILL, 5) &&
		       all_are(two + 5, 0, 3 * PAGE) &&
		       all_are(two + 5 + 3 * PAGE, FILL, 5 * PAGE - 5),
	       "a part of a region is wiped to the byte");
	munmap(one, 8 * PAGE);
	munmap(two, 8 * PAGE);
	close(fd);
}

static void test_target(void)
{
	unsigned char *p = pages(1);
	uint64_t at = (uintptr_t)p, wiped;
	pid_t pid;
	int err;

	*p = FILL;
	pid = must_fork();
	if (!pid)
		_exit(pause());
	err = wipe_as(pid, at, PAGE, &wiped);
	kill(pid, SIGKILL);
	end_of(pid);
	tap_ok(err == -ESRCH && wipe_as(1, at, PAGE, &wiped) == -ESRCH &&
		       wipe_as(-1, at, PAGE, &wiped) == -ESRCH && *p == FILL,
	       "another task's tid is ESRCH");
	tap_ok(!wipe_as(syscall(SYS_gettid), at, PAGE, &wiped) && wiped == PAGE && !*p,
	       "the caller's own is the caller");
	munmap(p, PAGE);
}

static void test_killed(void)
{
	unsigned char *p = pages(NR);
	pid_t pid;

	memset(p, FILL, NR * PAGE);
	pid = must_fork();
	if (!pid)
		for (;;)
			wipe(p, NR * PAGE);
	usleep(100 * 1000);
	kill(pid, SIGKILL);
	tap_ok(end_of(pid) == -SIGKILL && all_are(p, FILL, NR * PAGE),
	       "a task that does nothing but wipe can be killed");
	munmap(p, NR * PAGE);
}

int main(void)
{
	door_open();
	tap_plan(25);
	test_resident();
	test_edges();
	test_errors();
	test_skipped();
	test_key();
	test_copy_on_write();
	test_zero_page();
	test_files();
	test_sparse();
	test_huge();
	test_region();
	test_target();
	test_killed();
	return tap_end();
}
