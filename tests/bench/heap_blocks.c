// SPDX-License-Identifier: MIT
/*
 * One block after the other: ours and libc's by slices that alternate, the peers each
 * in a process of its own, which has as many mappings and as much locked memory as it
 * likes, and is asked when nobody else is measured.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../selftests/tap.h"
#include "heap_rows.h"
#include "heap_take.h"
#include "peer.h"
#include "series.h"

const unsigned int crowds[CROWDS] = { 0, 5000, LIVE_MAX };

static struct peer peers[HEAP_PEERS];
static struct series ours[CROWDS][SIZES], libcs[CROWDS][SIZES];
static struct series theirs[HEAP_PEERS][CROWDS][SIZES];
/* Of one thread, and of two. */
static struct series our_rate[SIZES][2], libcs_rate[SIZES][2];
static struct series their_rate[HEAP_PEERS][SIZES][2];

/* "fill MORE", "take SIZE", "rate SIZE THREADS": each is answered by a number. */
static void serve(const void *arg)
{
	const struct heap *heap = arg;
	unsigned int a, b;
	char line[64];
	double answer;

	if (heap->start && heap->start())
		tap_bail("%s does not start", heap->name);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "fill %u", &a) == 1) {
			heap_fill(heap, a);
			answer = a;
		} else if (sscanf(line, "take %u", &a) == 1) {
			take_heaps(&heap, 1, a, &answer);
		} else if (sscanf(line, "rate %u %u", &a, &b) == 2) {
			answer = heap_throughput(heap, a, b);
		} else {
			tap_bail("%s: asked %s", heap->name, line);
		}
		printf("%.9g\n", answer);
		fflush(stdout);
	}
}

static double ask(unsigned int which, const char *what, size_t a, unsigned int b)
{
	struct peer *peer = &peers[which];
	char line[256];
	double answer;

	fprintf(peer->to, "%s %zu %u\n", what, a, b);
	fflush(peer->to);
	if (!fgets(line, sizeof(line), peer->from))
		tap_bail("%s has no answer", heap_peers[which].name);
	if (sscanf(line, "%lf", &answer) != 1)
		tap_bail("%s has no answer but %s", heap_peers[which].name, line);
	return answer;
}

void start_peers(void)
{
	for (unsigned int i = 0; i < HEAP_PEERS; i++)
		peers[i] = peer_fork(serve, &heap_peers[i]);
}

void end_peers(void)
{
	for (unsigned int i = 0; i < HEAP_PEERS; i++)
		peer_end(&peers[i]);
}

static bool has_room(unsigned int peer, unsigned int crowd)
{
	return crowds[crowd] <= heap_peers[peer].most;
}

void gather_crowd(unsigned int crowd)
{
	unsigned int more = crowds[crowd] - crowds[crowd - 1];

	heap_fill(&heap_lethe, more);
	heap_fill(&heap_libc, more);
	for (unsigned int i = 0; i < HEAP_PEERS; i++)
		if (has_room(i, crowd))
			ask(i, "fill", more, 0);
}

void measure_blocks(unsigned int crowd, unsigned int round)
{
	const struct heap *both[2] = { &heap_lethe, &heap_libc };
	double took[2];

	for (unsigned int size = 0; size < SIZES; size++) {
		take_heaps(both, 2, heap_sizes[size], took);
		ours[crowd][size].at[round] = took[0];
		libcs[crowd][size].at[round] = took[1];
		for (unsigned int i = 0; i < HEAP_PEERS; i++)
			if (has_room(i, crowd))
				theirs[i][crowd][size].at[round] =
					ask(i, "take", heap_sizes[size], 0);
	}
}

void measure_scaling(unsigned int round)
{
	for (unsigned int size = 0; size < SIZES; size++) {
		for (unsigned int i = 0; i < 2; i++) {
			our_rate[size][i].at[round] =
				heap_throughput(&heap_lethe, heap_sizes[size], i + 1);
			libcs_rate[size][i].at[round] =
				heap_throughput(&heap_libc, heap_sizes[size], i + 1);
			for (unsigned int p = 0; p < HEAP_PEERS; p++)
				their_rate[p][size][i].at[round] =
					ask(p, "rate", heap_sizes[size], i + 1);
		}
	}
}

static void print_size(unsigned int crowd, unsigned int size)
{
	char metric[80], why[160];

	snprintf(metric, sizeof(metric), "block of %zu B, %u live", heap_sizes[size],
		 crowds[crowd]);
	at_most(metric, "ns", &ours[crowd][size], &libcs[crowd][size], heap_libc.name, 1);
	for (unsigned int i = 0; i < HEAP_PEERS; i++) {
		snprintf(metric, sizeof(metric), "beside %s: %zu B, %u live",
			 heap_peers[i].name, heap_sizes[size], crowds[crowd]);
		snprintf(why, sizeof(why), "not measured: %s", heap_peers[i].why_no_more);
		if (has_room(i, crowd))
			row(metric, "ns", &ours[crowd][size], &theirs[i][crowd][size],
			    heap_peers[i].name,
			    median(&ours[crowd][size]) / median(&theirs[i][crowd][size]),
			    "-", "-");
		else
			row_alone(metric, "ns", &ours[crowd][size], why, "-", "-");
	}
}

void print_blocks(void)
{
	for (unsigned int crowd = 0; crowd < CROWDS; crowd++)
		for (unsigned int size = 0; size < SIZES; size++)
			print_size(crowd, size);
}

/* Of each round, which two threads and one had alike. */
static double gain(const struct series rate[2])
{
	struct series gains;

	for (unsigned int round = 0; round < rounds; round++)
		gains.at[round] = rate[1].at[round] / rate[0].at[round];
	return median(&gains);
}

static void print_gain(const char *whose, size_t size, const struct series rate[2],
		       double goal)
{
	char metric[80];

	snprintf(metric, sizeof(metric), "2 threads%s, blocks of %zu B", whose, size);
	if (goal)
		at_least(metric, "a second", &rate[1], &rate[0], "1 thread", gain(rate),
			 goal);
	else
		row(metric, "a second", &rate[1], &rate[0], "1 thread", gain(rate), "-",
		    "-");
}

void print_scaling(void)
{
	char whose[40];

	for (unsigned int size = 0; size < SIZES; size++) {
		print_gain("", heap_sizes[size], our_rate[size], 1.8);
		print_gain(" on libc's", heap_sizes[size], libcs_rate[size], 0);
		for (unsigned int i = 0; i < HEAP_PEERS; i++) {
			snprintf(whose, sizeof(whose), " on %s", heap_peers[i].name);
			print_gain(whose, heap_sizes[size], their_rate[i][size], 0);
		}
	}
}
