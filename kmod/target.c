// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may be wiped: nobody whom the caller could not write to already. A thread of
 * its own process, which shares all of its memory; or a task that it traces and has
 * stopped, to which ptrace(2) gives it everything: the kernel's checks and those of
 * its security modules were passed as it attached. Nothing is decided here by who
 * owns what: no user ID is compared, and no tid tells anything about others.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/thread_info.h>
#include <linux/user_namespace.h>

#include "target.h"

/*
 * Only the tracer itself, the one thread of it, makes this true or false while it is
 * the caller: so what is found here holds for as long as its call lasts.
 */
static bool traced_by_caller(const struct task_struct *task)
{
	return READ_ONCE(task->ptrace) &&
	       rcu_access_pointer(task->parent) == current;
}

/*
 * As ptrace(2) itself demands it of a tracee. A SIGKILL may end that at any time,
 * and then the task ends too, without another instruction of its program.
 */
static bool stopped(struct task_struct *task)
{
	return task_is_traced(task) &&
	       !(READ_ONCE(task->jobctl) & JOBCTL_LISTENING);
}

/**
 * lethe_target_get() - whose is this tid, for the caller?
 * @tid: as the caller sees it; 0 is itself
 * @target: set on success, to be given to lethe_target_put()
 *
 * Return: 0, -ESRCH if it is nobody whom the caller may wipe, nobody at all, a tracee
 * that has ended, or a thread that the kernel made for itself in a process
 * (io_uring's, vhost's), or -EAGAIN if it is a tracee that is not stopped.
 */
int lethe_target_get(pid_t tid, struct lethe_target *target)
{
	struct task_struct *task;
	int err = 0;

	rcu_read_lock();
	task = tid ? pid_task(find_vpid(tid), PIDTYPE_PID) : current;
	if (!task || task->flags & LETHE_PF_NO_PROGRAM)
		err = -ESRCH;
	else if (task == current)
		target->relation = LETHE_ITSELF;
	else if (same_thread_group(task, current))
		target->relation = LETHE_THREAD;
	else if (!traced_by_caller(task) || READ_ONCE(task->exit_state))
		err = -ESRCH;
	else if (!stopped(task))
		err = -EAGAIN;
	else
		target->relation = LETHE_TRACEE;
	if (!err)
		target->task = get_task_struct(task);
	rcu_read_unlock();
	return err;
}

/**
 * lethe_target_put() - done with it
 * @target: as lethe_target_get() set it
 */
void lethe_target_put(struct lethe_target *target)
{
	put_task_struct(target->task);
}

/**
 * lethe_target_tracee_sp() - where a stopped tracee's program has its stack
 * @task: which the caller traces
 * @sp: set to its stack pointer
 *
 * Return: 0, or -ESRCH if it was killed and is perhaps gone, kernel stack and all.
 */
int lethe_target_tracee_sp(struct task_struct *task, unsigned long *sp)
{
	struct pt_regs *regs;
	void *stack;
	int err = -ESRCH;

	/* A task's kernel stack is freed, or another's, a grace period later. */
	rcu_read_lock();
	stack = READ_ONCE(task->stack);
	if (stack) {
		regs = (struct pt_regs *)(stack + THREAD_SIZE -
					  TOP_OF_KERNEL_STACK_PADDING) - 1;
		*sp = user_stack_pointer(regs);
		/* What was read is its own if it is stopped still. */
		smp_rmb();
		if (stopped(task))
			err = 0;
	}
	rcu_read_unlock();
	return err;
}

/**
 * lethe_target_tracee_mm() - the memory of a stopped tracee
 * @task: which the caller traces
 *
 * A task that has become undumpable since it was attached to, by execve() of a
 * program that its user may not read perhaps, is not to be written to by a tracer
 * without CAP_SYS_PTRACE: so ptrace(2) has it too.
 *
 * Return: it, for mmput(); an error pointer of -ESRCH if there is none, or none for
 * the caller.
 */
struct mm_struct *lethe_target_tracee_mm(struct task_struct *task)
{
	struct mm_struct *mm = get_task_mm(task);
	struct user_namespace *guard;
	bool allowed;

	if (!mm)
		return ERR_PTR(-ESRCH);
	guard = lethe_undumpable(task, mm);
	allowed = !guard || ns_capable(guard, CAP_SYS_PTRACE);
	if (guard)
		put_user_ns(guard);
	if (allowed)
		return mm;
	mmput(mm);
	return ERR_PTR(-ESRCH);
}
