/* SPDX-License-Identifier: MIT */
/*
 * What a bench's rounds come to, and the lines that it prints: fields between tabs,
 * the medians of all rounds, and the spread, which is the middle half of ours. It
 * judges by the goals and changes nothing.
 */
#ifndef LETHE_BENCH_SERIES_H
#define LETHE_BENCH_SERIES_H

#include <stdint.h>

#define ROUNDS_MAX 63

/* How many of them count. */
extern unsigned int rounds;

/* A metric's rounds. */
struct series {
	double at[ROUNDS_MAX];
};

uint64_t now(void);
/* Sorts; of the middle two the lower. */
double middle_of(double *samples, unsigned int nr);
double median(const struct series *series);

void print_header(void);
void row(const char *metric, const char *unit, const struct series *ours,
	 const struct series *peer, const char *peer_name, double ratio, const char *goal,
	 const char *met);
/* One without a peer: @why there is none. */
void row_alone(const char *metric, const char *unit, const struct series *ours,
	       const char *why, const char *goal, const char *met);
void at_least(const char *metric, const char *unit, const struct series *ours,
	      const struct series *peer, const char *name, double ratio, double goal);
/* Ours to the peer's. */
void at_most(const char *metric, const char *unit, const struct series *ours,
	     const struct series *peer, const char *name, double goal);

/* How often @nr threads, each on its own CPU, do it in a second. */
double throughput(void (*work)(void), unsigned int nr, uint64_t slice_ns);

#endif /* LETHE_BENCH_SERIES_H */
