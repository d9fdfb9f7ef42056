// SPDX-License-Identifier: MIT
/*
 * A program that is not linked with the library, and loads it: before there are
 * threads and after, more than once, and closes it while threads still have what it
 * gave them. On whichever backend is in use.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lethe.h"
#include "tap.h"

static int (*do_section)(void (*)(void *), void *);
static bool (*is_enabled)(void);
static enum lethe_level (*level_of)(const void *);

static void *load(void)
{
	void *library = dlopen("liblethe.so.0", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		tap_bail("%s", dlerror());
	*(void **)&do_section = dlsym(library, "lethe_do");
	*(void **)&is_enabled = dlsym(library, "lethe_enabled");
	*(void **)&level_of = dlsym(library, "lethe_level_of");
	if (!do_section || !is_enabled || !level_of)
		tap_bail("%s", dlerror());
	return library;
}

static void look(void *arg)
{
	*(bool *)arg = is_enabled() &&
		       level_of(__builtin_frame_address(0)) != LETHE_LEVEL_NONE;
}

static bool section_runs(void)
{
	bool good = false;

	return !do_section(look, &good) && good && !is_enabled();
}

static pthread_barrier_t loaded, closed;
static unsigned int good_before, good_after;

/* Made before the library was there: its thread-local variables come late. */
static void *worker(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&loaded);
	__atomic_fetch_add(&good_before, section_runs(), __ATOMIC_RELAXED);
	pthread_barrier_wait(&closed);
	pthread_barrier_wait(&closed);
	__atomic_fetch_add(&good_after, section_runs(), __ATOMIC_RELAXED);
	return NULL;
}

int main(void)
{
	pthread_t threads[4];
	unsigned int i, good = 0;
	void *library;

	tap_plan(5);
	tap_ok(!dlopen("liblethe.so.0", RTLD_NOW | RTLD_NOLOAD),
	       "the library is not here yet (control)");
	pthread_barrier_init(&loaded, NULL, 5);
	pthread_barrier_init(&closed, NULL, 5);
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, worker, NULL))
			tap_bail("no thread");

	library = load();
	tap_ok(section_runs(), "it is loaded beside four threads, and a section runs");
	pthread_barrier_wait(&loaded);
	pthread_barrier_wait(&closed);
	tap_ok(good_before == 4, "and in each of the threads that were there before");

	dlclose(library);
	/* Whoever has a section open, or a stack to give back, calls into it. */
	pthread_barrier_wait(&closed);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	tap_ok(good_after == 4 && section_runs(),
	       "after dlclose() sections run on, and threads end");

	for (i = 0; i < 100; i++) {
		library = load();
		good += section_runs();
		dlclose(library);
	}
	tap_ok(good == 100, "100 times loaded, used and closed again");
	return tap_end();
}
