// SPDX-License-Identifier: MIT
/*
 * resident_wipe(): what it zeroes of a range, what it leaves, and that it makes
 * nothing; lethe_wipe_stack()'s errors. That dead stacks are wiped, and live ones not,
 * is shown by tests/selftests/wipe_stack.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "mapping.h"
#include "resident.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define FILL 0xe5
#define RANGE (8 * MIB)
#define NR ((size_t)16)
#define HUGE (2 * MIB)

/* In a child Criterion's own have nobody to tell. */
static bool in_child;

static void fail(int line, const char *what)
{
	if (!in_child)
		cr_assert_fail("line %d: %s", line, what);
	dprintf(STDERR_FILENO, "line %d: %s\n", line, what);
	_exit(1);
}

#define must(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static unsigned char *map(size_t length, int prot, int flags, int fd)
{
	unsigned char *p = mmap(NULL, length, prot, flags, fd, 0);

	must(p != MAP_FAILED);
	return p;
}

static unsigned char *pages(size_t nr)
{
	unsigned char *p = map(nr * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	/* Exact counts: a touch is one page. */
	madvise(p, nr * PAGE, MADV_NOHUGEPAGE);
	return p;
}

static int wipe(const void *start, size_t length)
{
	return resident_wipe((uintptr_t)start, (uintptr_t)start + length, false);
}

static bool all_are(const unsigned char *p, unsigned char byte, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static uint64_t in_page_table(const void *p)
{
	uint64_t word = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(pread(fd, &word, sizeof(word),
			   (off_t)((uintptr_t)p / PAGE * sizeof(word))),
		     (ssize_t)sizeof(word));
	close(fd);
	return word;
}

static bool is_present(const void *p)
{
	return in_page_table(p) >> 63;
}

static bool is_swapped(const void *p)
{
	return in_page_table(p) >> 62 & 1;
}

static size_t resident(unsigned char *start, size_t nr)
{
	unsigned char one;
	size_t sum = 0, i;

	for (i = 0; i < nr; i++) {
		must(mincore(start + i * PAGE, PAGE, &one) == 0);
		sum += one & 1;
	}
	return sum;
}

/* From now on this call fails, here alone. */
static void forbid(unsigned int call, unsigned int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* A process that may not open its own /proc/self/pagemap, as one with keys may be. */
static void lose_pagemap(void)
{
	must(geteuid() || (!setgid(65534) && !setuid(65534)));
	prctl(PR_SET_DUMPABLE, 0);
	must(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) < 0);
}

static void lose_proc(void)
{
	forbid(SYS_openat, EACCES);
}

static const struct {
	const char *name;
	void (*lose)(void);
} ways[] = { { "pagemap", NULL }, { "mincore", lose_pagemap } };

/* Each way in a process of its own, since what is lost stays so. */
static void each_way(void (*check)(void))
{
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		pid = fork();
		if (!pid) {
			in_child = true;
			if (ways[i].lose)
				ways[i].lose();
			check();
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0, "by %s: %x", ways[i].name, status);
	}
}

static void check_resident(void)
{
	unsigned char *p = pages(RANGE / PAGE);
	static const size_t at[] = { 0, 100, 1023, 2047 };
	size_t i;

	must(wipe(p, RANGE) == 0);
	must(resident(p, RANGE / PAGE) == 0);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		memset(p + at[i] * PAGE, FILL, PAGE);
	must(wipe(p, RANGE) == 0);
	must(resident(p, RANGE / PAGE) == 4);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		must(all_are(p + at[i] * PAGE, 0, PAGE));
	memset(p, FILL, RANGE);
	must(wipe(p, RANGE) == 0);
	must(all_are(p, 0, RANGE));
}

Test(wipe_stack, of_8_mib_with_16_kib_resident_leaves_16_kib_resident)
{
	each_way(check_resident);
}

static void check_edges(void)
{
	static const struct {
		size_t start, length;
	} parts[] = { { 0, 1 },     { 1, 1 },       { 4095, 1 }, { 4095, 2 },
		      { 7, 4096 },  { 4090, 4110 }, { 100, 63 }, { 1, 3 * 4096 - 2 },
		      { 13, 8191 }, { 0, 3 * 4096 } };
	unsigned char *p = pages(3);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t start = parts[i].start, end = start + parts[i].length;

		memset(p, FILL, 3 * PAGE);
		must(wipe(p + start, end - start) == 0);
		must(all_are(p, FILL, start));
		must(all_are(p + start, 0, end - start));
		must(all_are(p + end, FILL, 3 * PAGE - end));
	}
}

