/* SPDX-License-Identifier: MIT */
/*
 * The rows of io_uring, for vm_bench.
 */
#ifndef LETHE_BENCH_VM_URING_H
#define LETHE_BENCH_VM_URING_H

/* @door: the module's device. */
void bench_uring(int door);

#endif /* LETHE_BENCH_VM_URING_H */
