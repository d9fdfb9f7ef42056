/* SPDX-License-Identifier: MIT */
/*
 * A task that leaves a secret somewhere and comes to rest, and who has the kernel
 * wipe it: itself, another thread of its process, or its tracer. It searches for
 * nothing, and judges nothing.
 */
#ifndef RESIDUE_TARGET_H
#define RESIDUE_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum target_whose {
	TARGET_CALLER,
	TARGET_THREAD,   /* another one of the process, asleep in the kernel */
	TARGET_SPINNING, /* another one, which makes no system call */
	TARGET_TRACEE,
	NR_TARGETS,
};

/* For the sentence of a result. */
extern const char *const target_names[NR_TARGETS];

/* Seen by the target and by who started it. */
struct target_shared {
	uint64_t start, length; /* for LETHE_WIPE_RANGE: @leave says so */
	volatile int tid;
	volatile int left, done;
	volatile int err;
};
extern struct target_shared *target_shared;

/* First of all: the device, or -errno. */
int target_open(void);

/*
 * A child, in which @leave is called on a CPU of its own, CPU 1, with the pipe to
 * tell needles by. Returns once what @leave ran in has come to rest and LETHE_IOC_WIPE
 * was called with @flags; without any, the same but for the call. The caller's own
 * CPU should be another.
 */
pid_t target_start(enum target_whose whose, void (*leave)(int to), uint32_t flags,
		   int *needles);
void target_end(pid_t pid);

/* What @leave is made of: random bytes, and a needle of them; or the child ends. */
void target_random(void *p, size_t n);
void target_tell(int to, const char *name, const void *secret, size_t n);

void target_pin(int cpu);

#endif /* RESIDUE_TARGET_H */
