// SPDX-License-Identifier: MIT
/* Forks, waits, and reads what was said. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "tap.h"

#define NOBODY 65534
/* A child that hangs is a failure, and not the end of the whole run. */
#define SECONDS_AT_MOST 60

void child_begins(void)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	alarm(SECONDS_AT_MOST);
}

void run_child(int (*fn)(void *), void *arg, struct ended *ended)
{
	int stderr_file = memfd_create("stderr", MFD_CLOEXEC);
	ssize_t n;
	pid_t pid;

	memset(ended, 0, sizeof(*ended));
	pid = fork();
	if (pid < 0 || stderr_file < 0)
		tap_bail("no child: %s", strerror(errno));
	if (!pid) {
		child_begins();
		dup2(stderr_file, STDERR_FILENO);
		_exit(fn(arg));
	}
	while (waitpid(pid, &ended->status, 0) < 0 && errno == EINTR)
		;
	n = pread(stderr_file, ended->said, sizeof(ended->said) - 1, 0);
	ended->said[n > 0 ? n : 0] = 0;
	close(stderr_file);
}

bool exited_with(const struct ended *ended, int code)
{
	return WIFEXITED(ended->status) && WEXITSTATUS(ended->status) == code;
}

bool killed_by(const struct ended *ended, int signal)
{
	return WIFSIGNALED(ended->status) && WTERMSIG(ended->status) == signal;
}

const char *how_ended(const struct ended *ended)
{
	static char how[64];

	if (WIFEXITED(ended->status))
		snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(ended->status));
	else
		snprintf(how, sizeof(how), "SIG%s",
			 sigabbrev_np(WTERMSIG(ended->status)));
	return how;
}

unsigned int lines_with(const struct ended *ended, const char *text)
{
	char copy[sizeof(ended->said)], *line, *rest = copy;
	unsigned int lines = 0;

	memcpy(copy, ended->said, sizeof(copy));
	while ((line = strsep(&rest, "\n")))
		lines += strstr(line, text) != NULL;
	return lines;
}

void become_nobody(void)
{
	if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
		_exit(99);
}

void limit_to(int resource, size_t bytes)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = bytes;
	if (limit.rlim_max < bytes)
		limit.rlim_max = bytes;
	if (setrlimit(resource, &limit) == 0)
		return;
	getrlimit(resource, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}
