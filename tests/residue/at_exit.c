// SPDX-License-Identifier: MIT
/*
 * A program, run and stopped as it ends: its last instruction is behind it, its
 * memory is not freed yet. It is not looked at before, nor told what happens to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

/* Goes on once it is traced. Its stdin is nobody's; it has ours for needles. */
static _Noreturn void become(char **argv, int go)
{
	int nothing = open("/dev/null", O_RDONLY);
	char c;

	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		close(nothing);
	}
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (read(go, &c, 1) == 1)
		execvp(*argv, argv);
	fprintf(stderr, "residue-search: %s: %s\n", *argv, strerror(errno));
	_exit(127);
}

/* Until its leader ends. What stops it on the way is its own affair, and given back. */
static int wait_for_exit(pid_t pid)
{
	int status, event, signal;

	for (;;) {
		if (waitpid(pid, &status, __WALL) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (!WIFSTOPPED(status))
			return -ESRCH;
		event = status >> 16;
		if (event == PTRACE_EVENT_EXIT)
			return 0;
		signal = event ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(long)signal) < 0)
			return -errno;
	}
}

static int trace(struct process *process, int go)
{
	if (ptrace(PTRACE_SEIZE, process->pid, NULL,
		   (void *)(long)(PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)) < 0)
		return -errno;
	return write(go, "x", 1) == 1 ? wait_for_exit(process->pid) : -errno;
}

int process_run_to_exit(struct process *process, char **argv, char *why, size_t room)
{
	int go[2], err = 0;

	*process = (struct process){ .memory = -1, .pagemap = -1 };
	process->threads = calloc(1, sizeof(*process->threads));
	if (!process->threads || pipe2(go, O_CLOEXEC) < 0) {
		snprintf(why, room, "%s", strerror(errno));
		return -errno;
	}
	process->pid = fork();
	if (!process->pid)
		become(argv, go[0]);
	close(go[0]);
	err = process->pid < 0 ? -errno : trace(process, go[1]);
	close(go[1]);
	if (!err) {
		process->nr_threads = 1;
		process->threads[0] = (struct thread){ .tid = process->pid,
						       .stopped = true };
		err = process_stopped(process);
	}
	if (err)
		snprintf(why, room, "%s was not met as it ended: %s", *argv,
			 err == -ESRCH ? "it was killed" : strerror(-err));
	return err;
}
