/* SPDX-License-Identifier: MIT */
/*
 * A function under test that holds a secret on its stack and on its heap, lets go of
 * both without a wipe, and in between does what the test wants: plainly, or in a
 * section, in this process or in a child that comes to its end there. It searches for
 * nothing, and judges nothing.
 */
#ifndef RESIDUE_JOB_H
#define RESIDUE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "needle.h"

#define JOB_SECRET 64

/**
 * struct job - one such function
 * @needle: of its secret; what it leaves behind on purpose
 * @inside: called while it holds the secret
 * @arg: for @inside
 * @secret: the one on the stack, for @inside
 * @flags: of a section, LETHE_...
 * @pipe: tells the parent the needle
 * @good: it came so far
 */
struct job {
	struct needle needle;
	void (*inside)(struct job *);
	void *arg;
	const unsigned char *secret;
	unsigned int flags;
	int pipe;
	bool good;

	void *(*alloc)(size_t);
	void (*release)(void *);
};

void job_plainly(struct job *job);
void job_in_section(struct job *job);

/* A child in @inside; its needle comes out, the child may live on. */
pid_t job_start(void (*how)(struct job *), void (*inside)(struct job *),
		struct needle *needle);
/* In the child: says what is to be searched for. */
void job_tell(const struct job *job);

/* What a child may do inside: sleep, or exit(). */
void job_tell_and_wait(struct job *job);
void job_tell_and_exit(struct job *job);
/* Or sleep with the secret's first word in every register, and in no other place. */
void job_tell_and_wait_full(struct job *job);

/*
 * Fills every register, forgets where from, and sleeps in the kernel for so long, with
 * nothing in between that would spill or change a register.
 */
void job_sleep_full(uint64_t *secret, time_t seconds, long nanoseconds);

/* Blocked in the kernel: what it had in registers is in the kernel's memory. */
void job_wait_asleep(pid_t pid);
/* Gone when this returns, with all that the kernel frees of it. */
void job_kill(pid_t pid);

#endif /* RESIDUE_JOB_H */
