// SPDX-License-Identifier: MIT
/*
 * What the secret heap costs, beside libc's and those of the libraries that keep
 * secrets. It is not linked with liblethe-malloc: malloc() here is libc's.
 *
 *	heap_bench TLS SSH [SAMPLES [ROUNDS SLICES SECONDS]]
 *
 * TLS and SSH are traces (trace.h). SAMPLES is where each second's footprint goes in
 * a replay of SECONDS. Few rounds of few slices show that all works.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "../selftests/tap.h"
#include "heap_rows.h"
#include "heap_take.h"
#include "slices.h"

const size_t heap_sizes[SIZES] = { 32, 256, 4096, 65536 };

int main(int argc, char **argv)
{
	struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned int crowd, round, seconds = 60;

	if (argc != 3 && argc != 4 && argc != 7)
		tap_bail("usage: heap_bench TLS SSH [SAMPLES [ROUNDS SLICES SECONDS]]");
	rounds = 21;
	if (argc == 7) {
		rounds = strtoul(argv[4], NULL, 10);
		heap_slices = strtoul(argv[5], NULL, 10);
		seconds = strtoul(argv[6], NULL, 10);
	}
	if (!rounds || rounds > ROUNDS_MAX || !heap_slices || heap_slices > SLICES_MAX ||
	    !seconds || seconds > 24 * 3600)
		tap_bail("1 to %d rounds, 1 to %d slices, a second to a day", ROUNDS_MAX,
			 SLICES_MAX);
	/* Where it may be raised, peers lock all that they want to; ours has enough. */
	setrlimit(RLIMIT_MEMLOCK, &locked);

	read_traces(argv + 1);
	start_peers();
	/* Processes of their own, and the heap is empty. */
	for (round = 0; round < rounds; round++)
		measure_footprint(round);
	measure_churn(seconds, argc > 3 ? argv[3] : NULL);
	for (round = 0; round < rounds; round++) {
		measure_blocks(0, round);
		measure_scaling(round);
		measure_remote(round);
		measure_replay(round);
	}
	for (crowd = 1; crowd < CROWDS; crowd++) {
		gather_crowd(crowd);
		for (round = 0; round < rounds; round++)
			measure_blocks(crowd, round);
	}

	print_header();
	print_blocks();
	print_scaling();
	print_remote();
	print_replay();
	print_footprint();
	print_churn();
	end_peers();
	return 0;
}
