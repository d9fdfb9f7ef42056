/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * liblethe-run.so's part of malloc.c: what every program is given goes through
 * run_checked(), which says once why there is no more. Included where LETHE_ALL is
 * defined; the names below are malloc.c's calls.
 */
#ifndef LETHE_RUN_H
#define LETHE_RUN_H

#include "internal.h"

/* run.c: @block; before it, if it is NULL for want of memory, a line on stderr. */
COLD void *run_refused(size_t size);

static inline void *run_checked(void *block, size_t size)
{
	return likely(block) ? block : run_refused(size);
}

#define lethe_malloc(size) run_checked(lethe_malloc(size), size)
#define lethe_calloc(count, size) run_checked(lethe_calloc(count, size), (count) * (size))
#define lethe_realloc(block, size) run_checked(lethe_realloc(block, size), size)
#define lethe_aligned_alloc(alignment, size) \
	run_checked(lethe_aligned_alloc(alignment, size), size)

#endif /* LETHE_RUN_H */
