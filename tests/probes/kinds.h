/* SPDX-License-Identifier: MIT */
/*
 * Memory of each kind, secret and ordinary, for a process that is to be watched; and
 * the events that a probe tells of it, gathered. It judges nothing.
 */
#ifndef TESTS_KINDS_H
#define TESTS_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "event.h"

#define PAGE ((size_t)4096)

enum kind { ORDINARY, KMOD, MEMFD, LOCKED, KINDS };

extern const char *const kind_names[KINDS];
/* As frames.h has them; 0 of ordinary memory. */
extern const unsigned int kind_bits[KINDS];

/* Can this machine have it? */
bool kind_possible(enum kind kind);
/* @pages of it: at @at, if that is not NULL. Exits where that fails. */
void *kind_map(enum kind kind, void *at, size_t pages);

/*
 * What came out of a probe's ring buffer since gather_begin(): a program has one. All
 * that came is counted; of them the first are kept.
 */
void gather_open(int map_fd);
/* Throws away what there is. */
void gather_begin(void);
/* How many there are now. */
size_t gather(void);
/* How many of @what by @pid, by way @how; *@last is the last of them. */
size_t gathered_by(unsigned int what, pid_t pid, unsigned int how, struct event *last);

#endif /* TESTS_KINDS_H */