Test(wipe_stack, wipes_to_the_byte)
{
	each_way(check_edges);
}

static void check_left_out(void)
{
	unsigned char *p = pages(NR);

	memset(p, FILL, NR * PAGE);
	mprotect(p + PAGE, 2 * PAGE, PROT_READ);
	mprotect(p + 4 * PAGE, PAGE, PROT_NONE);
	munmap(p + 6 * PAGE, PAGE);
	must(wipe(p, NR * PAGE) == 0);
	mprotect(p + 4 * PAGE, PAGE, PROT_READ);
	must(all_are(p, 0, PAGE));
	must(all_are(p + PAGE, FILL, 2 * PAGE));
	must(all_are(p + 3 * PAGE, 0, PAGE));
	must(all_are(p + 4 * PAGE, FILL, PAGE));
	must(all_are(p + 5 * PAGE, 0, PAGE));
	must(all_are(p + 7 * PAGE, 0, (NR - 7) * PAGE));
}

Test(wipe_stack, leaves_out_what_cannot_be_written_without_a_signal)
{
	each_way(check_left_out);
}

/* The mapping may be written: only the kernel knows better. */
Test(wipe_stack, leaves_out_what_a_protection_key_forbids)
{
	unsigned char *p = pages(3);
	int key = pkey_alloc(0, 0);

	if (key < 0)
		cr_skip_test("no protection keys");
	memset(p, FILL, 3 * PAGE);
	pkey_mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE, key);
	pkey_set(key, PKEY_DISABLE_ACCESS);
	cr_assert_eq(wipe(p, 3 * PAGE), 0);
	pkey_set(key, 0);
	cr_assert(all_are(p, 0, PAGE) && all_are(p + 2 * PAGE, 0, PAGE));
	cr_assert(all_are(p + PAGE, FILL, PAGE));
}

/* Made by who may: in a child nobody may be. */
static int disk_file;

static void make_file(void)
{
	/* A root that is only for compilers has no /var/tmp. */
	char path[] = "/var/tmp/lethe-XXXXXX", here[] = "lethe-XXXXXX";

	disk_file = mkstemp(path);
	if (disk_file >= 0) {
		unlink(path);
	} else {
		disk_file = mkstemp(here);
		unlink(here);
	}
	cr_assert(disk_file >= 0);
	cr_assert_eq(ftruncate(disk_file, 2 * PAGE), 0);
}

static void check_file(void)
{
	unsigned char *shared, *private, byte;

	shared = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, disk_file);
	private = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, disk_file);
	memset(shared, FILL, 2 * PAGE);
	byte = *(volatile unsigned char *)private;
	private[PAGE] = 1;
	must(byte == FILL);
	must(wipe(private, 2 * PAGE) == 0);
	must(all_are(private, 0, 2 * PAGE));
	must(all_are(shared, FILL, 2 * PAGE));
	must(wipe(shared, 2 * PAGE) == 0);
	must(all_are(shared, FILL, 2 * PAGE));
	must(pread(disk_file, &byte, 1, PAGE) == 1);
	must(byte == FILL);
}

Test(wipe_stack, never_writes_to_a_file_on_a_disk)
{
	make_file();
	each_way(check_file);
}

