// SPDX-License-Identifier: MIT
/*
 * mistakes WHICH: one mistake of the kind that a tool is there to find, made in a
 * section or right after one. For mistakes.sh, which expects the tool to say so:
 * that it says nothing of sections.cpp means nothing otherwise.
 */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lethe.h"

static volatile size_t eight = 8;
static volatile int sink;

/* To a place that the compiler knows nothing of. */
static volatile char *hidden(volatile void *place)
{
	__asm__("" : "+r"(place));
	return place;
}

static void stack_overflow(void *arg)
{
	char frame[8];

	memset(frame, 1, sizeof(frame));
	hidden(frame)[eight] = 1;
	sink = frame[0];
	(void)arg;
}

static void heap_overflow(void *arg)
{
	volatile char *block = hidden(malloc(8));

	(void)arg;
	block[eight] = 1;
	free((void *)block);
}

static void heap_after_free(void *arg)
{
	volatile char *block = malloc(8);
	volatile char *place = hidden(block);

	(void)arg;
	free((void *)block);
	sink = place[0];
}

static volatile char *escaped;

static __attribute__((noinline)) void escape(void)
{
	/* The psABI has 128 bytes below the stack pointer for whoever wants them. */
	volatile char frame[1024];

	frame[0] = 1;
	escaped = hidden(frame);
}

static void stack_after_return(void *arg)
{
	(void)arg;
	escape();
	sink = escaped[0];
}

static void stack_after_scope(void *arg)
{
	(void)arg;
	{
		volatile char inner[8];

		inner[0] = 1;
		escaped = hidden(inner);
	}
	sink = escaped[0];
}

static jmp_buf way_out;

static void jump(void *arg)
{
	volatile char frame[64];

	(void)arg;
	frame[0] = 1;
	longjmp(way_out, frame[0]);
}

/* Is the stack that sections are begun from still watched as it was? */
static void after_sections(void *arg)
{
	if (!setjmp(way_out))
		(void)lethe_do(jump, NULL);
	(void)lethe_wipe_thread();
	stack_overflow(arg);
}

static __attribute__((noinline)) void lose(void)
{
	char *volatile block = malloc(100);

	block[0] = 1;
	block = NULL;
}

static void leak(void *arg)
{
	(void)arg;
	lose();
}

static void signed_overflow(void *arg)
{
	volatile int most = INT_MAX;

	(void)arg;
	sink = most + 1;
}

/* In no order from the barrier to the sections' ends, whichever comes first. */
static int shared;
static pthread_barrier_t barrier;

static void touch_shared(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	shared++;
}

static void *race_body(void *arg)
{
	(void)lethe_do(touch_shared, arg);
	return NULL;
}

static void race(void *arg)
{
	pthread_t threads[2];
	size_t i;

	(void)arg;
	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, race_body, NULL))
			abort();
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void uninitialised(void *arg)
{
	volatile char *block = hidden(malloc(8));

	(void)arg;
	if (block[0] == 123)
		sink = 1;
	free((void *)block);
}

static const struct mistake {
	const char *name;
	void (*make)(void *);
	bool outside;
} mistakes[] = {
	{ "stack-overflow", stack_overflow, false },
	{ "heap-overflow", heap_overflow, false },
	{ "heap-after-free", heap_after_free, false },
	{ "stack-after-return", stack_after_return, false },
	{ "stack-after-scope", stack_after_scope, false },
	{ "after-sections", after_sections, true },
	{ "leak", leak, false },
	{ "signed-overflow", signed_overflow, false },
	{ "race", race, true },
	{ "uninitialised", uninitialised, false },
};

int main(int argc, char **argv)
{
	const struct mistake *mistake = mistakes;
	size_t i;

	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++, mistake++) {
		if (argc != 2 || strcmp(argv[1], mistake->name))
			continue;
		if (mistake->outside)
			mistake->make(NULL);
		else if (lethe_do(mistake->make, NULL))
			return 3;
		return 0;
	}
	fprintf(stderr, "usage: mistakes WHICH\n");
	return 2;
}
