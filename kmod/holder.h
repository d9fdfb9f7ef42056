/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which process holds how much: see holder.c.
 */
#ifndef LETHE_HOLDER_H
#define LETHE_HOLDER_H

#include <linux/lethe.h>
#include <linux/sched.h>
#include <linux/types.h>

struct pid;

/**
 * struct lethe_maker - the process that made a region
 * @pid: it, also when it is gone
 * @command: its name then
 */
struct lethe_maker {
	struct pid *pid;
	char command[TASK_COMM_LEN];
};

/**
 * struct lethe_holding - what one process holds, or one region of it
 * @who: the process; nothing is there any more, and one is like another alone
 * @newest: the number of the region that @row.command is from
 * @row: for user space
 */
struct lethe_holding {
	const void *who;
	u64 newest;
	struct lethe_holder row;
};

void lethe_maker_init(struct lethe_maker *maker);
void lethe_maker_free(struct lethe_maker *maker);
void lethe_maker_holds(const struct lethe_maker *maker, u64 region, u64 bytes,
		       struct lethe_holding *holding);
u64 lethe_holders_merge(struct lethe_holding *holdings, u64 nr);

#endif /* LETHE_HOLDER_H */
