// SPDX-License-Identifier: MIT
/*
 * Slices, and their medians. go/main.go does the same.
 */
#include "slices.h"

static double slice(void (*op)(void *), way how, const struct lethe_options *options,
		    unsigned int ops)
{
	uint64_t start;

	/* The first, uncounted, finds the caches as the other way left them. */
	how(op, options);
	start = now();
	for (unsigned int i = 0; i < ops; i++)
		how(op, options);
	return (double)(now() - start) / ops;
}

struct taken take(void (*op)(void *), way plain, way section,
		  const struct lethe_options *options, unsigned int nr, unsigned int ops)
{
	double plains[SLICES_MAX], sections[SLICES_MAX], differences[SLICES_MAX];

	for (unsigned int i = 0; i < nr; i++) {
		plains[i] = slice(op, plain, options, ops);
		sections[i] = slice(op, section, options, ops);
		differences[i] = sections[i] - plains[i];
	}
	return (struct taken){ middle_of(plains, nr), middle_of(sections, nr),
			       middle_of(differences, nr) };
}
