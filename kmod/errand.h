/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A wipe that another task does: see errand.c.
 */
#ifndef LETHE_ERRAND_H
#define LETHE_ERRAND_H

#include <linux/types.h>

#include "range.h"

struct file;
struct mm_struct;
struct task_struct;

/**
 * struct lethe_job - what is to be wiped
 * @task: whose
 * @sp: its stack pointer in user space
 * @flags: LETHE_WIPE_*
 * @start: of the range, its first byte
 * @end: past its last
 * @tally: what was done
 */
struct lethe_job {
	struct task_struct *task;
	unsigned long sp;
	u32 flags;
	unsigned long start;
	unsigned long end;
	struct lethe_tally tally;
};

/* Does it, or a part of it. 0 or -errno. */
typedef int (*lethe_job_t)(struct lethe_job *job);

int lethe_errand_by_thread(struct lethe_job *job, lethe_job_t fn,
			   struct file *door);
int lethe_errand_by_tracee(struct lethe_job *job, lethe_job_t fn,
			   struct file *door);
int lethe_errand_in(struct mm_struct *mm, struct lethe_job *job,
		    lethe_job_t fn);

#endif /* LETHE_ERRAND_H */
