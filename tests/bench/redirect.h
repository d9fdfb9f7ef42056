/* SPDX-License-Identifier: MIT */
/* The rows of liblethe-malloc outside of sections, beside libc's own malloc(). */
#ifndef LETHE_BENCH_REDIRECT_H
#define LETHE_BENCH_REDIRECT_H

void measure_redirect(unsigned int round, unsigned int slices);
void print_redirect(void);

#endif /* LETHE_BENCH_REDIRECT_H */
