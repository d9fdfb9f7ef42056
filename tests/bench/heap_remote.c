// SPDX-License-Identifier: MIT
/*
 * Blocks that another thread frees, on another CPU. What it takes is what both threads
 * do, not that they wait for each other.
 */
#include <stdio.h>

#include "heap_rows.h"
#include "heap_take.h"
#include "series.h"

/* The last is what it takes another CPU to have them in its cache. */
#define HEAPS 3
static const struct heap *const heaps[HEAPS] = { &heap_lethe, &heap_libc, &heap_none };
static struct series here[HEAPS][SIZES], there[HEAPS][SIZES];

void measure_remote(unsigned int round)
{
	struct freed freed;

	for (unsigned int size = 0; size < SIZES; size++) {
		for (unsigned int i = 0; i < HEAPS; i++) {
			freed = take_remote(heaps[i], heap_sizes[size]);
			here[i][size].at[round] = freed.here;
			there[i][size].at[round] = freed.there;
		}
	}
}

void print_remote(void)
{
	char metric[80];

	for (unsigned int size = 0; size < SIZES; size++) {
		snprintf(metric, sizeof(metric), "freed by another thread, %zu B",
			 heap_sizes[size]);
		at_most(metric, "ns", &there[0][size], &here[0][size],
			"by the same thread", 2);
		for (unsigned int i = 1; i < HEAPS; i++) {
			snprintf(metric, sizeof(metric), "%s, by another thread, %zu B",
				 heaps[i]->name, heap_sizes[size]);
			row(metric, "ns", &there[i][size], &here[i][size],
			    "by the same thread",
			    median(&there[i][size]) / median(&here[i][size]), "-", "-");
		}
		snprintf(metric, sizeof(metric),
			 "freed by another thread, beside libc's: %zu B",
			 heap_sizes[size]);
		row(metric, "ns", &there[0][size], &there[1][size], heap_libc.name,
		    median(&there[0][size]) / median(&there[1][size]), "-", "-");
	}
}
