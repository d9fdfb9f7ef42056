// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/lethe by io_uring: IORING_OP_URING_CMD with the codes of ioctl(2), done at
 * once, on the task that submits it. It keeps no command for later, and never runs
 * one on a thread that only stands in for that task: its registers, and its stack,
 * are others.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/lethe.h>
#include <linux/sched.h>

#include "device.h"
#include "uring.h"

/*
 * Threads that io_uring makes (the one that polls a queue, and those that work
 * requests off) have the submitter's memory, and nothing else of it. A kernel
 * thread runs what is left of a ring that is gone.
 */
#define NOT_THE_SUBMITTER	(PF_IO_WORKER | PF_KTHREAD | PF_EXITING)

/**
 * lethe_uring_cmd() - do what a command says, or refuse it
 * @cmd: of a descriptor of the device
 * @issue_flags: how io_uring came here
 *
 * The ring's lock may be held: nothing in here waits for another task. The same
 * for 32-bit programs, whose addresses are extended already.
 *
 * Return: 0, or -errno, or -EIOCBQUEUED where the result was handed over already.
 */
int lethe_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const struct lethe_uring_cmd *payload = lethe_uring_payload(cmd);
	u64 args = READ_ONCE(payload->args);
	long result;

	if (current->flags & NOT_THE_SUBMITTER)
		return -EOPNOTSUPP;
	if (READ_ONCE(payload->reserved))
		return -EINVAL;

	result = lethe_device_call(cmd->file, cmd->cmd_op,
				   u64_to_user_ptr(args), false);
	/*
	 * Some kernels take a positive number for a failure, and cancel what is
	 * linked behind it; EAGAIN makes each of them try again, on a worker.
	 */
	if (result > 0 || result == -EAGAIN) {
		lethe_uring_done(cmd, result, issue_flags);
		return -EIOCBQUEUED;
	}
	return result;
}
