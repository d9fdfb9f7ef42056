// SPDX-License-Identifier: MIT
/* See buffer_helpers.h. Judges nothing of what it counts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer_helpers.h"
#include "internal.h"

/* What begins and ends what is counted: an error, and made by nobody else. */
#define MARK 0x1e7be

void must(bool ok)
{
	if (!ok)
		_exit(1);
}

static void child_begins(void)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGABRT, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	alarm(60);
}

static int in_child(void (*fn)(void), char *said, size_t length)
{
	int fds[2], status;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		child_begins();
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (got < length - 1 && (n = read(fds[0], said + got, length - 1 - got)) > 0)
		got += (size_t)n;
	said[got] = 0;
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

void aborts(void (*misuse)(void), const char *why)
{
	char said[512];
	int status = in_child(misuse, said, sizeof(said));
	size_t length = strlen(said), tail = strlen(why);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x: %s",
		  status, said);
	cr_assert_eq(strncmp(said, "lethe: ", 7), 0, "%s", said);
	cr_assert(length > tail + 1 && said[length - 1] == '\n' &&
			  !strncmp(said + length - 1 - tail, why, tail),
		  "%s", said);
	cr_assert_eq(strchr(said, '\n'), said + length - 1, "%s", said);
}

void faults(void (*misuse)(void))
{
	char said[512];
	int status = in_child(misuse, said, sizeof(said));

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x: %s",
		  status, said);
	cr_assert_str_empty(said);
}

void lives(void (*use)(void))
{
	char said[512];
	int status = in_child(use, said, sizeof(said));

	cr_assert_eq(status, 0, "status %#x: %s", status, said);
}

static _Noreturn void run_traced(void (*fn)(void))
{
	child_begins();
	fn();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(2);
	raise(SIGSTOP);
	syscall(MARK);
	fn();
	syscall(MARK);
	_exit(0);
}

unsigned int calls_of(void (*fn)(void), long number)
{
	unsigned int marks = 0, calls = 0;
	struct user_regs_struct regs;
	bool entering = true;
	int status;
	pid_t pid;

	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid)
		run_traced(fn);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "status %#x",
		  status);
	cr_assert_eq(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
	for (;;) {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		cr_assert_eq(WSTOPSIG(status), SIGTRAP | 0x80);
		cr_assert_eq(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
		if (entering) {
			marks += regs.orig_rax == MARK;
			calls += marks == 1 && (long)regs.orig_rax == number;
		}
		entering = !entering;
	}
	cr_assert_eq(status, 0, "status %#x", status);
	cr_assert_eq(marks, 2);
	return calls;
}

void forbid(long number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	     !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* Root is not limited in what it locks. */
void limit_locked(size_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	must(!setrlimit(RLIMIT_MEMLOCK, &limit));
	if (!geteuid())
		must(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534));
}

size_t status_kb(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	size_t kb = SIZE_MAX;
	char line[256];

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			kb = strtoul(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	cr_assert_neq(kb, SIZE_MAX);
	return kb;
}

void needle_take(struct needle *needle, const void *secret)
{
	const volatile uint64_t *words = secret;
	size_t i;

	needle->mask = 0x9e3779b97f4a7c15 * (uint64_t)getpid();
	for (i = 0; i < 4; i++)
		needle->masked[i] = words[i] ^ needle->mask;
}

/* All of memory, and so what ASan has put around a variable too. */
#define UNWATCHED __attribute__((no_sanitize("address"), noinline))

struct anywhere {
	uint64_t word;
} __attribute__((packed, may_alias));

UNWATCHED static size_t count_in(const struct needle *needle, uintptr_t start,
				 uintptr_t end)
{
	size_t i, found = 0;
	uint64_t word;
	uintptr_t at;

	for (at = start; at + sizeof(word) <= end; at++) {
		word = ((const struct anywhere *)at)->word ^ needle->mask;
		for (i = 0; i < 4; i++)
			found += word == needle->masked[i];
	}
	return found;
}

/* ASan's shadow is larger, and nothing else is. */
#define LARGEST (128 * MIB)

size_t needle_count(const struct needle *needle)
{
	static char maps[1 << 20];
	uintptr_t start, end;
	size_t found = 0, got = 0, all = 0;
	char *line, *next;
	char rights[8];
	ssize_t n;
	int fd;

	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	while ((n = read(fd, maps + got, sizeof(maps) - 1 - got)) > 0)
		got += (size_t)n;
	close(fd);
	cr_assert_lt(got, sizeof(maps) - 1);
	maps[got] = 0;
	for (line = maps; *line; line = next) {
		next = strchr(line, '\n') + 1;
		next[-1] = 0;
		cr_assert_eq(sscanf(line, "%lx-%lx %7s", &start, &end, rights), 3);
		if (rights[0] != 'r' || end - start > LARGEST || strstr(line, "[v"))
			continue;
		all += end - start;
		found += count_in(needle, start, end);
	}
	cr_assert_gt(all, 1 << 20);
	return found;
}
