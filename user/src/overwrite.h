/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What overwrite.c, its assembler and its tests agree on; kernel_overwrite() itself
 * is internal.h's.
 */
#ifndef LETHE_OVERWRITE_H
#define LETHE_OVERWRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

/*
 * Are all of these components of the processor's state among those that are written
 * over? Numbered as in XCR0. @vectors is of VECTORS_SSE and so on.
 */
bool overwrite_knows(uint64_t components, int vectors);

/*
 * overwrite_x86_64.S: one attempt. 0 or -errno. It was none unless @after counts
 * more switches than @before. All registers are erased when it returns.
 */
int overwrite_attempt(struct rusage *before, struct rusage *after,
		      const struct timespec *sleep);

#endif /* LETHE_OVERWRITE_H */
