// SPDX-License-Identifier: MIT
/*
 * Processes that do what makes it hard to search them. Each writes the secret that it
 * reads from stdin, of 32 bytes or none, where its way says; counts, once for each step,
 * in the first eight bytes of the file that is its second argument, and signals in the
 * second eight; and says "ready".
 *
 *	scan_subject WAY FILE [NUMBER]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/lethe.h>

#define MIB (1UL << 20)

static volatile uint64_t *count;
static long number;
static char **again;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint8_t *map(size_t length, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

/* Straight to where it is to be; no other copy is made here. */
static void get(void *to)
{
	if (read(STDIN_FILENO, to, 32) < 0)
		fail("stdin");
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void *asleep(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *nothing(void *unused)
{
	return unused;
}

static void *counting(void *unused)
{
	for (;; usleep(200))
		count[0]++;
	return unused;
}

static void handle(int signal)
{
	(void)signal;
	__atomic_add_fetch(&count[1], 1, __ATOMIC_SEQ_CST);
}

static void start(void *(*function)(void *))
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	while (pthread_create(&thread, &attributes, function, NULL))
		usleep(100);
}

/* So much memory, all of it there, and 64 threads for each step of a signal's. */
static void way_count(void)
{
	uint8_t *p = map((size_t)number * MIB + 4096, -1);
	size_t i;

	for (i = 0; i < (size_t)number * MIB; i += 8)
		*(uint64_t *)(p + i) = i * 0x9e3779b97f4a7c15;
	get(p + (size_t)number * MIB);
	signal(SIGRTMIN, handle);
	ready();
	counting(NULL);
}

static void way_threads(void)
{
	long i;

	get(map(4096, -1));
	for (i = 0; i < number; i++)
		start(asleep);
	ready();
	counting(NULL);
}

static void way_spawn(void)
{
	get(map(4096, -1));
	ready();
	for (;; count[0]++)
		start(nothing);
}

static void way_fork(void)
{
	get(map(4096, -1));
	ready();
	for (;; count[0]++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* With threads, which go as it does. */
static void way_exec(void)
{
	int i;

	if (!count[0])
		ready();
	count[0]++;
	for (i = 0; i < 4; i++)
		start(asleep);
	execv("/proc/self/exe", again);
	fail("exec");
}

static void way_vfork(void)
{
	get(map(4096, -1));
	if (!vfork()) {
		static const char word[] = "ready\n";

		if (write(STDOUT_FILENO, word, sizeof(word) - 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
}

static void way_leader(void)
{
	get(map(4096, -1));
	start(counting);
	ready();
	pthread_exit(NULL);
}

static void way_secret(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd < 0 || ftruncate(fd, 65536)) {
		puts("none");
		exit(0);
	}
	get(map(65536, fd) + 4096);
	ready();
	asleep(NULL);
}

/* In a region; and if a number is given, plainly as well. */
static void way_region(void)
{
	struct lethe_create create = { .size = sizeof(create), .length = 65536 };
	int device = open(LETHE_DEVICE, O_RDWR), fd;
	uint8_t *region;

	fd = device < 0 ? -1 : ioctl(device, LETHE_IOC_CREATE, &create);
	if (fd < 0) {
		puts("none");
		exit(0);
	}
	region = map(65536, fd);
	get(region + 4096);
	if (number)
		memcpy(map(4096, -1), region + 4096, 32);
	ready();
	asleep(NULL);
}

/* Of a hundred gigabytes one page, and holes of files that are as large. */
static void way_sparse(void)
{
	int fd = memfd_create("sparse", 0);

	get(map(100UL << 30, -1) + (77UL << 30) + 12345);
	if (fd < 0 || ftruncate(fd, 100L << 30))
		fail("memfd");
	map(100UL << 30, fd)[99UL << 30] = 1;
	ready();
	asleep(NULL);
}

/*
 * The first 28 bytes at the end of a page, twice, and behind that what nobody touched. How
 * many of all those pages there are stands where signals are counted else.
 */
static void way_edge(void)
{
	int fd = memfd_create("edge", 0);
	unsigned char there[8] = { 0 };
	uint8_t *own, *shared;
	uint64_t n;
	int i;

	if (fd < 0 || ftruncate(fd, 4 * 4096))
		fail("memfd");
	shared = map(4 * 4096, fd);
	own = map(4 * 4096, -1);
	madvise(own, 4 * 4096, MADV_NOHUGEPAGE);
	if (read(STDIN_FILENO, own + 4096 - 28, 28) != 28)
		fail("stdin");
	memcpy(shared + 4096 - 28, own + 4096 - 28, 28);
	ready();
	for (;; usleep(200), count[0]++) {
		mincore(own, 4 * 4096, there);
		mincore(shared, 4 * 4096, there + 4);
		for (n = i = 0; i < 8; i++)
			n += there[i] & 1;
		count[1] = n;
	}
}

/* The kernel's own pages, which it lets nobody read through a process. */
static void way_device(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	void *p;

	p = fd < 0 ? MAP_FAILED :
		     mmap(NULL, 9 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	puts(p == MAP_FAILED ? "none" : "ready");
	fflush(stdout);
	asleep(NULL);
}

/* Of the first 16 bytes so many copies, and of all of it one behind them. */
static void way_many(void)
{
	uint8_t *p = map(((size_t)number + 1) * 64, -1), *last = p + number * 64;
	long i;

	get(last);
	for (i = 0; i < number; i++)
		memcpy(p + i * 64, last, 16);
	ready();
	asleep(NULL);
}

/* On pages of 2 MiB, of which the first two are not there. */
static void way_hugetlb(void)
{
	void *p = mmap(NULL, 4 * 2 * MIB, PROT_READ | PROT_WRITE,
		       number | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		puts("none");
		exit(0);
	}
	get((uint8_t *)p + 5 * MIB + 12345);
	ready();
	asleep(NULL);
}

/* So many MiB, and then all of them on the disk. */
static void way_swapped(void)
{
	size_t length = (size_t)number * MIB, i;
	uint8_t *p = map(length, -1);

	for (i = 0; i < length; i += 8)
		*(uint64_t *)(p + i) = i * 0x9e3779b97f4a7c15;
	get(p + length / 2 + 2040);
	madvise(p, length, MADV_PAGEOUT);
	ready();
	asleep(NULL);
}

/* Has another stopped. */
static void way_tracer(void)
{
	pid_t pid;

	get(map(4096, -1));
	pid = fork();
	if (!pid)
		asleep(NULL);
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, NULL, __WALL) != pid)
		fail("ptrace");
	ready();
	for (;; usleep(200)) {
		int status;

		/* It is its tracer's to see what stops it. */
		if (waitpid(pid, &status, __WALL | WNOHANG))
			exit(3);
		count[0]++;
	}
}

/* Of three pages the one in the middle is there; who reads another waits for this process. */
static void way_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	int memory = number ? memfd_create("faults", 0) : -1;
	uint8_t *p;

	if (memory >= 0 && ftruncate(memory, 3 * 4096))
		fail("memfd");
	p = map(3 * 4096, memory);
	get(p + 4096);
	range.range.start = (uintptr_t)p;
	range.range.len = 3 * 4096;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range)) {
		puts("none");
		exit(0);
	}
	ready();
	asleep(NULL);
}

/* Ends by itself, after so many microseconds. */
static void way_exits(void)
{
	get(map(MIB, -1));
	ready();
	usleep((useconds_t)number);
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*way)(void);
	} ways[] = {
		{ "count", way_count },     { "threads", way_threads },
		{ "spawn", way_spawn },     { "fork", way_fork },
		{ "exec", way_exec },       { "vfork", way_vfork },
		{ "leader", way_leader },   { "secret", way_secret },
		{ "sparse", way_sparse },   { "device", way_device },
		{ "many", way_many },       { "hugetlb", way_hugetlb },
		{ "swapped", way_swapped }, { "tracer", way_tracer },
		{ "exits", way_exits },     { "faults", way_faults },
		{ "region", way_region },   { "edge", way_edge },
	};
	size_t i;
	int fd;

	if (argc < 3)
		return 2;
	again = argv;
	number = argc > 3 ? atol(argv[3]) : 0;
	fd = open(argv[2], O_RDWR);
	if (fd < 0)
		fail(argv[2]);
	count = (volatile uint64_t *)map(4096, fd);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(argv[1], ways[i].name))
			ways[i].way();
	return 2;
}
