// SPDX-License-Identifier: MIT
/*
 * A row program: started with its secret on stdin, and led to where it is to be searched.
 * Ends no process but those it started. It never looks into one but for its two control
 * words.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actor.h"
#include "scan.h"

/* A thousand times what it takes, where nothing is emulated. */
#define PATIENCE 120U
/* What the ABI has a program started with. */
#define MXCSR_INITIAL 0x1f80
#define X87_CONTROL_INITIAL 0x37f

static bool fail(char *why, size_t room, const char *what)
{
	snprintf(why, room, "%s: %s", what, strerror(errno));
	return false;
}

static void pause_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	nanosleep(&moment, NULL);
}

/* The number of the system call that it is in, where it sleeps in one; else -1. */
static long call_of(pid_t pid)
{
	char path[64], line[64] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	return n > 0 && line[0] >= '0' && line[0] <= '9' ? strtol(line, NULL, 10) : -1;
}

/* Letters and digits, each as likely as another: what is typed. */
static void make_text(uint8_t *bytes, size_t length)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOP"
		"QRSTUVWXYZ_-";

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)letters[bytes[i] & 63];
}

/* Into what becomes stdin: it fits whole, also where nobody reads it. */
static bool give_secret(struct actor *actor, const struct known *row, int to)
{
	struct secret *secret = &actor->secrets[0];
	size_t length = ROW_SECRET;
	bool good;

	if (row->source == ROW_MADE)
		return true;
	if (getrandom(secret->bytes, length, 0) != (ssize_t)length)
		return false;
	if (row->source != ROW_GIVEN) {
		make_text(secret->bytes, length);
		secret->bytes[length++] = '\n';
	}
	good = write(to, secret->bytes, length) == (ssize_t)length;
	secret->length = ROW_SECRET;
	actor->nr_secrets = row->kind == ROW_COPIES;
	return good;
}

/* stdin of the one to come, and where it is written to. */
static bool open_stdin(const struct known *row, int *in, int *out)
{
	int ends[2];

	if (row->source == ROW_TERMINAL)
		return !openpty(out, in, NULL, NULL, NULL);
	if (pipe2(ends, O_CLOEXEC))
		return false;
	*in = ends[0];
	*out = ends[1];
	return true;
}

static void become(const struct known *row, const char *backend, const char *hollow,
		   int in, int tell)
{
	if (dup2(in, 0) < 0 || dup2(2, 1) < 0 || dup2(tell, 3) < 0)
		_exit(1);
	/* Never is one left behind, or waited for in vain. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(PATIENCE);
	if (backend)
		setenv("LETHE_BACKEND", backend, 1);
	if (hollow)
		setenv("LD_PRELOAD", hollow, 1);
	if (row->seen == ROW_EXIT || row->seen == ROW_EXEC)
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execl(row->program, row->program, row->name, backend ? "section" : "plainly",
	      NULL);
	_exit(127);
}

/* What it has told by now. */
static void hear(struct actor *actor)
{
	uint8_t message[1 + SECRET_ROOM];
	struct secret *secret;
	ssize_t n;
	long pid;

	while ((n = recv(actor->tell, message, sizeof(message), MSG_DONTWAIT)) > 1) {
		if (message[0] == 'P' && n == 1 + sizeof(pid)) {
			memcpy(&pid, message + 1, sizeof(pid));
			actor->searched = (pid_t)pid;
		} else if (message[0] == 'S' && actor->nr_secrets < SECRETS_MAX) {
			secret = &actor->secrets[actor->nr_secrets++];
			secret->length = (size_t)n - 1;
			memcpy(secret->bytes, message + 1, secret->length);
		}
	}
	explicit_bzero(message, sizeof(message));
}

static void how_ended(int status, char *why, size_t room)
{
	if (WIFSIGNALED(status))
		snprintf(why, room, "it was killed by signal %d", WTERMSIG(status));
	else
		snprintf(why, room, "it ended with status %d", WEXITSTATUS(status));
}

static bool until_still(struct actor *actor, char *why, size_t room)
{
	const unsigned long long begun = now_ns();
	int status;

	for (;;) {
		if (waitpid(actor->pid, &status, WNOHANG) == actor->pid) {
			actor->ended = true;
			how_ended(status, why, room);
			return false;
		}
		/* Its child's number it tells before it stands still itself. */
		if (call_of(actor->pid) == SYS_pause) {
			hear(actor);
			if (call_of(actor->searched) == SYS_pause)
				return true;
		}
		if (now_ns() - begun > PATIENCE * 1000000000ULL) {
			snprintf(why, room, "it does not come to its end");
			return false;
		}
		pause_a_moment();
	}
}

/* Is the stopped one entering the system call that makes another program of it? */
static bool enters_exec(pid_t pid)
{
	struct __ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_execve;
}

/* It begins stopped, as it was made this program; what it runs to is another stop. */
static bool until_stopped(struct actor *actor, const struct known *row, char *why,
			  size_t room)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD |
			     PTRACE_O_TRACEEXIT;
	const bool exec = row->seen == ROW_EXEC;
	bool begun = false;
	int status, signal;

	while (waitpid(actor->pid, &status, __WALL) == actor->pid) {
		if (!WIFSTOPPED(status)) {
			actor->ended = true;
			how_ended(status, why, room);
			return false;
		}
		signal = WSTOPSIG(status);
		if (!begun) {
			begun = true;
			ptrace(PTRACE_SETOPTIONS, actor->pid, NULL, options);
			signal = 0;
		} else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			if (!exec)
				return actor->stopped = true;
			signal = 0;
		} else if (signal == (SIGTRAP | 0x80)) {
			if (enters_exec(actor->pid))
				return actor->stopped = true;
			signal = 0;
		}
		ptrace(exec ? PTRACE_SYSCALL : PTRACE_CONT, actor->pid, NULL,
		       (void *)(long)signal);
	}
	return fail(why, room, "waitpid");
}

