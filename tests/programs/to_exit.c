// SPDX-License-Identifier: MIT
/*
 * A program, run and held as it ends: it has made its last call, exit_group(2), and all of
 * its memory and its registers are there still. Whoever wants to then attaches, as to any
 * process that waits in a system call; nothing here does, or reads any of it.
 *
 *	to_exit PROGRAM [ARGUMENT...]
 *
 * "ending PID" on stdout; the program ends when stdin has. Exit status: the program's own;
 * 128 and the signal that killed it, held or not; 125, this is not possible here.
 *
 * What holds it is a filter for that one call, which tells this process. It is handed down
 * to what the program starts, which is let go at once, but must not outlive it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_POSSIBLE 125

static int failed(const char *what)
{
	fprintf(stderr, "to_exit: %s: %s\n", what, strerror(errno));
	return NOT_POSSIBLE;
}

/* The descriptor that tells; -1 and errno. */
static int filter_exit(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };

	/* Only root may filter without it. */
	if (geteuid() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

/*
 * Its descriptors are its parent's until that one has been told which it is. Its stdin is
 * nobody's, which this program has itself; its stdout goes where its errors go.
 */
static _Noreturn void become(char **argv, int to)
{
	int told = filter_exit(), nothing;

	if (told < 0)
		failed("no filter for exit_group(2)");
	if (write(to, &told, sizeof(told)) != sizeof(told) || told < 0 ||
	    unshare(CLONE_FILES))
		syscall(SYS_exit, NOT_POSSIBLE);
	close(told);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(nothing, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execvp(*argv, argv);
	syscall(SYS_exit, failed(*argv));
	__builtin_unreachable();
}

/* The program, not yet begun, and what tells of it. */
static pid_t start(char **argv, int *told)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
	if (!pid)
		become(argv, pipes[1]);
	if (pid > 0 && read(pipes[0], told, sizeof(*told)) != sizeof(*told))
		pid = -1;
	close(pipes[0]);
	close(pipes[1]);
	return pid;
}

static bool is_thread_of(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	return !access(path, F_OK);
}

/* One that was stopped meanwhile asks again, under another number. */
static void let_go(int told, unsigned long long id)
{
	struct seccomp_notif_resp answer = { .id = id,
					     .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	ioctl(told, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* Until it is no more. */
static int attend(pid_t pid, int told)
{
	struct pollfd fds[] = { { pidfd_open(pid, 0), POLLIN, 0 },
				{ told, POLLIN, 0 },
				{ -1, POLLIN, 0 } };
	unsigned long long held = 0;
	bool go = false;
	char byte;

	if (fds[0].fd < 0)
		return -1;
	while (poll(fds, 3, -1) >= 0 || errno == EINTR) {
		struct seccomp_notif asked = { 0 };

		if (fds[0].revents)
			return 0;
		if (fds[2].revents && read(STDIN_FILENO, &byte, 1) <= 0) {
			go = true;
			fds[2].fd = -1;
			let_go(told, held);
		}
		if (!(fds[1].revents & POLLIN) ||
		    ioctl(told, SECCOMP_IOCTL_NOTIF_RECV, &asked))
			continue;
		if (go || !is_thread_of(pid, (pid_t)asked.pid)) {
			let_go(told, asked.id);
			continue;
		}
		if (!held) {
			printf("ending %d\n", (int)pid);
			fflush(stdout);
			fds[2].fd = STDIN_FILENO;
		}
		held = asked.id;
	}
	return -1;
}

int main(int argc, char **argv)
{
	int told = -1, status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: to_exit PROGRAM [ARGUMENT...]\n");
		return NOT_POSSIBLE;
	}
	pid = start(argv + 1, &told);
	if (pid < 0)
		return failed("cannot start");
	if (told < 0)
		return NOT_POSSIBLE;
	if (attend(pid, told) || waitpid(pid, &status, 0) != pid)
		return failed("it was not met as it ended");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
