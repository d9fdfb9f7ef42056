/* SPDX-License-Identifier: MIT */
/*
 * Who is attacked, who attacks, and what the probe "access" told of it: for its
 * tests. It judges nothing.
 */
#ifndef TESTS_ACCESS_RUN_H
#define TESTS_ACCESS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "access.h"
#include "kinds.h"

/* An attack on [@address, @address + WORD) of @victim: what the call returned. */
#define WORD sizeof(uint64_t)
typedef long attack_fn(pid_t victim, uint64_t address);

/* Shared with the children. */
struct access_run {
	uint64_t ordinary, secret; /* the victim's: two pages that follow each other */
	volatile int ready;
	pid_t thread; /* one of the victim's */
	long result;  /* of the attack */
};

extern struct access_run *access_run;

/* Attaches the probe, or ends the program. Before tap_plan(). */
void access_begin(void);
void access_end(void);
struct access_counts access_now(void);
bool access_sees(const char *hook);
struct frames *access_frames(void);

/* A process with memory of @kind, that waits; known as a holder if that is secret. */
pid_t victim_start(enum kind kind);
void victim_end(pid_t victim);
/* What a victim does, where it is to be started otherwise. */
void victim_be(enum kind kind);

/* In a child, since nothing is told of this process. Returns which it was. */
pid_t attack(attack_fn *fn, pid_t victim, uint64_t address);
/* As that, by a process which has memory of @kind itself and is told its address. */
pid_t attack_own(attack_fn *fn, enum kind kind);

/* How many events there are by @attacker, all in all; and the one of way @how. */
size_t access_told(pid_t attacker);
bool access_told_one(pid_t attacker, enum access_way how, struct event *event);

#endif /* TESTS_ACCESS_RUN_H */
