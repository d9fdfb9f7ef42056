/* SPDX-License-Identifier: MIT */
/*
 * Somewhere to swap to, for the time of a test: a disk of the virtual machine, or a file
 * beside the program. Gone when the test ends, whichever way but by SIGKILL.
 */
#ifndef LETHE_PROBES_SWAPPING_H
#define LETHE_PROBES_SWAPPING_H

#include <stdbool.h>
#include <sys/types.h>

#include "secrets.h"

/* NULL; or why there is nothing to swap to. @env names a disk, if it is set. */
const char *swapping_begin(const char *env, unsigned long pages);
void swapping_end(void);

/*
 * To be written to by direct I/O from *@offset on, SCRATCH pages: a file, or what swap
 * leaves of the disk. To be closed; -1 where there is none.
 */
#define SCRATCH 64
int swapping_scratch(off_t *offset);

/* Until all of them are in swap. False: some stay in memory. */
bool page_out(const struct pages *pages);
/* A line of /proc/vmstat. */
unsigned long long vmstat(const char *name);

#endif /* LETHE_PROBES_SWAPPING_H */
