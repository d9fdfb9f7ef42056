// SPDX-License-Identifier: MIT
/*
 * Medians, the lines of a table, and what several threads come to.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../selftests/tap.h"
#include "series.h"

unsigned int rounds = 9;

uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double middle_of(double *samples, unsigned int nr)
{
	qsort(samples, nr, sizeof(*samples), compare);
	return samples[(nr - 1) / 2];
}

static double quantile(struct series series, unsigned int quarter)
{
	qsort(series.at, rounds, sizeof(series.at[0]), compare);
	return series.at[quarter * (rounds - 1) / 4];
}

double median(const struct series *series)
{
	return quantile(*series, 2);
}

void print_header(void)
{
	printf("metric\tours\tpeer\tpeer_name\tratio\tgoal\tmet\tspread\n");
}

void row(const char *metric, const char *unit, const struct series *ours,
	 const struct series *peer, const char *peer_name, double ratio, const char *goal,
	 const char *met)
{
	printf("%s, %s\t%.4g\t%.4g\t%s\t%.2f\t%s\t%s\t%.4g..%.4g\n", metric, unit,
	       median(ours), median(peer), peer_name, ratio, goal, met,
	       quantile(*ours, 1), quantile(*ours, 3));
	fflush(stdout);
}

void row_alone(const char *metric, const char *unit, const struct series *ours,
	       const char *why, const char *goal, const char *met)
{
	printf("%s, %s\t%.4g\t-\t%s\t-\t%s\t%s\t%.4g..%.4g\n", metric, unit, median(ours),
	       why, goal, met, quantile(*ours, 1), quantile(*ours, 3));
	fflush(stdout);
}

void at_least(const char *metric, const char *unit, const struct series *ours,
	      const struct series *peer, const char *name, double ratio, double goal)
{
	char text[32];

	snprintf(text, sizeof(text), ">= %g", goal);
	row(metric, unit, ours, peer, name, ratio, text, ratio >= goal ? "yes" : "no");
}

void at_most(const char *metric, const char *unit, const struct series *ours,
	     const struct series *peer, const char *name, double goal)
{
	double ratio = median(ours) / median(peer);
	char text[32];

	snprintf(text, sizeof(text), "<= %g", goal);
	row(metric, unit, ours, peer, name, ratio, text, ratio <= goal ? "yes" : "no");
}

static atomic_uint waiting;

/* A cache line each: what they count is not shared. */
struct worker {
	_Alignas(64) void (*work)(void);
	int cpu;
	uint64_t slice_ns;
	unsigned int done;
};

static void *run_worker(void *arg)
{
	struct worker *worker = arg;
	uint64_t end;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(worker->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		tap_bail("CPU %d: %s", worker->cpu, strerror(errno));
	atomic_fetch_sub(&waiting, 1);
	while (atomic_load(&waiting))
		;
	for (end = now() + worker->slice_ns; now() < end; worker->done++)
		worker->work();
	return NULL;
}

/* How often @nr threads, each on its own CPU, do it in a second. */
double throughput(void (*work)(void), unsigned int nr, uint64_t slice_ns)
{
	struct worker workers[2] = { { work, 0, slice_ns, 0 }, { work, 1, slice_ns, 0 } };
	pthread_t threads[2];
	unsigned int done = 0;

	atomic_store(&waiting, nr);
	for (unsigned int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, run_worker, &workers[i]))
			tap_bail("pthread_create failed");
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		done += workers[i].done;
	}
	return done * 1e9 / slice_ns;
}
