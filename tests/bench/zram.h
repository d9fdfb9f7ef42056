/* SPDX-License-Identifier: MIT */
/*
 * A zram device of one's own as swap, the fastest there is: made for this program, and
 * gone at its end however that comes about, SIGKILL alone excepted.
 */
#ifndef LETHE_BENCH_ZRAM_H
#define LETHE_BENCH_ZRAM_H

#include <stddef.h>

/* Bytes. NULL, or why there can be none. */
const char *zram_on(size_t length);
void zram_off(void);

#endif /* LETHE_BENCH_ZRAM_H */
