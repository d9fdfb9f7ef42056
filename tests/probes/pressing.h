/* SPDX-License-Identifier: MIT */
/*
 * Memory pressure in a memory cgroup of its own, on a process that has secret pages of
 * every backend: it has less memory than it touches, so that whatever can leave leaves.
 */
#ifndef LETHE_PROBES_PRESSING_H
#define LETHE_PROBES_PRESSING_H

/* Pages that are touched, of which a quarter may stay. */
#define PRESSURE 8192

/**
 * struct pressed - what became of the secret pages
 * @secrets: how many there were
 * @kept: of them, that are in memory, on the frame that they had
 */
struct pressed {
	unsigned int secrets, kept;
};

/* @nr pages of each backend that there is. NULL; or why it cannot be done here. */
const char *press(struct pressed *pressed, unsigned int nr);

#endif /* LETHE_PROBES_PRESSING_H */
