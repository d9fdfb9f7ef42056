// SPDX-License-Identifier: MIT
/*
 * A program with a secret page, for lethectl watch to watch: it does what it is told to
 * on stdin, and says that it did. What is on its page is no secret.
 *
 *	watched			says "pid address" of its page
 *	  calls N		gives it to write(), N times, from give_it_away()
 *	  flood RATE SECONDS	likewise from two threads, so many times a second; says
 *				how often it was
 *	  direct FILE		writes it with O_DIRECT: "refused" or "written"
 *	  ordinary FILE		likewise a page that is ordinary
 *	  press N		has N ordinary pages paged out: how many were
 *	  end
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lethe.h"

#define PAGE 4096
#define THREADS 2

static unsigned char *page;
static int nowhere;

/*
 * libc's write() keeps no frame pointer, so who calls it is not in the stack; but who
 * calls that one is, and not inlined.
 */
static __attribute__((noinline)) void write_it(void)
{
	if (write(nowhere, page, 32) != 32)
		abort();
	__asm__ volatile("");
}

static __attribute__((noinline)) void give_it_away(unsigned long long times)
{
	while (times--)
		write_it();
}

struct flood {
	pthread_t thread;
	double rate, seconds;
	unsigned long long calls;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *flood(void *arg)
{
	struct flood *flood = arg;
	double began = now(), passed;
	unsigned long long due;

	for (passed = 0; passed < flood->seconds; passed = now() - began) {
		due = (unsigned long long)(passed * flood->rate);
		if (due > flood->calls) {
			give_it_away(due - flood->calls);
			flood->calls = due;
		} else {
			usleep(500);
		}
	}
	return NULL;
}

static unsigned long long flood_all(double rate, double seconds)
{
	struct flood floods[THREADS];
	unsigned long long calls = 0;
	int i;

	for (i = 0; i < THREADS; i++) {
		floods[i] = (struct flood){ .rate = rate / THREADS, .seconds = seconds };
		if (pthread_create(&floods[i].thread, NULL, flood, &floods[i]))
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(floods[i].thread, NULL);
		calls += floods[i].calls;
	}
	return calls;
}

static const char *write_directly(const char *path, const void *from)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT, 0600);
	ssize_t n;

	if (fd < 0)
		return strerror(errno);
	n = write(fd, from, PAGE);
	close(fd);
	return n == PAGE ? "written" : errno == EFAULT ? "refused" : strerror(errno);
}

/* Of pages from @address on, how many are swapped: bit 62 of each in pagemap(5). */
static unsigned long long swapped(const unsigned char *address, unsigned long long pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long long entry, i, nr = 0;
	off_t at = (off_t)((size_t)address / PAGE * sizeof(entry));

	for (i = 0; i < pages; i++, at += (off_t)sizeof(entry))
		if (pread(fd, &entry, sizeof(entry), at) == sizeof(entry))
			nr += entry >> 62 & 1;
	close(fd);
	return nr;
}

static unsigned long long press(unsigned long long pages)
{
	unsigned char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long long gone = 0;
	int tries;

	if (memory == MAP_FAILED)
		abort();
	memset(memory, 0x5a, pages * PAGE);
	/* Some are in the processors' batches, where reclaim does not see them yet. */
	for (tries = 0; tries < 8 && gone < pages; tries++) {
		madvise(memory, pages * PAGE, MADV_PAGEOUT);
		gone = swapped(memory, pages);
	}
	munmap(memory, pages * PAGE);
	return gone;
}

int main(void)
{
	static _Alignas(PAGE) unsigned char ordinary[PAGE] = { 0x5a };
	double rate, seconds;
	unsigned long long n;
	char line[4200];

	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	page = lethe_aligned_alloc(PAGE, PAGE);
	if (nowhere < 0 || !page) {
		perror("watched");
		return 1;
	}
	memset(page, 0xa5, PAGE);
	printf("%d %llx\n", getpid(), (unsigned long long)(size_t)page);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n")) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "calls %llu", &n) == 1) {
			give_it_away(n);
			printf("%llu\n", n);
		} else if (sscanf(line, "flood %lf %lf", &rate, &seconds) == 2) {
			printf("%llu\n", flood_all(rate, seconds));
		} else if (!strncmp(line, "direct ", 7)) {
			printf("%s\n", write_directly(line + 7, page));
		} else if (!strncmp(line, "ordinary ", 9)) {
			printf("%s\n", write_directly(line + 9, ordinary));
		} else if (sscanf(line, "press %llu", &n) == 1) {
			printf("%llu\n", press(n));
		} else {
			printf("what?\n");
		}
		fflush(stdout);
	}
	lethe_free(page);
	return 0;
}
