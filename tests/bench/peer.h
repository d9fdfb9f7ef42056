/* SPDX-License-Identifier: MIT */
/*
 * Another program that measures its own, a case at a time, when asked: so it runs
 * beside us, never while we measure.
 */
#ifndef LETHE_BENCH_PEER_H
#define LETHE_BENCH_PEER_H

#include <stdio.h>
#include <sys/types.h>

#include "slices.h"

/**
 * struct peer - such a program
 * @child: its process
 * @to: what asks it
 * @from: what it answers
 * @missing: why it is not there; NULL if it is
 */
struct peer {
	pid_t child;
	FILE *to, *from;
	const char *missing;
};

/* A child that does @serve, its standard input and output at our end. */
struct peer peer_fork(void (*serve)(const void *arg), const void *arg);
/* @program; if it is not there, what is in the file @why says why. */
struct peer peer_start(const char *program, const char *why);
/* @kib: of stack to do it on; 0: as it comes. The rest as take() has it. */
struct taken peer_ask(struct peer *peer, const char *name, unsigned int kib,
		      unsigned int nr, unsigned int ops);
/* Waits for its end; bails if that was not a good one. */
void peer_end(struct peer *peer);

#endif /* LETHE_BENCH_PEER_H */
