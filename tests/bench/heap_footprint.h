/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of this process's memory, in bytes.
 */
#ifndef LETHE_BENCH_HEAP_FOOTPRINT_H
#define LETHE_BENCH_HEAP_FOOTPRINT_H

#include <stddef.h>

/* A line of /proc/self/status, such as "VmRSS:". */
size_t of_status(const char *name);
/* Secret pages: what lethe has of them, and whatever else is locked. */
size_t secret_bytes(void);

#endif /* LETHE_BENCH_HEAP_FOOTPRINT_H */
