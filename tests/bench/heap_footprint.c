// SPDX-License-Identifier: MIT
/*
 * How many secret pages the heap has for what it holds, as the kernel counts them: by
 * a process of its own each time, which begins with none.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../selftests/tap.h"
#include "heap_footprint.h"
#include "heap_rows.h"
#include "heap_take.h"
#include "lethe.h"
#include "peer.h"
#include "series.h"

#define PAGE 4096.0
#define KIB 1024
#define IDLE_MAX 32

static const unsigned int idle[] = { 1, 8, IDLE_MAX };
#define IDLE (sizeof(idle) / sizeof(idle[0]))

static struct series crowd, crowd_all, crowd_sum, trimmed[IDLE], untrimmed[IDLE], two;

/* "VmLck:" and so on, in bytes. */
size_t of_status(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t length = strlen(name), kib;
	char line[256];

	if (!file)
		tap_bail("/proc/self/status: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) != 0)
			continue;
		if (sscanf(line + length, "%zu kB", &kib) != 1)
			break;
		fclose(file);
		return kib * KIB;
	}
	tap_bail("/proc/self/status has no %s", name);
}

/* Pages of the module are not counted: there is none where this is measured. */
size_t secret_bytes(void)
{
	const char *backend = lethe_backend();

	if (!backend || !strcmp(backend, "kmod"))
		tap_bail("the backend is %s, whose pages VmLck does not count",
			 backend ? backend : strerror(errno));
	return of_status("VmLck:");
}

static void measure_crowd(const void *unused)
{
	size_t before = secret_bytes(), before_all = of_status("VmRSS:");

	(void)unused;
	heap_fill(&heap_lethe, LIVE_MAX);
	printf("%zu %zu\n", secret_bytes() - before, of_status("VmRSS:") - before_all);
}

/* Threads that have had a block, and now wait. */
struct waiting {
	unsigned int nr;
	bool trim;
	pthread_barrier_t *all, *end;
};

static void *have_had_a_block(void *arg)
{
	const struct waiting *waiting = arg;
	void *block = heap_lethe.get(LIVE_SIZE);

	if (!block)
		tap_bail("no block: %s", strerror(errno));
	heap_lethe.put(block, LIVE_SIZE);
	if (waiting->trim)
		lethe_trim();
	pthread_barrier_wait(waiting->all);
	pthread_barrier_wait(waiting->end);
	return NULL;
}

static void measure_waiting(const void *arg)
{
	struct waiting waiting = *(const struct waiting *)arg;
	pthread_t threads[IDLE_MAX];
	size_t before = secret_bytes();
	pthread_barrier_t all, end;

	pthread_barrier_init(&all, NULL, waiting.nr + 1);
	pthread_barrier_init(&end, NULL, waiting.nr + 1);
	waiting.all = &all;
	waiting.end = &end;
	for (unsigned int i = 0; i < waiting.nr; i++)
		if (pthread_create(&threads[i], NULL, have_had_a_block, &waiting))
			tap_bail("no thread");
	pthread_barrier_wait(&all);
	printf("%zu 0\n", secret_bytes() - before);
	pthread_barrier_wait(&end);
	for (unsigned int i = 0; i < waiting.nr; i++)
		pthread_join(threads[i], NULL);
}

/* The child's first number; the second in *@second. */
static double ask_child(void (*measure)(const void *arg), const void *arg, double *second)
{
	struct peer child = peer_fork(measure, arg);
	char line[256];
	double first;

	if (!fgets(line, sizeof(line), child.from))
		tap_bail("a child has no answer");
	if (sscanf(line, "%lf %lf", &first, second) != 2)
		tap_bail("a child has no answer but %s", line);
	peer_end(&child);
	return first;
}

static double pages_a_thread(unsigned int nr, bool trim)
{
	struct waiting waiting = { .nr = nr, .trim = trim };
	double none;

	return ask_child(measure_waiting, &waiting, &none) / PAGE / nr;
}

void measure_footprint(unsigned int round)
{
	double all;

	crowd.at[round] = ask_child(measure_crowd, NULL, &all) / KIB;
	crowd_all.at[round] = all / KIB;
	crowd_sum.at[round] = (double)LIVE_MAX * LIVE_SIZE / KIB;
	for (unsigned int i = 0; i < IDLE; i++) {
		trimmed[i].at[round] = pages_a_thread(idle[i], true);
		untrimmed[i].at[round] = pages_a_thread(idle[i], false);
	}
	two.at[round] = 2;
}

static void print_idle(unsigned int nr, const char *how, const struct series *pages)
{
	char metric[100];

	snprintf(metric, sizeof(metric), "secret pages a thread, %u idle%s", nr, how);
	at_most(metric, "pages", pages, &two, "two pages", 1);
}

void print_footprint(void)
{
	at_most("100000 live blocks of 32 B, secret pages", "KiB", &crowd, &crowd_sum,
		"their sum", 1.15);
	row("with the ordinary pages that describe them", "KiB", &crowd_all, &crowd_sum,
	    "their sum", median(&crowd_all) / median(&crowd_sum), "-", "-");
	for (unsigned int i = 0; i < IDLE; i++) {
		print_idle(idle[i], ", after lethe_trim()", &trimmed[i]);
		print_idle(idle[i], ", without", &untrimmed[i]);
	}
}
