/* SPDX-License-Identifier: MIT */
/*
 * A process that gives a buffer away, and what the probe "leaving" told of it: for its
 * tests. It judges nothing.
 */
#ifndef TESTS_LEAVING_RUN_H
#define TESTS_LEAVING_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kinds.h"
#include "leaving.h"

/* As much as is given, where a test does not say otherwise. */
#define GIVEN ((size_t)100)

typedef ssize_t give_fn(void *at, size_t length);

/* Shared with a child: where its buffer is, how often it called, how that went. */
struct leaving_run {
	uint64_t address;
	size_t calls;
	int error;
};

extern struct leaving_run *leaving_run;

/* Attaches the probe, or ends the program. Before tap_plan(). */
void leaving_begin(void);
void leaving_end(void);
struct leaving_counts leaving_now(void);

/*
 * Gives [@offset, @offset + @length) of three pages, the middle one of them of @kind,
 * in a child, since nothing is told of this process. Returns which it was.
 */
pid_t leaving_in_child(give_fn *give, enum kind kind, size_t offset, size_t length);

/* One event of one process, which is all as it has to be. */
bool leaving_told_once(pid_t pid, enum leaving_way how, enum kind kind,
		       struct event *event);
size_t leaving_told(pid_t pid);

int null_file(void);

#endif /* TESTS_LEAVING_RUN_H */
