// SPDX-License-Identifier: MIT
/*
 * Handshakes, replayed from the traces: by one thread, passes of ours and of libc's in
 * turn; and by two, each with a connection of its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../selftests/tap.h"
#include "heap_replay.h"
#include "heap_rows.h"
#include "heap_take.h"
#include "slices.h"

#define PASSES 15
#define THREADS_NS 20000000ULL

struct trace traces[TRACES];
static const char *const names[TRACES] = { "a TLS 1.3 handshake", "an SSH key exchange" };
static const struct replayer *const heaps[2] = { &replay_lethe, &replay_libc };
static void **blocks[2][TRACES];
static struct series step[2][TRACES], rate[2][TRACES][2];

void read_traces(char **files)
{
	for (unsigned int i = 0; i < TRACES; i++)
		traces[i] = trace_read(files[i]);
}

void **new_blocks(const struct trace *trace)
{
	void **room = calloc(trace->blocks, sizeof(*room));

	if (!room)
		tap_bail("no memory");
	return room;
}

void replay_stay(const struct trace *trace, const struct replayer *heap, void **room)
{
	trace_replay(trace, heap, room, 0, trace->nr_stay);
}

void replay_pass(const struct trace *trace, const struct replayer *heap, void **room)
{
	trace_replay(trace, heap, room, trace->nr_stay, trace->nr);
}

static double pass_once(unsigned int heap, unsigned int which)
{
	const struct trace *trace = &traces[which];
	uint64_t start = now();

	replay_pass(trace, heaps[heap], blocks[heap][which]);
	return (double)(now() - start) / (trace->nr - trace->nr_stay);
}

static void measure_steps(unsigned int which, unsigned int round)
{
	unsigned int heap, i, nr = heap_slices < PASSES ? heap_slices : PASSES;
	double took[2][PASSES];

	for (heap = 0; heap < 2; heap++) {
		if (blocks[heap][which])
			continue;
		blocks[heap][which] = new_blocks(&traces[which]);
		replay_stay(&traces[which], heaps[heap], blocks[heap][which]);
		/* What libc's lists and ours have from a pass on. */
		pass_once(heap, which);
	}
	for (i = 0; i < nr; i++)
		for (heap = 0; heap < 2; heap++)
			took[heap][i] = pass_once(heap, which);
	for (heap = 0; heap < 2; heap++)
		step[heap][which].at[round] = middle_of(took[heap], nr);
}

/* What the threads of throughput() replay. */
static const struct trace *working;
static const struct replayer *working_heap;
/* All of them free between passes. */
static __thread void *own_blocks[TRACE_BLOCKS_MAX];

static void work(void)
{
	replay_pass(working, working_heap, own_blocks);
}

/* The blocks that stay are those of measure_steps(), and of another thread. */
static void measure_rates(unsigned int which, unsigned int round)
{
	uint64_t ns = heap_slices < 5 ? THREADS_NS / 20 : THREADS_NS;

	working = &traces[which];
	for (unsigned int heap = 0; heap < 2; heap++) {
		working_heap = heaps[heap];
		for (unsigned int i = 0; i < 2; i++)
			rate[heap][which][i].at[round] = throughput(work, i + 1, ns);
	}
}

void measure_replay(unsigned int round)
{
	for (unsigned int which = 0; which < TRACES; which++) {
		measure_steps(which, round);
		measure_rates(which, round);
	}
}

void print_replay(void)
{
	struct series gains;
	char metric[80];

	for (unsigned int which = 0; which < TRACES; which++) {
		snprintf(metric, sizeof(metric), "%s replayed, a step", names[which]);
		at_most(metric, "ns", &step[0][which], &step[1][which], replay_libc.name,
			1);
		for (unsigned int heap = 0; heap < 2; heap++) {
			struct series *r = rate[heap][which];

			for (unsigned int i = 0; i < rounds; i++)
				gains.at[i] = r[1].at[i] / r[0].at[i];
			snprintf(metric, sizeof(metric), "%s replayed, 2 threads%s",
				 names[which], heap ? " on libc's" : "");
			row(metric, "a second", &r[1], &r[0], "1 thread", median(&gains),
			    "-", "-");
		}
	}
}
