/* SPDX-License-Identifier: MIT */
/*
 * What a block costs: allocated, a byte written in each of its pages, wiped and freed.
 */
#ifndef LETHE_BENCH_HEAP_TAKE_H
#define LETHE_BENCH_HEAP_TAKE_H

#include "heaps.h"

/* Fewer slices, where that all works is all that is asked. */
extern unsigned int heap_slices;

/* So many blocks of LIVE_SIZE more that stay. */
void heap_fill(const struct heap *heap, unsigned int more);

/*
 * In nanoseconds, the medians of slices that alternate between the heaps, @nr of them:
 * by the thread that allocated it, one block after the other.
 */
void take_heaps(const struct heap *const *heaps, unsigned int nr, size_t size,
		double *took);

/* The same by batches; and where another thread, on another CPU, frees them. */
struct freed {
	double here, there;
};

struct freed take_remote(const struct heap *heap, size_t size);

/* Blocks a second, by one thread or by two. */
double heap_throughput(const struct heap *heap, size_t size, unsigned int threads);

#endif /* LETHE_BENCH_HEAP_TAKE_H */
