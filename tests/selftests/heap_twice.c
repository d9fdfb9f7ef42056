// SPDX-License-Identifier: MIT
/*
 * A block that is freed twice, by whichever threads and in whichever order: that is
 * told, and ends the process. On whichever backend is in use.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define PAGE ((size_t)4096)

static bool on_a_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	return !pthread_create(&thread, NULL, fn, arg) && !pthread_join(thread, NULL);
}

static char *shared;

static void *free_shared(void *arg)
{
	lethe_free(shared);
	return arg;
}

static int free_twice_here(void *arg)
{
	shared = lethe_malloc(*(size_t *)arg);
	on_a_thread(free_shared, NULL);
	lethe_free(shared);
	return 0;
}

static int free_twice_there(void *arg)
{
	shared = lethe_malloc(*(size_t *)arg);
	lethe_free(shared);
	on_a_thread(free_shared, NULL);
	return 0;
}

static int free_twice_elsewhere(void *arg)
{
	shared = lethe_malloc(*(size_t *)arg);
	on_a_thread(free_shared, NULL);
	on_a_thread(free_shared, NULL);
	return 0;
}

static int ask_after(void *arg)
{
	shared = lethe_malloc(*(size_t *)arg);
	on_a_thread(free_shared, NULL);
	return lethe_usable_size(shared) != 0;
}

static bool is_told(int (*fn)(void *), size_t size, const char *what)
{
	struct ended ended;

	run_child(fn, &size, &ended);
	return killed_by(&ended, SIGABRT) && lines_with(&ended, what) == 1;
}

static void test_twice(void)
{
	static const struct {
		int (*fn)(void *);
		const char *what;
	} cases[] = {
		{ free_twice_here, "freed by another thread, then by its own" },
		{ free_twice_there, "freed by its own thread, then by another" },
		{ free_twice_elsewhere, "freed by two others" },
		{ ask_after, "freed by another, then asked about" },
	};
	static const char already[] = "is free already";
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tap_ok(is_told(cases[i].fn, 50, already) &&
			       is_told(cases[i].fn, 3000, already) &&
			       is_told(cases[i].fn, 5 * PAGE, already),
		       "a block is %s: that is told, and ends the process",
		       cases[i].what);
}

static int both_free;

static void *free_at_once(void *arg)
{
	__atomic_fetch_add(&both_free, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&both_free, __ATOMIC_SEQ_CST) < 2)
		;
	lethe_free(shared);
	return arg;
}

static int free_at_the_same_time(void *arg)
{
	pthread_t threads[2];
	size_t i;

	shared = lethe_malloc(*(size_t *)arg);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, free_at_once, NULL);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* As long as it takes to wipe it, both have found it live. */
static void test_at_once(void)
{
	static const size_t sizes[] = { 8 * KIB, MIB };
	/* Whoever comes late may find its pages gone, and say that. */
	size_t i, told = 0;

	for (i = 0; i < 30; i++)
		told += is_told(free_at_the_same_time, sizes[i % 2], "lethe: free of");
	tap_ok(told == 30, "of two threads that free a block at once one is told");
}

int main(void)
{
	tap_plan(5);
	test_twice();
	test_at_once();
	return tap_end();
}
