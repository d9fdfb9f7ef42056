/* SPDX-License-Identifier: MIT */
/*
 * The heaps that are compared: what each calls a block, and gives it back wiped.
 */
#ifndef LETHE_BENCH_HEAPS_H
#define LETHE_BENCH_HEAPS_H

#include <stddef.h>

/* So large are blocks that are live while others are measured. */
#define LIVE_SIZE 32
#define LIVE_MAX 100000

/**
 * struct heap - one of them
 * @name: for the table
 * @start: in the process where it is measured, before anything else; 0, or not. NULL:
 *	there is nothing to start
 * @get: a block of @size bytes
 * @put: wiped over @size bytes, and freed
 * @most: as many blocks may be live
 * @why_no_more: when that is less than LIVE_MAX
 */
struct heap {
	const char *name;
	int (*start)(void);
	void *(*get)(size_t size);
	void (*put)(void *block, size_t size);
	unsigned int most;
	const char *why_no_more;
};

extern const struct heap heap_lethe, heap_libc;
/* Buffers, wiped, and no heap: what the machine takes for them. One thread gets. */
extern const struct heap heap_none;

#define HEAP_PEERS 4
extern const struct heap heap_peers[HEAP_PEERS];

/* heap_botan.cpp */
void *botan_get(size_t size);
void botan_put(void *block, size_t size);

#endif /* LETHE_BENCH_HEAPS_H */
