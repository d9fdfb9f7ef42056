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

static const unsigned int crowds[CROWDS] = { 0, 5000, LIVE_MAX };

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

/* One thread and two, one right after the other: what is compared has the same load. */
void measure_scaling(unsigned int round)
{
	size_t bytes;

	for (unsigned int size = 0; size < SIZES; size++) {
		bytes = heap_sizes[size];
		for (unsigned int i = 0; i < 2; i++)
			our_rate[size][i].at[round] = heap_throughput(&heap_lethe, bytes,
								      i + 1);
		for (unsigned int i = 0; i < 2; i++)
			libcs_rate[size][i].at[round] = heap_throughput(&heap_libc, bytes,
									i + 1);
		for (unsigned int peer = 0; peer < HEAP_PEERS; peer++)
			for (unsigned int i = 0; i < 2; i++)
				their_rate[peer][size][i].at[round] = ask(peer, "rate",
									  bytes, i + 1);
	}
}

static void print_peer(unsigned int crowd, unsigned int size, unsigned int peer)
{
	const struct series *us = &ours[crowd][size], *them = &theirs[peer][crowd][size];
	const struct heap *heap = &heap_peers[peer];
	char metric[80], why[80];

	snprintf(metric, sizeof(metric), "beside %s: %zu B, %u live", heap->name,
		 heap_sizes[size], crowds[crowd]);
	if (has_room(peer, crowd)) {
		row(metric, "ns", us, them, heap->name, median(us) / median(them), "-",
		    "-");
		return;
	}
	snprintf(why, sizeof(why), "not measured: %s", heap->why_no_more);
	row_alone(metric, "ns", us, why, "-", "-");
}

static void print_size(unsigned int crowd, unsigned int size)
{
	char metric[80];

	snprintf(metric, sizeof(metric), "block of %zu B, %u live", heap_sizes[size],
		 crowds[crowd]);
	at_most(metric, "ns", &ours[crowd][size], &libcs[crowd][size], heap_libc.name, 1);
	for (unsigned int peer = 0; peer < HEAP_PEERS; peer++)
		print_peer(crowd, size, peer);
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
