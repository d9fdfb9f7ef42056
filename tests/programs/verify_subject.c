// SPDX-License-Identifier: MIT
/*
 * What lethectl verify is tried on: a program with sections that leaves a secret in a
 * place of which the test knows, or nowhere, and ends, forks, executes and waits in every
 * way that there is.
 *
 *	verify_subject WAY FILE [NUMBER]	FILE has the secret
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "verify_subject.h"

const char *file;
int number;
unsigned char kept[SIZE];

void take(void *to)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, to, SIZE) != SIZE)
		_exit(20);
	close(fd);
}

/* A section that has the secret, and leaves it nowhere. */
void use(void *unused)
{
	unsigned char secret[SIZE];

	(void)unused;
	take(secret);
	/* In registers, too. */
	__asm__ volatile("movdqu (%0), %%xmm5" ::"r"(secret) : "xmm5");
}

void section(void (*fn)(void *))
{
	int err = lethe_do(fn, NULL);

	if (err) {
		fprintf(stderr, "lethe_do: %s\n", strerror(-err));
		_exit(21);
	}
}

static void use_and_keep(void *unused)
{
	use(unused);
	take(kept);
}

static int clean(void)
{
	int i;

	for (i = 0; i < number; i++)
		section(use);
	return 0;
}

static int global(void)
{
	section(use_and_keep);
	explicit_bzero(kept, SIZE);
	section(use);
	return 0;
}

static __attribute__((noinline)) void on_stack(void)
{
	unsigned char secret[4096];

	take(secret);
	__asm__ volatile("" ::"r"(secret) : "memory");
}

/* Of an ordinary function, before the section: at its end it is there still. */
static int stack(void)
{
	on_stack();
	section(use);
	return 0;
}

/* Freed, and not erased: it is there as it ends. */
static int heap(void)
{
	unsigned char *secret = malloc(3 * SIZE);

	section(use);
	take(secret + SIZE);
	free(secret);
	return 0;
}

static int plain(void)
{
	take(kept);
	return 0;
}

static int crash(void)
{
	take(kept);
	abort();
}

static int crash_clean(void)
{
	section(use);
	abort();
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return 23;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 24;
}

/* Each child has sections of its own; the last keeps what it had. */
static int forks(void)
{
	pid_t pid;
	int i, err;

	section(use);
	for (i = 0; i < number; i++) {
		pid = fork();
		if (!pid) {
			section(use);
			if (i == number - 1)
				take(kept);
			_exit(0);
		}
		err = wait_for(pid);
		if (err)
			return err;
	}
	return 0;
}

static int execs(void)
{
	char left[16];
	pid_t pid;

	section(use);
	if (number) {
		snprintf(left, sizeof(left), "%d", number - 1);
		execl("/proc/self/exe", "again", "execs", file, left, NULL);
		return 25;
	}
	pid = vfork();
	if (!pid) {
		execl("/proc/self/exe", "vforked", "global", file, NULL);
		_exit(25);
	}
	return wait_for(pid);
}

static int killed(void)
{
	section(use);
	take(kept);
	raise(SIGKILL);
	return 26;
}

static volatile sig_atomic_t stops, signals;

static void on_signal(int signal)
{
	stops += signal == SIGCONT;
	signals += signal == SIGUSR1;
}

/* A child stops itself, and is woken: it stays stopped so long, and no signal is lost. */
static int stopped(void)
{
	pid_t pid;
	int i, status;

	signal(SIGCONT, on_signal);
	signal(SIGUSR1, on_signal);
	pid = fork();
	if (!pid) {
		for (i = 0; i < 20; i++) {
			section(use);
			raise(SIGSTOP);
			if (stops != i + 1)
				_exit(27);
		}
		_exit(signals == 20 ? 0 : 28);
	}
	for (i = 0; i < 20; i++) {
		if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
			return 27;
		usleep(2000);
		if (kill(pid, SIGUSR1) || kill(pid, SIGCONT))
			return 27;
	}
	return wait_for(pid);
}

static int traces(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 0 : 1);
	return wait_for(pid) ? 29 : 0;
}

/* Something of it goes on when it has ended. */
static int outlived(void)
{
	char byte, done[4200];
	int ready[2];

	if (pipe(ready))
		return 30;
	if (!fork()) {
		setsid();
		take(kept);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		sleep((unsigned int)number);
		/* It is let go, and the section ends as ever. */
		section(use);
		snprintf(done, sizeof(done), "%s.done", file);
		_exit(open(done, O_WRONLY | O_CREAT, 0600) < 0);
	}
	return read(ready[0], &byte, 1) == 1 ? 0 : 30;
}

static int fails(void)
{
	section(use);
	return 3;
}

static int waits(void)
{
	section(use);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
	return 0;
}

/* Does not heed what asks it to end. */
static int stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	return waits();
}

/* Makes its secret itself, and says what it is in a file. */
static int makes(void)
{
	unsigned char secret[SIZE];
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC), to;

	if (fd < 0 || read(fd, secret, SIZE) != SIZE)
		return 31;
	close(fd);
	to = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (to < 0 || write(to, secret, SIZE) != SIZE)
		return 31;
	close(to);
	if (number)
		memcpy(kept, secret, SIZE);
	explicit_bzero(secret, SIZE);
	section(use);
	return 0;
}

static int shared_memory_child(void *unused)
{
	(void)unused;
	section(use);
	return 0;
}

/* A process that has the same memory, and is no thread. */
static int shares(void)
{
	static char other_stack[256 * 1024];
	pid_t pid = clone(shared_memory_child, other_stack + sizeof(other_stack),
			  CLONE_VM | SIGCHLD, NULL);

	if (pid < 0)
		return 32;
	return wait_for(pid);
}

static void end_inside(void *unused)
{
	use(unused);
	exit(0);
}

static int exits_inside(void)
{
	section(end_inside);
	return 33;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} ways[] = {
		{ "clean", clean },
		{ "global", global },
		{ "stack", stack },
		{ "heap", heap },
		{ "plain", plain },
		{ "crash", crash },
		{ "crash_clean", crash_clean },
		{ "threads", threads },
		{ "spawning", spawning },
		{ "leader", leader },
		{ "forks", forks },
		{ "execs", execs },
		{ "threads_exec", threads_exec },
		{ "threads_exit", threads_exit },
		{ "killed", killed },
		{ "stopped", stopped },
		{ "traces", traces },
		{ "outlived", outlived },
		{ "fails", fails },
		{ "waits", waits },
		{ "makes", makes },
		{ "shares", shares },
		{ "exits_inside", exits_inside },
		{ "ends", ends },
		{ "midst", midst },
		{ "stubborn", stubborn },
		{ "vforks", vforks },
	};
	size_t i;

	if (argc < 3)
		return 19;
	file = argv[2];
	number = argc > 3 ? atoi(argv[3]) : 0;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, argv[1]))
			return ways[i].run();
	return 19;
}
