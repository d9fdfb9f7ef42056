/* SPDX-License-Identifier: MIT */
/*
 * The rows of the secret heap, a subject a file: each is measured once a round, and
 * printed after the last.
 */
#ifndef LETHE_BENCH_HEAP_ROWS_H
#define LETHE_BENCH_HEAP_ROWS_H

#include <stddef.h>

#define SIZES 4
extern const size_t heap_sizes[SIZES];

/* heap_blocks.c: the peers' processes, before lethe has any memory; and their end. */
void start_peers(void);
void end_peers(void);
/* Alone, and among more and more live blocks: a @crowd after the other. */
#define CROWDS 3
void gather_crowd(unsigned int crowd);
void measure_blocks(unsigned int crowd, unsigned int round);
void print_blocks(void);
/* By two threads. Every peer's, too. */
void measure_scaling(unsigned int round);
void print_scaling(void);

/* heap_remote.c */
void measure_remote(unsigned int round);
void print_remote(void);

/* heap_replay.c: @traces: two files, of TLS and of SSH. */
void read_traces(char **traces);
void measure_replay(unsigned int round);
void print_replay(void);

/* heap_footprint.c */
void measure_footprint(unsigned int round);
void print_footprint(void);

/* heap_churn.c: of @seconds, once, each second's in the file @samples; NULL: in none. */
void measure_churn(unsigned int seconds, const char *samples);
void print_churn(void);

#endif /* LETHE_BENCH_HEAP_ROWS_H */
