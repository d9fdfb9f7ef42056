/* SPDX-License-Identifier: MIT */
/*
 * A recorded use of the heap, and its replay. A trace is lines of text: first the
 * blocks that stay, then "pass", then what can be replayed again and again, since it
 * frees what it allocates. T is the thread, S names a block until it is freed:
 *
 *	TmS SIZE		malloc()
 *	TcS SIZE		calloc()
 *	TaS SIZE ALIGNMENT	aligned_alloc()
 *	TrS SIZE		realloc()
 *	TfS			free()
 *
 * A line that begins with # says what it is of. The sides are replayed by one thread, in
 * the order in which they were recorded: T is for who reads.
 */
#ifndef LETHE_BENCH_TRACE_H
#define LETHE_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

/* A trace names no more. */
#define TRACE_BLOCKS_MAX 16384

/**
 * struct step - one line
 * @kind: its letter
 * @block: which, of the blocks that are live at one time
 * @size: asked for
 * @before: what the block had, where it had any
 * @alignment: 0 if none was asked for
 */
struct step {
	char kind;
	uint32_t block, size, before, alignment;
};

/**
 * struct trace - all of them
 * @steps: the blocks that stay, and the pass
 * @nr_stay: where the pass begins
 * @nr: where it ends
 * @blocks: as many may be live at one time
 */
struct trace {
	struct step *steps;
	uint32_t nr_stay, nr, blocks;
};

/**
 * struct replayer - a heap, as a trace uses it
 * @name: for the table
 *
 * What it frees, or moves away from, is wiped; @size is the block's.
 */
struct replayer {
	const char *name;
	void *(*get)(size_t size);
	void *(*get_zeroed)(size_t size);
	void *(*get_aligned)(size_t alignment, size_t size);
	void *(*resize)(void *block, size_t before, size_t size);
	void (*put)(void *block, size_t size);
};

extern const struct replayer replay_lethe, replay_libc;

/* Bails if it is none, or does not end with what it began. */
struct trace trace_read(const char *path);
/* Steps @from to @to; a byte a page of each block is written. */
void trace_replay(const struct trace *trace, const struct replayer *heap, void **blocks,
		  uint32_t from, uint32_t to);

#endif /* LETHE_BENCH_TRACE_H */
