/* SPDX-License-Identifier: MIT */
/*
 * The row of a section, for vm_bench.
 */
#ifndef LETHE_BENCH_VM_SECTION_H
#define LETHE_BENCH_VM_SECTION_H

/* @door: the module's device. */
void bench_sections(int door);

#endif /* LETHE_BENCH_VM_SECTION_H */