static void check_shared(int fd, bool secret)
{
	unsigned char *one = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	unsigned char *two = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);

	memset(one, FILL, 4 * PAGE);
	/* Not in two's page table. */
	must(wipe(two + 5, 2 * PAGE) == 0);
	must(all_are(one, FILL, 5) && all_are(one + 5, 0, 2 * PAGE) &&
	     all_are(one + 5 + 2 * PAGE, FILL, 2 * PAGE - 5));
	if (secret)
		return;
	must(ftruncate(fd, 0) == 0);
	must(ftruncate(fd, 4 * PAGE) == 0);
	must(wipe(two, 4 * PAGE) == 0);
	must(resident(two, 4) == 0);
}

static void check_memory(void)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);
	unsigned char *p;

	must(ftruncate(fd, 4 * PAGE) == 0);
	check_shared(fd, false);
	p = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	memset(p, FILL, PAGE);
	must(wipe(p, PAGE) == 0);
	must(all_are(p, 0, PAGE));
	fd = (int)syscall(447, O_CLOEXEC);
	if (fd < 0)
		return;
	must(ftruncate(fd, 4 * PAGE) == 0);
	check_shared(fd, true);
}

Test(wipe_stack, wipes_shared_memory_whoever_has_it_in_his_page_table)
{
	each_way(check_memory);
}

Test(wipe_stack, wipes_a_file_on_tmpfs)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		cr_skip_test("no /dev/shm");
	cr_assert_eq(ftruncate(fd, 4 * PAGE), 0);
	check_shared(fd, false);
}

static void check_copy_on_write(void)
{
	unsigned char *p = pages(4);
	int ends[2], status;
	char byte;
	pid_t pid;

	must(pipe(ends) == 0);
	memset(p, FILL, 4 * PAGE);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		/* Until the parent has wiped: it then closes its end. */
		if (read(ends[0], &byte, 1))
			_exit(1);
		_exit(all_are(p, FILL, 4 * PAGE) ? 0 : 2);
	}
	must(wipe(p, 4 * PAGE) == 0);
	must(all_are(p, 0, 4 * PAGE));
	close(ends[1]);
	must(waitpid(pid, &status, 0) == pid);
	must(status == 0);
}

Test(wipe_stack, leaves_the_copy_of_a_forked_child_alone)
{
	each_way(check_copy_on_write);
}

Test(wipe_stack, leaves_the_zero_page_shared)
{
	unsigned char *p = pages(4);
	uint64_t before;
	size_t i;

	for (i = 0; i < 4; i++)
		(void)*(volatile unsigned char *)(p + i * PAGE);
	before = in_page_table(p);
	cr_assert(is_present(p));
	if (!(before & ((1ULL << 55) - 1)))
		cr_skip_test("frame numbers are not for everybody");
	if (in_page_table(p + 3 * PAGE) != before)
		cr_skip_test(
			"this kernel has no zero page: a read brings a page of its own");
	cr_assert_eq(wipe(p, 4 * PAGE), 0);
	cr_assert_eq(in_page_table(p), before);
	cr_assert_eq(in_page_table(p + 3 * PAGE), before);
}

static size_t huge_kib(const void *p)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uintptr_t start, end;
	bool here = false;
	size_t kib = 0, n;
	char line[512];

	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)p >= start && (uintptr_t)p < end;
		else if (here && sscanf(line, "AnonHugePages: %zu", &n) == 1)
			kib = n;
	}
	fclose(smaps);
	return kib;
}

Test(wipe_stack, leaves_a_huge_page_huge)
{
	unsigned char *raw = map(3 * HUGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1);
	unsigned char *p = (unsigned char *)round_up((uintptr_t)raw, HUGE);

	madvise(p, HUGE, MADV_HUGEPAGE);
	memset(p, FILL, HUGE);
	if (huge_kib(p) != HUGE / KIB)
		cr_skip_test("no huge page");
	cr_assert_eq(wipe(p + 1, HUGE - 2), 0);
	cr_assert_eq(p[0], FILL);
	cr_assert(all_are(p + 1, 0, HUGE - 2));
	cr_assert_eq(p[HUGE - 1], FILL);
	cr_assert_eq(huge_kib(p), HUGE / KIB);
}