bool actor_start(struct actor *actor, const struct known *row, const char *backend,
		 const char *hollow, char *why, size_t room)
{
	int in, out, tell[2];

	*actor = (struct actor){ .pid = -1, .tell = -1, .terminal = -1 };
	if (!open_stdin(row, &in, &out) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, tell))
		return fail(why, room, "no descriptors");
	actor->tell = tell[0];
	actor->terminal = out;
	actor->pid = fork();
	if (!actor->pid)
		become(row, backend, hollow, in, tell[1]);
	close(in);
	close(tell[1]);
	if (actor->pid < 0)
		return fail(why, room, "no process");
	actor->searched = actor->pid;
	if (!give_secret(actor, row, out))
		return fail(why, room, "no secret");
	if (row->source != ROW_TERMINAL) {
		close(out);
		actor->terminal = -1;
	}
	if (row->seen == ROW_EXIT || row->seen == ROW_EXEC) {
		if (!until_stopped(actor, row, why, room))
			return false;
		hear(actor);
		return true;
	}
	return until_still(actor, why, room);
}

bool actor_control_words(struct actor *actor, struct cell *cell, char *why, size_t room)
{
	struct user_fpregs_struct registers;
	struct stopped stopped;
	long got = -1;

	if (!stop_process(&stopped, actor->pid, why, room)) {
		got = ptrace(PTRACE_GETFPREGS, actor->pid, NULL, &registers);
		if (got)
			fail(why, room, "its registers cannot be read");
	}
	stopped_let_go(&stopped);
	if (got)
		return false;
	cell->copies = (registers.mxcsr != MXCSR_INITIAL) +
		       (registers.cwd != X87_CONTROL_INITIAL);
	cell->there = cell->copies;
	cell->searched = sizeof(registers.mxcsr) + sizeof(registers.cwd);
	snprintf(cell->where, sizeof(cell->where), "MXCSR %#x, x87 control word %#x",
		 registers.mxcsr, registers.cwd);
	return true;
}

void actor_end(struct actor *actor)
{
	if (actor->searched > 0 && actor->searched != actor->pid)
		kill(actor->searched, SIGKILL);
	if (actor->pid > 0 && !actor->ended) {
		kill(actor->pid, SIGKILL);
		/* One that is stopped at its exit is not woken by that. */
		if (actor->stopped)
			ptrace(PTRACE_CONT, actor->pid, NULL, NULL);
		waitpid(actor->pid, NULL, __WALL);
	}
	if (actor->tell >= 0)
		close(actor->tell);
	if (actor->terminal >= 0)
		close(actor->terminal);
	explicit_bzero(actor->secrets, sizeof(actor->secrets));
}
