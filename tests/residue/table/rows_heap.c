// SPDX-License-Identifier: MIT
/*
 * The heap's rows: blocks that are given back, moved, used again, or forgotten. The
 * program calls malloc() and its like as any program does, and wipes none of its blocks:
 * that they are gone is the heap's work. (A heap writes its own notes over the beginning of
 * what is freed: the secret is in the middle and at the end too.)
 */
#include <pthread.h>
#include <stdlib.h>

#include "fill.h"
#include "row.h"

#define BLOCK 256
/* From a block that libc keeps in a list of its own to one that it would map. */
#define GROWN_FROM 64
#define GROWN_TO (512 * 1024)
#define LARGE 4096
/* More than a heap cuts from a page that others' blocks are in. */
#define PAGES (40 * 1024)
#define SLICE 240
#define SLICES 12

/* What was there before the section, and what outlives it. */
static uint8_t *ordinary;
static uint8_t *kept[3];
static volatile uint8_t *reused[SLICES];

static void *need(void *block)
{
	if (!block)
		row_die("malloc");
	return block;
}

static uint8_t *filled(size_t length, const uint8_t *secret)
{
	uint8_t *block = need(malloc(length));

	fill_memory(block, length, secret);
	return block;
}

static void allocate_before(void)
{
	ordinary = need(malloc(GROWN_FROM));
}

/* Its own; and one that is no secret memory, but has been written to. */
static void freed_inside(uint8_t *secret)
{
	free(filled(BLOCK, secret));
	fill_memory(ordinary, GROWN_FROM, secret);
	free(ordinary);
}

static void allocate(uint8_t *secret)
{
	kept[0] = filled(BLOCK, secret);
	kept[1] = filled(BLOCK, secret);
	kept[2] = filled(PAGES, secret);
}

static void *free_elsewhere(void *unused)
{
	free(kept[1]);
	free(kept[2]);
	return unused;
}

/* By the thread whose section it was, and by another. */
static void free_after(const struct row *row)
{
	pthread_t thread;

	row_run(row);
	free(kept[0]);
	if (pthread_create(&thread, NULL, free_elsewhere, NULL) ||
	    pthread_join(thread, NULL))
		row_die("a thread");
}

/*
 * Something that gets longer: there is always something behind the block, so it moves each
 * time. Where it ends up it is wiped, as far as the program knows.
 */
static void grow_from(uint8_t *block, const uint8_t *secret)
{
	uint8_t *behind[16];
	size_t length, moved = 0;

	fill_memory(block, GROWN_FROM, secret);
	for (length = 2 * GROWN_FROM; length <= GROWN_TO; length *= 2) {
		behind[moved++] = need(malloc(GROWN_FROM));
		block = need(realloc(block, length));
	}
	row_scrub(block, GROWN_TO);
	free(block);
	while (moved)
		free(behind[--moved]);
}

static void grow(uint8_t *secret)
{
	grow_from(need(realloc(NULL, GROWN_FROM)), secret);
	grow_from(ordinary, secret);
}

/*
 * A large block is freed and many small ones, and calloc() makes small ones of them, with
 * the secret's bytes under them and beside them. These live on: none may show what was
 * there, and what is beside them is still in the heap.
 */
static void reuse(uint8_t *secret)
{
	uint8_t *large = need(malloc(LARGE)), *small[SLICES];
	size_t i, j;

	for (i = 0; i + SLICE <= LARGE; i += SLICE)
		fill_memory(large + i, SLICE, secret);
	for (i = 0; i < SLICES; i++)
		small[i] = filled(SLICE, secret);
	free(large);
	while (i)
		free(small[--i]);
	for (i = 0; i < SLICES; i++) {
		reused[i] = need(calloc(SLICE / 8, 8));
		for (j = 0; j < SLICE; j++)
			if (reused[i][j])
				row_die("calloc() gave what is not zero");
	}
}

const struct row rows_heap[] = {
	{ .name = "heap freed inside",
	  .where = "heap",
	  .inside = freed_inside,
	  .before = allocate_before },
	{ .name = "heap freed outside",
	  .where = "heap",
	  .inside = allocate,
	  .around = free_after },
	{ .name = "realloc grown",
	  .where = "heap",
	  .inside = grow,
	  .before = allocate_before },
	{ .name = "calloc reuse", .where = "heap", .inside = reuse },
	{ .name = "never freed under SCOPED_HEAP",
	  .where = "heap",
	  .inside = allocate,
	  .options = { .flags = LETHE_SCOPED_HEAP } },
	{ .name = NULL },
};
