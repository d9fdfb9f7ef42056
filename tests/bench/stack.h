/* SPDX-License-Identifier: MIT */
/*
 * The rows of lethe_wipe_stack() beside memset(), for bench and vm_bench: by the
 * module where that is, else from user space.
 */
#ifndef LETHE_BENCH_STACK_H
#define LETHE_BENCH_STACK_H

void measure_stacks(unsigned int round);
void print_stacks(void);

#endif /* LETHE_BENCH_STACK_H */
