// SPDX-License-Identifier: MIT
/*
 * Does the heap fall to pieces? Two threads, each with some connections that are at
 * different steps of their traces and go on in bursts, in an order of no pattern. Of
 * what they free, some blocks live on for a time that nobody knows, and are freed by
 * whichever thread it comes to. Meanwhile its pages are counted, each second.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../selftests/tap.h"
#include "heap_footprint.h"
#include "heap_replay.h"
#include "heap_rows.h"
#include "lethe.h"
#include "peer.h"
#include "series.h"

#define THREADS 2
#define CONNECTIONS 4
#define BURST_MAX 64
/* One block in so many lives on, and so many do at a time. */
#define LATE_OF 32
#define LATE 2048
#define SAMPLES_MAX (24 * 3600)
#define SAMPLES_MIN 40
#define KIB 1024.0

struct connection {
	const struct trace *trace;
	void **blocks;
	uint32_t at;
};

/* @live: bytes asked for, less those freed: others free what it allocated. */
struct worker {
	pthread_t thread;
	uint64_t random;
	struct connection connections[CONNECTIONS];
	_Atomic ptrdiff_t live;
	_Atomic uint64_t steps;
};

static struct worker workers[THREADS];
static __thread struct worker *self;
static atomic_bool stop;

static struct late {
	void *block;
	size_t size;
} late[LATE];
static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t next_random(void)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;
	return self->random;
}

static void count(ptrdiff_t bytes)
{
	atomic_fetch_add_explicit(&self->live, bytes, memory_order_relaxed);
}

static void *churn_get(size_t size)
{
	count((ptrdiff_t)size);
	return replay_lethe.get(size);
}

static void *churn_get_zeroed(size_t size)
{
	count((ptrdiff_t)size);
	return replay_lethe.get_zeroed(size);
}

static void *churn_get_aligned(size_t alignment, size_t size)
{
	count((ptrdiff_t)size);
	return replay_lethe.get_aligned(alignment, size);
}

static void *churn_resize(void *block, size_t before, size_t size)
{
	count((ptrdiff_t)size - (ptrdiff_t)before);
	return replay_lethe.resize(block, before, size);
}

static void churn_put(void *block, size_t size)
{
	struct late *place, out = { block, size };
	uint64_t random = next_random();

	if (random % LATE_OF == 0) {
		place = &late[random / LATE_OF % LATE];
		pthread_mutex_lock(&late_lock);
		out = *place;
		*place = (struct late){ block, size };
		pthread_mutex_unlock(&late_lock);
	}
	count(-(ptrdiff_t)out.size);
	if (out.block)
		replay_lethe.put(out.block, out.size);
}

static const struct replayer churning = {
	.name = "lethe",
	.get = churn_get,
	.get_zeroed = churn_get_zeroed,
	.get_aligned = churn_get_aligned,
	.resize = churn_resize,
	.put = churn_put,
};

static void go_on(struct connection *c)
{
	uint32_t left, burst = 1 + next_random() % BURST_MAX;

	if (!c->trace || c->at == c->trace->nr) {
		c->trace = &traces[next_random() % TRACES];
		c->at = c->trace->nr_stay;
	}
	left = c->trace->nr - c->at;
	if (burst > left)
		burst = left;
	trace_replay(c->trace, &churning, c->blocks, c->at, c->at + burst);
	c->at += burst;
	atomic_fetch_add_explicit(&self->steps, burst, memory_order_relaxed);
}

static void *churn(void *arg)
{
	static void *connections_blocks[THREADS][CONNECTIONS][TRACE_BLOCKS_MAX];

	self = arg;
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		self->connections[i].blocks = connections_blocks[self - workers][i];
	/* Once a process: what a library's first use leaves. */
	for (unsigned int i = 0; self == workers && i < TRACES; i++)
		replay_stay(&traces[i], &churning, new_blocks(&traces[i]));
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		go_on(&self->connections[next_random() % CONNECTIONS]);
	return NULL;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static void print_sample(size_t base)
{
	ptrdiff_t live = 0;
	uint64_t steps = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		live += atomic_load_explicit(&workers[i].live, memory_order_relaxed);
		steps += atomic_load_explicit(&workers[i].steps, memory_order_relaxed);
	}
	printf("%.1f %.1f %.0f\n", (double)(secret_bytes() - base) / KIB,
	       (double)live / KIB, (double)steps);
	fflush(stdout);
}

/* In a process of its own: @arg is how many samples, and how far apart. */
static void churn_and_say(const void *arg)
{
	const uint64_t *plan = arg;
	size_t base = secret_bytes();
	uint64_t start = now();

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].random = 0x9e3779b97f4a7c15 * (i + 1);
		if (pthread_create(&workers[i].thread, NULL, churn, &workers[i]))
			tap_bail("no thread");
	}
	for (uint64_t i = 1; i <= plan[0]; i++) {
		sleep_until(start + i * plan[1]);
		print_sample(base);
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

static struct sample {
	double mapped, live, steps;
} samples[SAMPLES_MAX];
static unsigned int nr_samples, run_seconds, warm;

static void keep_samples(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		tap_bail("%s could not be opened", path);
	fprintf(file, "seconds\tsecret KiB\tlive KiB\tsteps\n");
	for (unsigned int i = 0; i < nr_samples; i++)
		fprintf(file, "%.3f\t%.1f\t%.1f\t%.0f\n",
			(double)(i + 1) * run_seconds / nr_samples, samples[i].mapped,
			samples[i].live, samples[i].steps);
	if (fclose(file))
		tap_bail("%s could not be written", path);
}

void measure_churn(unsigned int seconds, const char *path)
{
	uint64_t plan[2];
	struct peer child;
	struct sample *s;
	char line[256];

	run_seconds = seconds;
	nr_samples = seconds < SAMPLES_MIN ? SAMPLES_MIN : seconds;
	plan[0] = nr_samples;
	plan[1] = seconds * 1000000000ULL / nr_samples;
	/* The first minute is to find its size in; of a short run the first sixth. */
	warm = seconds >= 360 ? 60 : nr_samples / 6;

	child = peer_fork(churn_and_say, plan);
	for (s = samples; s < samples + nr_samples; s++) {
		if (!fgets(line, sizeof(line), child.from))
			tap_bail("the replay ended");
		if (sscanf(line, "%lf %lf %lf", &s->mapped, &s->live, &s->steps) != 3)
			tap_bail("the replay says %s", line);
	}
	peer_end(&child);
	if (path)
		keep_samples(path);
}

/* As many of the samples from @from on as there are rounds, evenly. */
static void pick(struct series *series, unsigned int from, unsigned int nr, bool live)
{
	for (unsigned int i = 0; i < rounds; i++) {
		const struct sample *s = &samples[from + i * nr / rounds];

		series->at[i] = live ? s->live : s->mapped;
	}
}

void print_churn(void)
{
	struct series first, last, live;
	unsigned int quarter = (nr_samples - warm) / 4;
	char metric[100];

	pick(&first, warm, quarter, false);
	pick(&last, nr_samples - quarter, quarter, false);
	pick(&live, nr_samples - quarter, quarter, true);
	snprintf(metric, sizeof(metric),
		 "replayed for %u s, %.3g million steps: footprint", run_seconds,
		 samples[nr_samples - 1].steps / 1e6);
	at_most(metric, "KiB", &last, &first, "three quarters before", 1.05);
	row("the same beside what is live", "KiB", &last, &live, "bytes asked for",
	    median(&last) / median(&live), "-", "-");
}
