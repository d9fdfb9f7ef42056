/* SPDX-License-Identifier: MIT */
/*
 * A process in a section, to be attacked: its secret is on its secret stack, on the
 * secret heap, in a guarded buffer and in registers; and, for the control, in ordinary
 * memory and in a file in memory that is mapped. It attacks nothing.
 */
#ifndef TESTS_ATTACKED_H
#define TESTS_ATTACKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORDS 8
#define BYTES (WORDS * sizeof(uint64_t))
#define PAGE ((size_t)4096)
/* A user each: whoever runs this, the victim has no rights. */
#define VICTIM 65534
#define OTHER 65533
#define ROOT 0
#define SECONDS_AT_MOST 60

enum place { ORDINARY, STACK, HEAP, BUFFER, PLACES };

/*
 * What the victim, the attackers and the test tell each other. The secret, in a masked
 * form, so that it lies nowhere else.
 */
struct shared {
	volatile int inside;
	uint64_t masked[WORDS];
	uint64_t *at[PLACES];
	bool thread_reads;
	int told[2]; /* a pipe that the victim has, too */
	char outcome[256];
};

extern struct shared *shared;
extern pid_t victim;

/* Before all else. */
void attacked_open(void);
/* The calling process is @user's from here on, and can be traced. */
void become(uid_t user);
/* In a section, once it returns; where not @dumpable, by PR_SET_DUMPABLE. */
void victim_start(bool dumpable);
void victim_end(void);

#endif /* TESTS_ATTACKED_H */
