/* SPDX-License-Identifier: MIT */
/* The rows of guarded buffers beside libsodium's, for bench. */
#ifndef LETHE_BENCH_BUFFER_H
#define LETHE_BENCH_BUFFER_H

/* @slices: of each row at most. */
void measure_buffers(unsigned int round, unsigned int slices);
void print_buffers(void);

#endif /* LETHE_BENCH_BUFFER_H */
