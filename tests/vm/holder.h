/* SPDX-License-Identifier: MIT */
/*
 * A process that holds secrets and ordinary memory, sleeps, and is pressed until
 * nothing of it is left in memory that could leave.
 *
 *	region, memfd	secrets in a region of the module's, and in a memfd_secret:
 *			in each page, one copy at its start
 *	locked		the same in memory that is locked, and no more than that
 *	leaked		the same in memory that was locked when the set of secret frames
 *			was made, and then no more: what must not be, and can be seen
 *	decoy		in ordinary memory, half of it in huge pages
 *
 * It and its parent are in a memory cgroup of their own. Functions that can fail end
 * the test.
 */
#ifndef VM_HOLDER_H
#define VM_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../residue/needle.h"
#include "frames.h"

#define HOLDER_SECRETS 64 /* pages of each secret */
#define HOLDER_DECOYS 1024

enum {
	HOLDER_DECOY,
	HOLDER_REGION,
	HOLDER_MEMFD,
	HOLDER_LOCKED,
	HOLDER_LEAKED,
	HOLDER_NEEDLES
};

/**
 * struct holder - such a process
 * @pid: it
 * @needles: what is in its pages; as many as @nr_needles: without a leak, not that
 * @memfd_frames: numbers of the frames of its memfd_secret
 * @locked: where its locked memory is, which does not leave
 * @pages: of ordinary memory, that were there before it was pressed
 */
struct holder {
	pid_t pid;
	struct needle needles[HOLDER_NEEDLES];
	size_t nr_needles;
	uint64_t memfd_frames[HOLDER_SECRETS];
	uint64_t locked;
	size_t pages;
	int ask, tell; /* descriptors */
};

/* First of all in main(): into the cgroup, with all memory of this process. */
void holder_enter(char **argv);

/*
 * @random: pages of decoys cannot be compressed. @leak: with what is called leaked.
 * Its secrets are in @frames when this returns, and its decoys are marked.
 */
void holder_start(struct holder *holder, struct frames *frames, bool random, bool leak);

/* Presses until no page of its ordinary memory is left; how many are. */
size_t holder_press(const struct holder *holder);

void holder_end(struct holder *holder);

#endif /* VM_HOLDER_H */
