// SPDX-License-Identifier: MIT
/*
 * lethe_trim(): every secret page that nothing is in goes back, so that the machine
 * can hibernate; what is in use stays. On whichever backend is in use.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

/* Mappings and descriptors of what the backends are made of: any one is a veto. */
static unsigned int files_held(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	DIR *fds = opendir("/proc/self/fd");
	char line[512], path[300], target[300];
	unsigned int held = 0;
	struct dirent *entry;
	ssize_t n;

	if (!maps || !fds)
		tap_bail("no /proc/self");
	while (fgets(line, sizeof(line), maps))
		held += strstr(line, "secretmem") || strstr(line, "anon_inode:[lethe]");
	while ((entry = readdir(fds))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		held += strstr(target, "secretmem") ||
			strstr(target, "anon_inode:[lethe]") ||
			!strcmp(target, "/dev/lethe");
	}
	fclose(maps);
	closedir(fds);
	return held;
}

static void *one_section(void *arg)
{
	(void)lethe_do(fill_frame_at, arg);
	return NULL;
}

static void run_threads(unsigned int n, void *(*fn)(void *))
{
	uintptr_t frames[16];
	pthread_t threads[16];
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, fn, &frames[i]))
			tap_bail("no thread");
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void test_idle(void)
{
	struct lethe_options large = { .size = sizeof(large), .stack_size = 1024 * 1024 };
	size_t before, given, after;
	unsigned int held;
	uintptr_t frame = 0;

	run_threads(8, one_section);
	(void)lethe_do(fill_frame_at, &frame);
	(void)lethe_do_with(&large, fill_frame_at, &frame, NULL);
	lethe_free(lethe_malloc(100000));
	before = secret_bytes();
	held = files_held();
	given = lethe_trim();
	after = secret_bytes();
	tap_ok(before >= 1024 * 1024 && given == before && !after,
	       "an idle process gives back all of its secret pages (%zu KiB), and says how many",
	       given / 1024);
	tap_ok(lethe_level_of((void *)frame) == LETHE_LEVEL_NONE,
	       "where they were is no secret memory");
	if (!strcmp(lethe_backend(), "mlock"))
		tap_skip("a backend of files", "a mapping or descriptor of them");
	else
		tap_ok(held > 0 && !files_held(),
		       "no mapping or descriptor is left that vetoes hibernation (%u before)",
		       held);
	tap_ok(lethe_trim() == 0, "a second one has nothing to give");

	pattern_new();
	tap_ok(!lethe_do(fill_frame_at, &frame) && frame && !words_on_secret_stack(frame),
	       "sections run after it");
}

static void test_heap(void)
{
	char *block = lethe_malloc(100), *many[200];
	size_t i, before, given;

	if (!block)
		tap_bail("no memory");
	memset(block, 'x', 100);
	for (i = 0; i < 200; i++)
		many[i] = lethe_malloc(4000);
	for (i = 0; i < 200; i++)
		lethe_free(many[i]);
	before = secret_bytes();
	given = lethe_trim();
	for (i = 0; i < 100 && block[i] == 'x'; i++)
		;
	tap_ok(i == 100 && lethe_level_of(block) != LETHE_LEVEL_NONE &&
		       secret_bytes() == before - given && secret_bytes() > 0,
	       "a live block stays as it is, where it is");
	lethe_free(block);
	(void)lethe_trim();
	tap_ok(!secret_bytes(), "and goes when it is freed");
}

struct inside {
	uintptr_t frame;
	bool good;
};

static void trim_inside(void *arg)
{
	struct inside *inside = arg;

	inside->frame = fill_frame();
	(void)lethe_trim();
	inside->good = words_at(inside->frame) > 0 && lethe_enabled() &&
		       secret_bytes() > 0 &&
		       lethe_level_of(__builtin_frame_address(0)) != LETHE_LEVEL_NONE;
}

static void test_inside(void)
{
	struct inside inside = { 0 };

	run_threads(4, one_section);
	tap_ok(!lethe_do(trim_inside, &inside) && inside.good &&
		       !words_on_secret_stack(inside.frame),
	       "in a section it gives back what others left, and leaves that section alone");
}

static atomic_bool stop;
static pthread_barrier_t begun;

static void stay_inside(void *arg)
{
	uintptr_t frame = fill_frame();

	pthread_barrier_wait(&begun);
	while (!stop)
		usleep(100);
	*(bool *)arg = words_at(frame) > 0 && lethe_enabled();
}

static void *stay(void *arg)
{
	(void)lethe_do(stay_inside, arg);
	return NULL;
}

static void test_beside_others(void)
{
	bool good[4] = { 0 };
	pthread_t threads[4];
	unsigned int i, all = 0;

	pthread_barrier_init(&begun, NULL, 5);
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, stay, &good[i]))
			tap_bail("no thread");
	pthread_barrier_wait(&begun);
	(void)lethe_trim();
	stop = true;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		all += good[i];
	}
	(void)lethe_trim();
	tap_ok(all == 4 && !secret_bytes(),
	       "other threads' open sections are left alone, and given back when they are over");
}

static void *trim_and_run(void *arg)
{
	unsigned int i, good = 0;

	for (i = 0; i < 100; i++) {
		if (!lethe_do(fill_frame_at, arg))
			good++;
		(void)lethe_trim();
	}
	*(uintptr_t *)arg = good;
	return NULL;
}

static void test_many(void)
{
	uintptr_t good[4] = { 0 };
	pthread_t threads[4];
	unsigned int i, all = 0;

	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, trim_and_run, &good[i]))
			tap_bail("no thread");
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		all += (unsigned int)good[i];
	}
	(void)lethe_trim();
	tap_ok(all == 400 && !secret_bytes(),
	       "four threads that trim after each of 100 sections are not in each other's way");
}

int main(void)
{
	tap_plan(10);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	pattern_new();
	test_idle();
	test_heap();
	test_inside();
	test_beside_others();
	test_many();
	return tap_end();
}
