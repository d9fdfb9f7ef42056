// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that another task does than the one that asks for it: by the task that it is
 * about, on its way back to its program, where it cannot be changing what is worked
 * on; or by a worker of the kernel's, in the memory of a task that is stopped. It
 * decides nothing about who may ask.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/jobctl.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/workqueue.h>

#include "errand.h"

/* For a thread to come by: long for one that can, short for one that cannot. */
#define COME_BY		(HZ / 10)
/* For one that has come to be done, unless a page of it makes it wait. */
#define BE_DONE		(2 * HZ)

enum progress {
	WAITING,
	BEGUN,
	CALLED_OFF,
};

/**
 * struct errand - a job, on its way
 * @work: the task's
 * @users: who asked, as long as it waits, and the task until it is done
 * @progress: whoever changes it from WAITING decides
 * @door: keeps the module while a task still has to call it
 * @job: a copy, since who asked may be gone
 * @fn: does it
 * @err: how it went
 * @done: whether
 */
struct errand {
	struct callback_head work;
	refcount_t users;
	atomic_t progress;
	struct file *door;
	struct lethe_job job;
	lethe_job_t fn;
	int err;
	struct completion done;
};

static void put_errand(struct errand *errand)
{
	if (refcount_dec_and_test(&errand->users))
		kfree(errand);
}

static bool change_progress(struct errand *errand, enum progress to)
{
	return atomic_cmpxchg(&errand->progress, WAITING, to) == WAITING;
}

/* In the task: on its way to its program, or, without memory, to its end. */
static void arrive(struct callback_head *work)
{
	struct errand *errand = container_of(work, struct errand, work);
	struct file *door = errand->door;

	if (change_progress(errand, BEGUN)) {
		errand->err = errand->fn(&errand->job);
		complete(&errand->done);
	}
	put_errand(errand);
	/*
	 * If this is the last of it, the module is given up by other work of this
	 * task's: after the return from here.
	 */
	fput(door);
}

/* Sends it off; with a user more, if somebody is to wait for it. */
static struct errand *send(struct lethe_job *job, lethe_job_t fn,
			   struct file *door, int users,
			   enum task_work_notify_mode notify)
{
	struct errand *errand = kzalloc(sizeof(*errand), GFP_KERNEL_ACCOUNT);

	if (!errand)
		return ERR_PTR(-ENOMEM);
	init_task_work(&errand->work, arrive);
	refcount_set(&errand->users, users);
	atomic_set(&errand->progress, WAITING);
	init_completion(&errand->done);
	errand->door = get_file(door);
	errand->job = *job;
	errand->fn = fn;
	if (!task_work_add(job->task, &errand->work, notify))
		return errand;

	/* It is ending. */
	fput(door);
	kfree(errand);
	return ERR_PTR(-ESRCH);
}

/**
 * lethe_errand_by_thread() - have a thread do it itself, and wait
 * @job: @task is not the caller; @tally is set, unless the thread is not done in time
 * @fn: what it is to do, in the thread; current->mm is NULL if that is ending
 * @door: an open file of the module
 *
 * Return: what @fn does, -EAGAIN if the thread did not come by or is not done yet,
 * -ESRCH if it ends, -EINTR if the caller was killed, or -ENOMEM.
 */
int lethe_errand_by_thread(struct lethe_job *job, lethe_job_t fn,
			   struct file *door)
{
	struct errand *errand;
	long left;
	int err;

	/* It would stay there until that is over. */
	if (task_is_stopped_or_traced(job->task))
		return -EAGAIN;
	errand = send(job, fn, door, 2, TWA_SIGNAL);
	if (IS_ERR(errand))
		return PTR_ERR(errand);

	left = wait_for_completion_killable_timeout(&errand->done, COME_BY);
	if (left <= 0 && !change_progress(errand, CALLED_OFF) && !left)
		left = wait_for_completion_killable_timeout(&errand->done,
							    BE_DONE);
	if (left > 0) {
		job->tally = errand->job.tally;
		err = errand->err;
	} else {
		err = left ? -EINTR : -EAGAIN;
	}
	put_errand(errand);
	return err;
}

/**
 * lethe_errand_by_tracee() - have a stopped task do it as it goes on
 * @job: @task is that
 * @fn: what it is to do, before its program does anything, or before it ends
 * @door: an open file of the module
 *
 * Return: 0, -ESRCH if it is ending, or -ENOMEM.
 */
int lethe_errand_by_tracee(struct lethe_job *job, lethe_job_t fn,
			   struct file *door)
{
	struct errand *errand = send(job, fn, door, 1, TWA_RESUME);

	return PTR_ERR_OR_ZERO(errand);
}

/**
 * struct visit - a job in another's memory
 * @work: the worker's
 * @mm: that memory
 * @job: the caller's
 * @fn: does it
 * @err: how it went
 * @done: whether
 */
struct visit {
	struct work_struct work;
	struct mm_struct *mm;
	struct lethe_job *job;
	lethe_job_t fn;
	int err;
	struct completion done;
};

static void pay_visit(struct work_struct *work)
{
	struct visit *visit = container_of(work, struct visit, work);

	kthread_use_mm(visit->mm);
	visit->err = visit->fn(visit->job);
	kthread_unuse_mm(visit->mm);
	complete(&visit->done);
}

/**
 * lethe_errand_in() - do it where other memory is current->mm
 * @mm: that
 * @job: @tally is set
 * @fn: what is to be done
 *
 * Does not return before it is over: the task whose memory it is could go on then.
 *
 * Return: what @fn does, or -EINTR if the caller was killed.
 */
int lethe_errand_in(struct mm_struct *mm, struct lethe_job *job,
		    lethe_job_t fn)
{
	struct visit visit = { .mm = mm, .job = job, .fn = fn };

	init_completion(&visit.done);
	INIT_WORK_ONSTACK(&visit.work, pay_visit);
	queue_work(lethe_unbound_wq, &visit.work);
	if (wait_for_completion_killable(&visit.done))
		WRITE_ONCE(job->tally.stop, true);
	/* Until it has returned: the module may be gone soon after us. */
	flush_work(&visit.work);
	destroy_work_on_stack(&visit.work);
	return visit.err;
}
