// SPDX-License-Identifier: MIT
/*
 * Reads a trace, and plays it on a heap. What is wrong with a trace is found as it is
 * read: the replay itself is measured.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../selftests/tap.h"
#include "lethe.h"
#include "trace.h"

#define PAGE 4096
#define STEPS_MAX (1 << 18)

static void lethe_put(void *block, size_t size)
{
	(void)size;
	lethe_free(block);
}

static void *lethe_get_zeroed(size_t size)
{
	return lethe_calloc(1, size);
}

static void *lethe_resize(void *block, size_t before, size_t size)
{
	(void)before;
	return lethe_realloc(block, size);
}

const struct replayer replay_lethe = {
	.name = "lethe",
	.get = lethe_malloc,
	.get_zeroed = lethe_get_zeroed,
	.get_aligned = lethe_aligned_alloc,
	.resize = lethe_resize,
	.put = lethe_put,
};

static void libc_put(void *block, size_t size)
{
	explicit_bzero(block, size);
	free(block);
}

static void *libc_get_zeroed(size_t size)
{
	return calloc(1, size);
}

/* As OPENSSL_clear_realloc(): realloc() itself may leave a copy behind. */
static void *libc_resize(void *block, size_t before, size_t size)
{
	void *fresh;

	if (size <= before) {
		explicit_bzero((char *)block + size, before - size);
		return block;
	}
	fresh = malloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, block, before);
	libc_put(block, before);
	return fresh;
}

const struct replayer replay_libc = {
	.name = "libc's with explicit_bzero()",
	.get = malloc,
	.get_zeroed = libc_get_zeroed,
	.get_aligned = aligned_alloc,
	.resize = libc_resize,
	.put = libc_put,
};

static bool read_step(const char *line, struct step *step)
{
	unsigned int thread;
	int n = sscanf(line, "%u%c%u %u %u", &thread, &step->kind, &step->block,
		       &step->size, &step->alignment);

	if (step->block >= TRACE_BLOCKS_MAX)
		return false;
	switch (step->kind) {
	case 'm':
	case 'c':
	case 'r':
		return n == 4;
	case 'a':
		return n == 5 && step->alignment &&
		       !(step->alignment & (step->alignment - 1));
	case 'f':
		return n == 3;
	}
	return false;
}

/* Is the block live where it has to be, and free where not? @sizes: plus one. */
static bool follow(struct step *step, uint32_t *sizes)
{
	uint32_t *size = &sizes[step->block];

	if (!*size != (step->kind != 'f' && step->kind != 'r'))
		return false;
	if (*size)
		step->before = *size - 1;
	*size = step->kind == 'f' ? 0 : step->size + 1;
	return true;
}

/* Twice, a pass must find what it found the first time: it leaves what stays alone. */
static void check_pass(struct trace *trace, uint32_t *sizes)
{
	const struct step *step;

	for (step = trace->steps; step < trace->steps + trace->nr; step++)
		if (step->block >= trace->blocks)
			trace->blocks = step->block + 1;
	for (step = trace->steps; step < trace->steps + trace->nr_stay; step++)
		sizes[step->block] = 0;
	for (uint32_t i = 0; i < trace->blocks; i++)
		if (sizes[i])
			tap_bail("block %u of the trace is never freed", i);

	for (step = trace->steps; step < trace->steps + trace->nr_stay; step++)
		sizes[step->block] = 1;
	for (; step < trace->steps + trace->nr; step++)
		if (sizes[step->block])
			tap_bail("block %u of the trace does not stay", step->block);
}

struct trace trace_read(const char *path)
{
	struct trace trace = { .steps = calloc(STEPS_MAX, sizeof(struct step)) };
	uint32_t *sizes = calloc(TRACE_BLOCKS_MAX, sizeof(*sizes));
	FILE *file = fopen(path, "r");
	char line[128];

	if (!file || !trace.steps || !sizes)
		tap_bail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		struct step *step = &trace.steps[trace.nr];

		if (line[0] == '#')
			continue;
		if (!strcmp(line, "pass\n") && !trace.nr_stay)
			trace.nr_stay = trace.nr;
		else if (trace.nr < STEPS_MAX && read_step(line, step) &&
			 follow(step, sizes) && (trace.nr_stay || step->kind != 'f'))
			trace.nr++;
		else
			tap_bail("%s: no step: %s", path, line);
	}
	if (!trace.nr_stay || trace.nr == trace.nr_stay)
		tap_bail("%s: no pass", path);
	check_pass(&trace, sizes);
	fclose(file);
	free(sizes);
	return trace;
}

static void touch(volatile char *block, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		block[at] = 1;
}

static void *play(const struct step *step, const struct replayer *heap, void *block)
{
	switch (step->kind) {
	case 'm':
		return heap->get(step->size);
	case 'c':
		return heap->get_zeroed(step->size);
	case 'a':
		return heap->get_aligned(step->alignment, step->size);
	case 'r':
		return heap->resize(block, step->before, step->size);
	default:
		heap->put(block, step->before);
		return NULL;
	}
}

void trace_replay(const struct trace *trace, const struct replayer *heap, void **blocks,
		  uint32_t from, uint32_t to)
{
	const struct step *step;
	void *block;

	for (step = &trace->steps[from]; step < &trace->steps[to]; step++) {
		block = play(step, heap, blocks[step->block]);
		blocks[step->block] = block;
		if (step->kind == 'f')
			continue;
		if (!block)
			tap_bail("%s: no block of %u: %s", heap->name, step->size,
				 strerror(errno));
		touch(block, step->size);
	}
}
