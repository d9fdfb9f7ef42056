// SPDX-License-Identifier: MIT
/*
 * 8 MiB, as a thread's stack has them: of which 16 KiB are there, and all. What
 * memset() takes includes that it makes the rest; both are of pages of 4 KiB.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../selftests/tap.h"
#include "lethe.h"
#include "series.h"
#include "stack.h"

#define PAGE 4096
#define SIZE ((size_t)8 << 20)
#define TOUCHED 4
#define WIPES 11
#define US 1000.0

static struct series sparse, sparse_memset, full, full_memset, dead, dead_memset;

static char *map(void)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	return p;
}

static void touch(char *p)
{
	for (size_t i = 0; i < TOUCHED; i++)
		p[SIZE - (i + 1) * PAGE] = 1;
}

static double wipe_once(char *start, size_t length)
{
	uint64_t begun = now();
	int err = lethe_wipe_stack(0, start, length);

	if (err)
		tap_bail("lethe_wipe_stack: %s", strerror(-err));
	return (double)(now() - begun) / US;
}

static double set_once(char *p)
{
	uint64_t begun = now();

	memset(p, 0, SIZE);
	__asm__ volatile("" : : "r"(p) : "memory");
	return (double)(now() - begun) / US;
}

/* The middle one of some. */
static double wipes(char *start, size_t length)
{
	double each[WIPES];

	for (int i = 0; i < WIPES; i++)
		each[i] = wipe_once(start, length);
	return middle_of(each, WIPES);
}

void measure_stacks(unsigned int round)
{
	double wiped[WIPES], set[WIPES];
	char *p = map();

	touch(p);
	sparse.at[round] = wipes(p, SIZE);
	sparse_memset.at[round] = set_once(p);
	for (int i = 0; i < WIPES; i++) {
		wiped[i] = wipe_once(p, SIZE);
		set[i] = set_once(p);
	}
	full.at[round] = middle_of(wiped, WIPES);
	full_memset.at[round] = middle_of(set, WIPES);
	munmap(p, SIZE);

	dead.at[round] = wipes(NULL, 0);
	dead_memset.at[round] = sparse_memset.at[round];
}

void print_stacks(void)
{
	at_least("lethe_wipe_stack() of 8 MiB, 16 KiB resident", "us", &sparse,
		 &sparse_memset, "memset() of the 8 MiB",
		 median(&sparse_memset) / median(&sparse), 100);
	at_most("lethe_wipe_stack() of 8 MiB, all resident", "us", &full, &full_memset,
		"memset() of the 8 MiB", 1.3);
	row("lethe_wipe_stack() of the own dead stack", "us", &dead, &dead_memset,
	    "memset() of 8 MiB", median(&dead_memset) / median(&dead), "-", "-");
}
