/* SPDX-License-Identifier: MIT */
/*
 * The observed thread, taken off its processor in the middle of a job with the secret
 * in all of its registers.
 */
#ifndef RESIDUE_PREEMPTED_H
#define RESIDUE_PREEMPTED_H

#include "kernel_copies.h"

/*
 * Has it do @job, which calls full_on_processor(), on the same processor as a thread
 * that never waits, until the kernel has every register of it; and then go on to the
 * job's end. Returns what the kernel had meanwhile.
 */
struct copies preempted(void (*job)(void));

#endif /* RESIDUE_PREEMPTED_H */
