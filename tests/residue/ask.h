/* SPDX-License-Identifier: MIT */
/*
 * Having another process searched: residue-search is run, and what it says is read.
 */
#ifndef RESIDUE_ASK_H
#define RESIDUE_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "needle.h"
#include "where.h"

#define ASK_NEEDLES 16
#define ASK_UNREADABLE 16

struct unreadable {
	char name[64];
	uint64_t bytes;
};

/* By the number of the needle, as they were given. */
struct answer {
	uint64_t copies[ASK_NEEDLES][NR_WHERE], whole[ASK_NEEDLES];
	struct unreadable unreadable[ASK_UNREADABLE];
	unsigned int nr_unreadable;
	uint64_t bytes;
};

/*
 * 0 and all that was found in @pid; or -1 and in @why a sentence: then nothing is known.
 * What residue-search complains of goes to stderr.
 */
int ask_searcher(pid_t pid, const struct needle *needles, unsigned int nr,
		 struct answer *answer, char *why, size_t room);
/* To what there is of such a name. 0; -1: there is no room for more. */
int unreadable_add(struct unreadable *all, unsigned int *nr, const char *name,
		   uint64_t bytes);

#endif /* RESIDUE_ASK_H */
