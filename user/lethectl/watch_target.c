// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Whom --pid means: a process that lives, has memory of its own, and may be looked
 * into by who asks. Else it says which of these is not so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lethectl.h"
#include "watch.h"

/* The first pid namespace, whose numbers the probes tell: fixed by the kernel. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCU
#define PF_KTHREAD 0x00200000U

/* state and flags of /proc/pid/stat; the command before them may have anything in it. */
static bool read_stat(pid_t pid, char *state, unsigned int *flags)
{
	char path[64], text[1024], *end;
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %c %*d %*d %*d %*d %*d %u", state, flags) == 2;
}

/* May it be looked into? As much as the set of secret frames takes. */
static int may_look(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static const char *why_not(pid_t pid)
{
	unsigned int flags = 0;
	char state = 0;
	int err;

	if (!read_stat(pid, &state, &flags))
		return "no such process: it is gone";
	if (flags & PF_KTHREAD)
		return "is a kernel thread, which has no pages of its own";
	if (state == 'Z' || state == 'X')
		return "has ended already";
	err = may_look(pid);
	if (err == -ESRCH || err == -ENOENT)
		return "no such process: it is gone";
	if (err)
		return "is another user's process: be root, or its user with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE";
	return NULL;
}

int watch_target(pid_t pid)
{
	const char *why;
	struct stat st;
	int fd, err;

	if (stat("/proc/self/ns/pid", &st) < 0 || st.st_ino != FIRST_PID_NAMESPACE) {
		complain(
			"--pid: pids have other numbers here than the probes have: run it outside of this pid namespace, on the host");
		return -EINVAL;
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		err = -errno;
		complain("--pid %d: %s", pid,
			 err == -ESRCH ? "no such process: it is gone" :
			 err == -EINVAL || err == -ENOENT ? "is a thread, not a process" :
							    strerror(-err));
		return err;
	}
	/* After it: another that has its number now is not taken for it. */
	why = why_not(pid);
	if (!why)
		return fd;
	complain("--pid %d: %s", pid, why);
	close(fd);
	return -EINVAL;
}
