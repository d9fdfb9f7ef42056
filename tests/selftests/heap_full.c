// SPDX-License-Identifier: MIT
/*
 * A full heap: 32 threads in sections, within the 8 MiB that RLIMIT_MEMLOCK is on most
 * machines. Where there is no room, it is ENOMEM and nothing else; what is live stays
 * as it is; and freed, there is as much room as before. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define LIMIT (8 * MIB)
#define THREADS 32
#define BLOCK (4 * KIB)
#define BLOCKS (LIMIT / BLOCK)

enum fault {
	FINE,
	NOT_REFUSED = 10, /* a block where there is no room */
	OTHER_ERROR,      /* refused, but not with ENOMEM */
	SPOILT,           /* a block is not what was written to it */
	NO_SECTION,
	ERRNO_CHANGED,
	TOO_FEW,   /* less room than there has to be */
	NOT_AGAIN, /* less room than before */
	NOT_LEFT,  /* sections with all of the limit, and yet a full heap */
};

static struct job {
	pthread_t thread;
	size_t stack_size, nr;
	unsigned char *blocks[BLOCKS];
	enum fault fault;
	int err;
} jobs[THREADS];

static pthread_barrier_t together;

static void fault(struct job *job, enum fault what)
{
	if (!job->fault)
		job->fault = what;
}

static void must_be_full(struct job *job, void *block)
{
	if (block)
		fault(job, NOT_REFUSED);
	else if (errno != ENOMEM)
		fault(job, OTHER_ERROR);
	errno = 0;
}

static void fill(struct job *job)
{
	void *block;

	for (job->nr = 0; job->nr < BLOCKS; job->nr++) {
		block = lethe_malloc(BLOCK);
		if (!block)
			break;
		memset(block, (int)(job->nr + 1) & 0xff, BLOCK);
		job->blocks[job->nr] = block;
	}
	must_be_full(job, job->nr < BLOCKS ? NULL : job);
}

/* All of them are full now, and nobody frees anything. */
static void ask_for_more(struct job *job)
{
	must_be_full(job, lethe_malloc(BLOCK));
	must_be_full(job, lethe_calloc(BLOCK, 16));
	must_be_full(job, lethe_aligned_alloc(64 * KIB, BLOCK));
	must_be_full(job, lethe_malloc(LIMIT));
	if (job->nr)
		must_be_full(job, lethe_realloc(job->blocks[0], 64 * BLOCK));
}

static bool is_all(const unsigned char *block, size_t byte)
{
	return block[0] == (byte & 0xff) && memcmp(block, block + 1, BLOCK - 1) == 0;
}

static void free_all(struct job *job)
{
	for (size_t i = 0; i < job->nr; i++) {
		if (!is_all(job->blocks[i], i + 1))
			fault(job, SPOILT);
		errno = EXDEV;
		lethe_free(job->blocks[i]);
		if (errno != EXDEV)
			fault(job, ERRNO_CHANGED);
	}
}

static void in_section(void *arg)
{
	struct job *job = arg;

	pthread_barrier_wait(&together);
	fill(job);
	pthread_barrier_wait(&together);
	ask_for_more(job);
	pthread_barrier_wait(&together);
	free_all(job);
}

static void *run_job(void *arg)
{
	struct job *job = arg;
	struct lethe_options options = {
		.size = sizeof(options),
		.stack_size = job->stack_size,
	};

	job->err = lethe_do_with(&options, in_section, job, NULL);
	/* One that had no room for a stack is not in a section: it uses the heap. */
	if (job->err)
		in_section(job);
	return NULL;
}

/* The bytes that all of them had at one time. */
static size_t run_all(size_t stack_size)
{
	size_t bytes = 0;

	pthread_barrier_init(&together, NULL, THREADS);
	for (unsigned int i = 0; i < THREADS; i++) {
		jobs[i].stack_size = stack_size;
		if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]))
			return 0;
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(jobs[i].thread, NULL);
		bytes += jobs[i].nr * BLOCK;
	}
	pthread_barrier_destroy(&together);
	return bytes;
}

static enum fault any_fault(void)
{
	for (unsigned int i = 0; i < THREADS; i++)
		if (jobs[i].fault)
			return jobs[i].fault;
	return FINE;
}

static void limit(void)
{
	child_begins();
	limit_to(RLIMIT_MEMLOCK, LIMIT);
	become_nobody();
}

/* 32 stacks of 8 KiB are a quarter of a megabyte; of the rest a quarter may be lost. */
static int with_small_stacks(void *arg)
{
	size_t first, second;
	unsigned int i;

	(void)arg;
	limit();
	first = run_all(8 * KIB);
	second = run_all(8 * KIB);
	for (i = 0; i < THREADS; i++)
		if (jobs[i].err)
			return NO_SECTION;
	if (first < (LIMIT - THREADS * 8 * KIB) / 4 * 3)
		return TOO_FEW;
	if (second < first / 10 * 9)
		return NOT_AGAIN;
	return any_fault();
}

/* A megabyte of blocks is live before them: there is no room for 32. */
static int with_usual_stacks(void *arg)
{
	unsigned char *kept[MIB / BLOCK];
	unsigned int i, sections = 0;
	size_t all, n;

	(void)arg;
	limit();
	for (n = 0; n < MIB / BLOCK; n++) {
		kept[n] = lethe_malloc(BLOCK);
		if (!kept[n])
			return TOO_FEW;
		memset(kept[n], 0x5a, BLOCK);
	}
	all = run_all(0);
	for (i = 0; i < THREADS; i++) {
		if (jobs[i].err && jobs[i].err != -ENOMEM)
			return NO_SECTION;
		sections += !jobs[i].err;
	}
	/* Nobody has filled anything before all have asked for a stack. */
	if (sections < 20 || sections == THREADS || all > LIMIT - MIB)
		return NOT_LEFT;
	while (n--) {
		if (!is_all(kept[n], 0x5a))
			return SPOILT;
		lethe_free(kept[n]);
	}
	/* The threads have ended: their stacks are nobody's. */
	lethe_trim();
	if (run_all(8 * KIB) < (LIMIT - THREADS * 8 * KIB) / 4 * 3)
		return NOT_AGAIN;
	return any_fault();
}

static int without_any(void *arg)
{
	void *block;
	int err;

	(void)arg;
	limit();
	limit_to(RLIMIT_MEMLOCK, 0);
	block = lethe_malloc(1);
	err = errno;
	return block ? NOT_REFUSED : err == ENOMEM ? FINE : OTHER_ERROR;
}

static void test(int (*fn)(void *), const char *what)
{
	struct ended ended;

	run_child(fn, NULL, &ended);
	tap_ok(exited_with(&ended, 0), "%s (%s)", what, how_ended(&ended));
}

int main(void)
{
	tap_plan(3);
	test(with_small_stacks,
	     "32 threads fill the heap in their sections, on stacks of 8 KiB: ENOMEM for all, "
	     "and freed, it is as large as before");
	test(with_usual_stacks,
	     "32 threads' stacks of 256 KiB and a megabyte of blocks are more than there is: "
	     "ENOMEM for some, and after a trim it is all heap");
	test(without_any, "a limit of nothing is ENOMEM");
	return tap_end();
}