Test(wipe_stack, finds_3_pages_in_16_tib)
{
	const size_t span = 16ULL << 40;
	unsigned char *p = map(span, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	const size_t at[] = { 0, span / 3 & ~(PAGE - 1), span - PAGE };
	size_t i;

	for (i = 0; i < 3; i++) {
		mprotect(p + at[i], PAGE, PROT_READ | PROT_WRITE);
		memset(p + at[i], FILL, PAGE);
	}
	cr_assert_eq(wipe(p, span), 0);
	for (i = 0; i < 3; i++)
		cr_assert(all_are(p + at[i], 0, PAGE));
}

Test(wipe_stack, stops_at_a_guard_page_on_the_way_down)
{
	unsigned char *p = pages(NR);

	memset(p, FILL, NR * PAGE);
	if (madvise(p + 5 * PAGE, PAGE, MADV_GUARD_INSTALL))
		cr_skip_test("no guard pages");
	cr_assert_eq(resident_wipe((uintptr_t)p, (uintptr_t)p + NR * PAGE, true), 0);
	cr_assert(all_are(p, FILL, 5 * PAGE));
	cr_assert(all_are(p + 6 * PAGE, 0, (NR - 6) * PAGE));
	cr_assert_eq(wipe(p, NR * PAGE), 0);
	cr_assert(all_are(p, 0, 5 * PAGE), "but not in a range");
}

/* Each page a mapping of its own, and none too many. */
Test(wipe_stack, reads_the_mappings_where_the_kernel_answers_no_questions)
{
	struct mappings asked, read;
	struct mapping a, b = { .end = 0 };
	uintptr_t at = 0;
	unsigned int n = 0;
	int found;

	cr_assert_eq(mappings_open(&asked), 0);
	cr_assert_eq(mappings_open(&read), 0);
	read.text = true;
	while ((found = mappings_find(&asked, at, &a)) > 0) {
		cr_assert_eq(mappings_find(&read, at, &b), 1);
		cr_assert_eq(a.start, b.start);
		cr_assert_eq(a.end, b.end);
		cr_assert_eq(a.writable, b.writable);
		cr_assert_eq(a.shared, b.shared);
		cr_assert_eq(a.file, b.file);
		cr_assert_eq(a.device, b.device);
		at = a.end;
		n++;
	}
	cr_assert_eq(found, 0);
	cr_assert_gt(n, 10);
	/* The kernel's own page for system calls is in the text alone. */
	found = mappings_find(&read, at, &b);
	cr_assert(found == 0 || b.start >= at);
	mappings_close(&asked);
	mappings_close(&read);
}

Test(wipe_stack, wipes_nothing_that_it_does_not_know_without_proc)
{
	unsigned char *p = pages(1);

	*p = FILL;
	lose_proc();
	cr_assert_eq(wipe(p, PAGE), -EOPNOTSUPP);
	cr_assert_eq(*p, FILL);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void *in_thread(void *arg)
{
	unsigned char *below = (unsigned char *)__builtin_frame_address(0) - 64 * KIB;

	(void)arg;
	cr_assert_eq(lethe_do(do_nothing, NULL), 0);
	memset(below, FILL, PAGE);
	lose_proc();
	cr_assert_eq(wipe(below + 5, PAGE - 5), 0);
	cr_assert(all_are(below, FILL, 5) && all_are(below + 5, 0, PAGE - 5));
	memset(below, FILL, PAGE);
	cr_assert_eq(lethe_wipe_stack(0, NULL, 0), 0);
	cr_assert(all_are(below, 0, PAGE));
	return NULL;
}

Test(wipe_stack, wipes_the_own_stack_of_a_thread_without_proc)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, in_thread, NULL), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/*
 * Swap for the machine while the test runs, whatever becomes of that: who removes it
 * waits for the end of a pipe that the test has the other end of.
 */
static bool have_swap(void)
{
	static char path[] = "/var/tmp/lethe-swap-XXXXXX";
	char command[128];
	int fd, ends[2], made[2];
	char byte = 0;

	cr_assert_eq(pipe2(ends, O_CLOEXEC) || pipe2(made, O_CLOEXEC), 0);
	if (!fork()) {
		close(ends[1]);
		setsid();
		fd = mkstemp(path);
		snprintf(command, sizeof(command),
			 "chmod 600 %s && mkswap %s >/dev/null 2>&1", path, path);
		if (fd >= 0 && !posix_fallocate(fd, 0, 32 * MIB) && !system(command) &&
		    !swapon(path, 0))
			byte = 1;
		(void)!write(made[1], &byte, 1);
		(void)!read(ends[0], &byte, 1);
		swapoff(path);
		unlink(path);
		_exit(0);
	}
	close(ends[0]);
	return read(made[0], &byte, 1) == 1 && byte;
}

/*
 * Until the kernel has no copy of any of it in memory: what has been written it keeps
 * for a while, what was read back and is paged out again it does not.
 */
static bool swap_out(unsigned char *p, size_t nr)
{
	size_t i, tries;

	for (tries = 0; tries < 500; tries++) {
		for (i = 0; i < nr; i++)
			(void)((volatile unsigned char *)p)[i * PAGE];
		madvise(p, nr * PAGE, MADV_PAGEOUT);
		if (!resident(p, nr))
			return true;
		usleep(1000);
	}
	return false;
}

static unsigned char *swapped(int flags, int fd, size_t nr)
{
	unsigned char *p = map(nr * PAGE, PROT_READ | PROT_WRITE, flags, fd);

	madvise(p, nr * PAGE, MADV_NOHUGEPAGE);
	memset(p, FILL, nr * PAGE);
	if (!swap_out(p, nr))
		cr_skip_test("nothing is swapped out");
	cr_assert(flags & MAP_SHARED || is_swapped(p));
	return p;
}

Test(wipe_stack, gives_up_what_is_swapped_out, .timeout = 60)
{
	unsigned char *p;
	size_t i, left = 0;
	int fd;

	if (geteuid() || !have_swap())
		cr_skip_test("no swap");
	p = swapped(MAP_PRIVATE | MAP_ANONYMOUS, -1, NR);
	cr_assert_eq(wipe(p + 100, (NR - 1) * PAGE), 0);
	for (i = 1; i < NR - 1; i++)
		left += in_page_table(p + i * PAGE) >> 62;
	cr_assert_eq(left, 0, "whole pages are neither there nor swapped");
	cr_assert(all_are(p, FILL, 100) && all_are(p + 100, 0, (NR - 1) * PAGE) &&
		  all_are(p + 100 + (NR - 1) * PAGE, FILL, PAGE - 100));

	/* Given up, a page of a private file would be the file's again. */
	fd = memfd_create("private", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(fd, NR * PAGE), 0);
	for (i = 0; i < NR; i++)
		cr_assert_eq(pwrite(fd, "below", 5, (off_t)(i * PAGE)), 5);
	p = swapped(MAP_PRIVATE, fd, NR);
	cr_assert_eq(wipe(p, NR * PAGE), 0);
	cr_assert(all_are(p, 0, NR * PAGE));
}

/* In no page table, and, as long as the kernel keeps a copy, in memory all the same. */
Test(wipe_stack, wipes_shared_memory_that_is_swapped_out, .timeout = 60)
{
	unsigned char *p = map(NR * PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1);

	if (geteuid() || !have_swap())
		cr_skip_test("no swap");
	memset(p, FILL, NR * PAGE);
	cr_assert_eq(madvise(p, NR * PAGE, MADV_PAGEOUT), 0);
	if (is_present(p))
		cr_skip_test("nothing is swapped out");
	cr_assert_eq(wipe(p + 100, (NR - 1) * PAGE), 0);
	cr_assert(all_are(p, FILL, 100) && all_are(p + 100, 0, (NR - 1) * PAGE) &&
		  all_are(p + 100 + (NR - 1) * PAGE, FILL, PAGE - 100));
}

Test(wipe_stack, refuses_ranges_that_are_none)
{
	unsigned char *p = pages(1);

	*p = FILL;
	cr_assert_eq(lethe_wipe_stack(0, p, 0), -EINVAL);
	cr_assert_eq(lethe_wipe_stack(0, p, SIZE_MAX), -EINVAL);
	cr_assert_eq(lethe_wipe_stack(0, p, -(uintptr_t)p), -EINVAL);
	cr_assert_eq(lethe_wipe_stack(0, (void *)UINTPTR_MAX, 2), -EINVAL);
	cr_assert_eq(lethe_wipe_stack(0, (void *)(1UL << 63), PAGE), -EFAULT);
	cr_assert_eq(lethe_wipe_stack(0, p, SIZE_MAX - (uintptr_t)p), -EFAULT);
	cr_assert_eq(*p, FILL);
	cr_assert_eq(lethe_wipe_stack(0, NULL, PAGE), 0, "where nothing is");
}

static void *wait_for_ever(void *arg)
{
	__atomic_store_n((pid_t *)arg, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	pause();
	return NULL;
}

Test(wipe_stack, of_whom)
{
	unsigned char *p = pages(1);
	pthread_t thread;
	pid_t tid = 0, pid;

	cr_assert_eq(pthread_create(&thread, NULL, wait_for_ever, &tid), 0);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	*p = FILL;
	cr_assert_eq(lethe_wipe_stack((pid_t)syscall(SYS_gettid), p, PAGE), 0);
	cr_assert_eq(*p, 0, "the caller by number");
	*p = FILL;
	cr_assert_eq(lethe_wipe_stack(tid, p, PAGE), 0);
	cr_assert_eq(*p, 0, "a thread's memory is the caller's");
	*p = FILL;
	cr_assert_eq(lethe_wipe_stack(tid, NULL, 0), -EOPNOTSUPP);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(pause());
	}
	cr_assert_eq(lethe_wipe_stack(pid, p, PAGE), -EOPNOTSUPP);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_assert_eq(lethe_wipe_stack(pid, p, PAGE), -ESRCH);
	cr_assert_eq(lethe_wipe_stack(-1, p, PAGE), -ESRCH);
	cr_assert_eq(lethe_wipe_stack(-1, NULL, 0), -ESRCH);
	cr_assert_eq(*p, FILL);
}

static volatile sig_atomic_t handled, broken;

/* What a handler has on the stack that is being wiped is there until it returns. */
static void handle(int number)
{
	volatile unsigned char frame[2 * KIB];
	size_t i;

	(void)number;
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = FILL;
	for (i = 0; i < sizeof(frame); i++)
		broken |= frame[i] != FILL;
	handled++;
}

static __attribute__((noinline)) void leave_dead_stack(void)
{
	volatile unsigned char frame[256 * KIB];
	size_t i;

	for (i = 0; i < sizeof(frame); i += KIB)
		frame[i] = FILL;
}

Test(wipe_stack, under_1000_signals_a_second_loses_nothing, .timeout = 60)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	volatile unsigned char live[2 * KIB];
	struct timespec start, now;
	unsigned long wipes = 0;
	size_t i;

	for (i = 0; i < sizeof(live); i++)
		live[i] = FILL;
	signal(SIGALRM, handle);
	setitimer(ITIMER_REAL, &every, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		leave_dead_stack();
		cr_assert_eq(lethe_wipe_stack(0, NULL, 0), 0);
		for (i = 0; i < sizeof(live); i++)
			cr_assert_eq(live[i], FILL);
		wipes++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	setitimer(ITIMER_REAL, &never, NULL);
	cr_assert_not(broken);
	cr_assert_gt(handled, 500);
	cr_assert_gt(wipes, 1000);
}
