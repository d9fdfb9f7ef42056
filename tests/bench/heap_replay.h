/* SPDX-License-Identifier: MIT */
/*
 * The traces that were read, for those who replay them.
 */
#ifndef LETHE_BENCH_HEAP_REPLAY_H
#define LETHE_BENCH_HEAP_REPLAY_H

#include "trace.h"

#define TRACES 2
extern struct trace traces[TRACES];

/* Room for the blocks of one connection. */
void **new_blocks(const struct trace *trace);
/* The blocks that stay; the pass. */
void replay_stay(const struct trace *trace, const struct replayer *heap, void **room);
void replay_pass(const struct trace *trace, const struct replayer *heap, void **room);

#endif /* LETHE_BENCH_HEAP_REPLAY_H */
