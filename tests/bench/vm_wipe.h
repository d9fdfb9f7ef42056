/* SPDX-License-Identifier: MIT */
/*
 * The rows of the wipe call, for vm_bench.
 */
#ifndef LETHE_BENCH_VM_WIPE_H
#define LETHE_BENCH_VM_WIPE_H

/* @door: the module's device. */
void bench_wipes(int door);

#endif /* LETHE_BENCH_VM_WIPE_H */
