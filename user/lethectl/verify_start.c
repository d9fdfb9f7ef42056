// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The program, started: traced before its first instruction, and ended by the kernel
 * should this one end before it. It has its own stdin, stdout and stderr, and never the
 * secret's descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethectl.h"
#include "output.h"
#include "verify.h"

#define OPTIONS                                                               \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |       \
	 PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_TRACEEXIT)

static int cannot(const char *name, int err)
{
	output_error("%s: not run: %s", name, strerror(err));
	return err == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

static _Noreturn void child(const struct verify *verify, const char *file, int go,
			    int failure)
{
	struct rlimit core;
	sigset_t none;
	char byte;
	int err;

	/* We are out of others' reach since we read the secret, of which it has nothing. */
	prctl(PR_SET_DUMPABLE, 1);
	/* Until it is traced. Where nobody comes to that, it is over. */
	if (write(go, "", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(RUN_REFUSED);
	if (verify->asked.secret_fd >= 0)
		close(verify->asked.secret_fd);
	dup2(verify->program_stdout, STDOUT_FILENO);
	if (verify->asked.core && !getrlimit(RLIMIT_CORE, &core)) {
		core.rlim_cur = core.rlim_max;
		setrlimit(RLIMIT_CORE, &core);
	}
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(file, verify->asked.program);
	err = errno;
	if (write(failure, &err, sizeof(err)) != sizeof(err))
		_exit(RUN_REFUSED);
	_exit(RUN_NOT_EXECUTABLE);
}

int verify_start(struct verify *verify)
{
	static struct program program;
	const char *name = verify->asked.program[0];
	int go[2], failure[2], err;
	struct tracee *tracee;
	char byte;
	pid_t pid;

	err = program_look(&program, name);
	if (err)
		return cannot(name, -err);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) ||
	    pipe2(failure, O_CLOEXEC)) {
		output_error("%s: not run: %s", name, strerror(errno));
		return RUN_REFUSED;
	}
	pid = fork();
	if (!pid) {
		close(go[1]);
		child(verify, program.file, go[0], failure[1]);
	}
	close(go[0]);
	close(failure[1]);
	verify->failure = failure[0];
	if (pid < 0 || read(go[1], &byte, 1) != 1 ||
	    ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)OPTIONS) < 0) {
		err = errno;
		close(go[1]);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		output_error(
			"%s: not run: it cannot be traced: %s%s", name, strerror(err),
			err == EPERM ?
				". Is this traced itself, or is /proc/sys/kernel/yama/ptrace_scope 3?" :
				"");
		return RUN_REFUSED;
	}
	verify->root = process_new(verify, pid, getpid());
	verify->root->marks = marks_new();
	tracee = tracee_new(verify, pid);
	tracee_of(tracee, verify->root);
	if (write(go[1], "", 1) != 1)
		err = errno;
	close(go[1]);
	return 0;
}

int verify_start_failed(struct verify *verify)
{
	int err = 0;

	if (read(verify->failure, &err, sizeof(err)) == sizeof(err))
		return cannot(verify->asked.program[0], err);
	output_error("%s: not run: it was ended before it began",
		     verify->asked.program[0]);
	return RUN_REFUSED;
}
