// SPDX-License-Identifier: GPL-2.0-only
/*
 * LETHE_IOC_WIPE: what is to be done, in which order, and by whom. How each part is
 * wiped is elsewhere, and so is who may be.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/lethe.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task_stack.h>

#include "errand.h"
#include "kstack.h"
#include "range.h"
#include "target.h"
#include "ustack.h"
#include "wipe.h"
#include "xsave.h"

#define WIPE_FLAGS	(LETHE_WIPE_RANGE | LETHE_WIPE_REGISTERS | \
			 LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK)

static int check_range(const struct lethe_wipe *args)
{
	if (!(args->flags & LETHE_WIPE_RANGE))
		return args->start || args->length ? -EINVAL : 0;
	if (!args->length || args->start + args->length < args->start)
		return -EINVAL;
	if (args->start + args->length > TASK_SIZE_MAX)
		return -EFAULT;
	return 0;
}

/**
 * lethe_wipe_check() - does it mean anything, and can it be done here?
 * @args: as the caller gave it
 *
 * Return: 0, or -errno as LETHE_IOC_WIPE has it.
 */
int lethe_wipe_check(const struct lethe_wipe *args)
{
	int err;

	if (!args->flags || args->flags & ~WIPE_FLAGS || args->reserved)
		return -EINVAL;
	err = check_range(args);
	if (err)
		return err;
	if (args->flags & LETHE_WIPE_REGISTERS && !lethe_xsave_known())
		return -EOPNOTSUPP;
	return 0;
}

static int wipe_stacks(struct lethe_job *job)
{
	struct lethe_extent extent;
	int err = 0;

	if (job->flags & LETHE_WIPE_DEAD_STACK) {
		err = lethe_ustack_dead(job->task, job->sp, &extent);
		if (!err)
			err = lethe_range_wipe(extent.start, extent.end,
					       &job->tally);
	}
	if (!err && job->flags & LETHE_WIPE_SIGSTACK) {
		err = lethe_ustack_signal(job->task, job->sp, &extent);
		if (!err)
			err = lethe_range_wipe(extent.start, extent.end,
					       &job->tally);
	}
	return err;
}

/* In current->mm, which is the task's. */
static int wipe_memory(struct lethe_job *job)
{
	int err = 0;

	if (job->flags & LETHE_WIPE_RANGE)
		err = lethe_range_wipe(job->start, job->end, &job->tally);
	return err ?: wipe_stacks(job);
}

/* The caller's own. Last, since whatever runs in the kernel may leave something. */
static void wipe_registers(void)
{
	lethe_xsave_wipe_stale();
	lethe_kstack_wipe();
}

/* By the task itself. */
static int wipe_own(struct lethe_job *job)
{
	int err;

	job->sp = user_stack_pointer(current_pt_regs());
	err = wipe_memory(job);
	if (!err && job->flags & LETHE_WIPE_REGISTERS)
		wipe_registers();
	return err;
}

/* By the thread itself, which the caller waits for. Killed, it is ending too. */
static int wipe_own_asked(struct lethe_job *job)
{
	int err = current->mm ? wipe_own(job) : -ESRCH;

	return err == -EINTR ? -ESRCH : err;
}

/* A thread's memory is the caller's; what else it has, only it can leave alone. */
static int wipe_thread(struct lethe_job *job, struct file *door)
{
	struct lethe_tally range = {};
	int err;

	if (job->flags & LETHE_WIPE_RANGE) {
		err = lethe_range_wipe(job->start, job->end, &job->tally);
		if (err)
			return err;
		range = job->tally;
		job->flags &= ~LETHE_WIPE_RANGE;
		job->tally = (struct lethe_tally){};
	}
	err = job->flags ?
	      lethe_errand_by_thread(job, wipe_own_asked, door) : 0;
	job->tally.wiped += range.wiped;
	job->tally.skipped += range.skipped;
	job->tally.dropped += range.dropped;
	return err;
}

static int wipe_kernel_stack(struct lethe_job *job)
{
	lethe_kstack_wipe();
	return 0;
}

static int wipe_tracee(struct lethe_job *job, struct file *door)
{
	struct mm_struct *mm;
	int err;

	err = lethe_target_tracee_sp(job->task, &job->sp);
	if (err)
		return err;
	mm = lethe_target_tracee_mm(job->task);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	err = lethe_errand_in(mm, job, wipe_memory);
	mmput(mm);
	if (err || !(job->flags & LETHE_WIPE_REGISTERS))
		return err;
	/* A SIGKILL could have it run there, in the kernel, at any moment. */
	err = lethe_errand_by_tracee(job, wipe_kernel_stack, door);
	if (!err)
		lethe_xsave_wipe_stopped(job->task);
	return err;
}

static int wipe_target(const struct lethe_target *target, struct lethe_job *job,
		       struct file *door)
{
	switch (target->relation) {
	case LETHE_ITSELF:
		return wipe_own(job);
	case LETHE_THREAD:
		return wipe_thread(job, door);
	case LETHE_TRACEE:
		return wipe_tracee(job, door);
	}
	return -ESRCH;
}

/**
 * lethe_wipe_run() - wipe what lethe_wipe_check() let pass
 * @args: what it returns is set, also when this fails
 * @door: the file that it was asked for by
 *
 * Return: 0, or -errno as LETHE_IOC_WIPE has it.
 */
int lethe_wipe_run(struct lethe_wipe *args, struct file *door)
{
	struct lethe_job job = {
		.flags = args->flags,
		.start = args->start,
		.end = args->start + args->length,
	};
	struct lethe_target target;
	int err;

	err = lethe_target_get(args->tid, &target);
	if (!err) {
		job.task = target.task;
		err = wipe_target(&target, &job, door);
		lethe_target_put(&target);
	}
	args->wiped = job.tally.wiped;
	args->skipped = job.tally.skipped;
	args->dropped = job.tally.dropped;
	return err;
}
