/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is to be wiped: see target.c.
 */
#ifndef LETHE_TARGET_H
#define LETHE_TARGET_H

#include <linux/types.h>

struct mm_struct;
struct task_struct;

/**
 * enum lethe_relation - what the caller has to do with a task
 * @LETHE_ITSELF: it is the caller
 * @LETHE_THREAD: another thread of the caller's process
 * @LETHE_TRACEE: traced by the caller, of another process, and stopped
 */
enum lethe_relation {
	LETHE_ITSELF,
	LETHE_THREAD,
	LETHE_TRACEE,
};

/**
 * struct lethe_target - a task that the caller may wipe
 * @relation: why
 * @task: that task, with a reference
 */
struct lethe_target {
	enum lethe_relation relation;
	struct task_struct *task;
};

int lethe_target_get(pid_t tid, struct lethe_target *target);
void lethe_target_put(struct lethe_target *target);
int lethe_target_tracee_sp(struct task_struct *task, unsigned long *sp);
struct mm_struct *lethe_target_tracee_mm(struct task_struct *task);

#endif /* LETHE_TARGET_H */
