/* SPDX-License-Identifier: MIT */
/*
 * Somewhere to swap to, for the time of a test: a disk of the virtual machine, or a file
 * beside the program. Gone when the test ends, whichever way but by SIGKILL.
 */
#ifndef LETHE_PROBES_SWAPPING_H
#define LETHE_PROBES_SWAPPING_H

#include <stdbool.h>

#include "secrets.h"

/* NULL; or why there is nothing to swap to. @env names a disk, if it is set. */
const char *swapping_begin(const char *env, unsigned long pages);
void swapping_end(void);

/* Until all of them are in swap. False: some stay in memory. */
bool page_out(const struct pages *pages);
/* A line of /proc/vmstat. */
unsigned long long vmstat(const char *name);

#endif /* LETHE_PROBES_SWAPPING_H */
