/* SPDX-License-Identifier: MIT */
/*
 * What an operation takes plainly, in a section, and more in a section than
 * plainly: in slices of some microseconds that alternate, so that whatever else the
 * machine does falls on both.
 */
#ifndef LETHE_BENCH_SLICES_H
#define LETHE_BENCH_SLICES_H

#include "lethe.h"
#include "series.h"

#define SLICES_MAX 255

/* All in nanoseconds an operation. */
struct taken {
	double plain, section, added;
};

/* How an operation is run in a section of its own. */
typedef void (*way)(void (*op)(void *), const struct lethe_options *options);

/* The medians of @nr slices of each, @ops operations in a slice. */
struct taken take(void (*op)(void *), way plain, way section,
		  const struct lethe_options *options, unsigned int nr, unsigned int ops);

#endif /* LETHE_BENCH_SLICES_H */
