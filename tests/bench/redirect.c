// SPDX-License-Identifier: MIT
/*
 * What liblethe-malloc costs whoever is in no section: malloc() and free() by the names
 * that the program has, and libc's by the names that libc has for them too, one after
 * the other in slices. Both are called alike, by an address that no compiler knows.
 */
#include "redirect.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "series.h"

#define PAIRS 1000
#define SLICES_MOST 255
#define GOAL_NS 2

void *__libc_malloc(size_t size);
void __libc_free(void *block);

struct allocator {
	void *(*allocate)(size_t size);
	void (*release)(void *block);
};

static const struct allocator program = { malloc, free };
static const struct allocator libc = { __libc_malloc, __libc_free };

static struct sizes {
	const char *name;
	size_t size;
	struct series ours, libcs, added;
} sizes[] = {
	{ .name = "malloc + free of 32 B outside of sections", .size = 32 },
	{ .name = "malloc + free of 4 KiB outside of sections", .size = 4096 },
};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Nanoseconds a pair. */
static double slice(const struct allocator *allocator, size_t size)
{
	void *(*allocate)(size_t) = allocator->allocate;
	void (*release)(void *) = allocator->release;
	uint64_t begun;
	int i;

	__asm__ volatile("" : "+r"(allocate), "+r"(release));
	begun = now();
	for (i = 0; i < PAIRS; i++)
		release(allocate(size));
	return (double)(now() - begun) / PAIRS;
}

static void measure(struct sizes *s, unsigned int round, unsigned int slices)
{
	double ours[SLICES_MOST], libcs[SLICES_MOST], added[SLICES_MOST];
	unsigned int i;

	if (slices > SLICES_MOST)
		slices = SLICES_MOST;
	for (i = 0; i < slices; i++) {
		ours[i] = slice(&program, s->size);
		libcs[i] = slice(&libc, s->size);
		added[i] = ours[i] - libcs[i];
	}
	s->ours.at[round] = middle_of(ours, slices);
	s->libcs.at[round] = middle_of(libcs, slices);
	s->added.at[round] = middle_of(added, slices);
}

void measure_redirect(unsigned int round, unsigned int slices)
{
	size_t i;

	for (i = 0; i < SIZES; i++)
		measure(&sizes[i], round, slices);
}

void print_redirect(void)
{
	char name[100], goal[16];
	size_t i;

	snprintf(goal, sizeof(goal), "<= %d ns", GOAL_NS);

	for (i = 0; i < SIZES; i++) {
		const struct sizes *s = &sizes[i];

		row(s->name, "ns", &s->ours, &s->libcs, "libc's own",
		    median(&s->ours) / median(&s->libcs), "-", "-");
		snprintf(name, sizeof(name), "%s adds", s->name);
		row_alone(name, "ns", &s->added, "the same pairs", goal,
			  median(&s->added) <= GOAL_NS ? "yes" : "no");
	}
}
