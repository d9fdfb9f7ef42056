/* SPDX-License-Identifier: MIT */
/*
 * A test in a process of its own: for what ends a process, and for what a process
 * does once only. What it says on stderr is kept, to be judged.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ended {
	int status;      /* as waitpid() has it */
	char said[1024]; /* on stderr */
};

/* Runs @fn(@arg) in a fork's child, which exits with what it returns. */
void run_child(int (*fn)(void *), void *arg, struct ended *ended);
/* The first thing that a child does which some other fork made. */
void child_begins(void);

bool exited_with(const struct ended *ended, int code);
bool killed_by(const struct ended *ended, int signal);
/* For the sentence of a result. */
const char *how_ended(const struct ended *ended);
/* Lines of stderr that contain the text. */
unsigned int lines_with(const struct ended *ended, const char *text);

/* Gives up root's freedom from limits, if there is any. */
void become_nobody(void);
/* The soft limit; what can be had of it, if it cannot be raised so far. */
void limit_to(int resource, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* TESTS_CHILD_H */
