// SPDX-License-Identifier: MIT
/*
 * A program that knows nothing of Lethe, and what it needs of libc and the kernel, for
 * lethectl.sh: on which memory it finds itself, and whether that does what any does.
 *
 *	ordinary where		"secret" or "ordinary": the memory of a block
 *	ordinary forks		threads, files and forks of all kinds
 *	ordinary exhaust	malloc() until there is no more
 *	ordinary arguments ...	one a line
 */
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef OWN_MALLOC
static char pool[1024 * 1024];
static size_t taken;

/* Gives it out, and takes nothing back. */
void *malloc(size_t size)
{
	size_t at = taken;

	taken += (size + 15) & ~(size_t)15;
	return taken <= sizeof(pool) ? pool + at : NULL;
}

void free(void *p)
{
	(void)p;
}
#endif

/* Locked, and out of dumps: no ordinary memory is, in a program that asks for none. */
static bool is_secret(const void *p)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool in = false, secret = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = (uintptr_t)p >= start && (uintptr_t)p < end;
		else if (in && !strncmp(line, "VmFlags:", 8))
			secret = strstr(line, " dd") != NULL;
	}
	if (smaps)
		fclose(smaps);
	return secret;
}

static int where(void)
{
	void *small = malloc(40), *large = malloc(300000);

	if (!small || !large)
		return 1;
	puts(is_secret(small) && is_secret(large) ? "secret" : "ordinary");
	free(large);
	free(small);
	return 0;
}

static atomic_bool stop;

/* With files of its own: libc puts these in order in a child before it is told. */
static void *work(void *arg)
{
	FILE *out = fopen("/dev/null", "w");
	char *block;
	size_t size = 1;

	(void)arg;
	while (!stop && out) {
		size = size * 7 % 30011;
		block = malloc(size);
		if (!block)
			return out;
		memset(block, 1, size);
		fprintf(out, "%zu\n", size);
		free(block);
	}
	if (out)
		fclose(out);
	return NULL;
}

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int child(char *block, FILE *file, int depth)
{
	FILE *own;
	pid_t pid;

	if (strcmp(block, "the parent's") || !is_secret(block))
		return 11;
	strcpy(block, "the child's");
	own = fopen("/dev/null", "w");
	if (!own || fprintf(own, "%s", block) < 0 || fclose(own))
		return 12;
	fprintf(file, "%d", depth);
	if (!depth)
		return 0;
	strcpy(block, "the parent's");
	pid = fork();
	if (!pid)
		exit(child(block, file, depth - 1));
	if (pid < 0 || status_of(pid))
		return 13;
	return strcmp(block, "the parent's") ? 14 : 0;
}

/* By daemon(), which makes a fork that is libc's own. */
static int becomes_daemon(char *block)
{
	int said[2];
	char c = 0;
	pid_t pid;

	if (pipe(said))
		return 21;
	pid = fork();
	if (!pid) {
		if (daemon(0, 0) || strcmp(block, "the parent's"))
			_exit(1);
		strcpy(block, "x");
		_exit(write(said[1], block, 1) != 1);
	}
	close(said[1]);
	if (pid < 0 || status_of(pid))
		return 22;
	return read(said[0], &c, 1) == 1 && c == 'x' ? 0 : 23;
}

static int programs(void)
{
	extern char **environ;
	char *argv[] = { (char *)"true", NULL };
	FILE *from = popen("echo said", "r");
	char line[16] = "";
	pid_t pid;

	if (!from || !fgets(line, sizeof(line), from) || pclose(from) ||
	    strcmp(line, "said\n"))
		return 31;
	if (system("exit 5") != 5 << 8)
		return 32;
	if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) || status_of(pid))
		return 33;
	pid = fork();
	if (!pid) {
		execvp("true", argv);
		_exit(1);
	}
	return status_of(pid) ? 34 : 0;
}

static int forks(void)
{
	FILE *file = fopen("/dev/null", "w");
	char *block = malloc(100000);
	pthread_t threads[3];
	int i, err = 0;
	void *failed;
	pid_t pid;

	if (!file || !block)
		return 1;
	strcpy(block, "the parent's");
	for (i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 2;
	for (i = 0; !err && i < 8; i++) {
		pid = fork();
		if (!pid)
			exit(child(block, file, 2));
		err = pid < 0 ? 3 : status_of(pid);
	}
	if (!err)
		err = strcmp(block, "the parent's") ? 4 : becomes_daemon(block);
	if (!err)
		err = programs();
	stop = true;
	for (i = 0; i < 3; i++)
		err = pthread_join(threads[i], &failed) || failed ? 5 : err;
	fclose(file);
	free(block);
	return err;
}

static int exhaust(void)
{
	size_t n = 0;
	void **list = NULL, **block;

	while ((block = malloc(10000))) {
		*block = list;
		list = block;
		n++;
	}
	if (errno != ENOMEM)
		return 1;
	while (list) {
		block = *list;
		free(list);
		list = block;
	}
	block = malloc(100000);
	printf("%zu\n", n);
	free(block);
	return block ? 0 : 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int i;

	alarm(120);
	if (!strcmp(what, "where"))
		return where();
	if (!strcmp(what, "forks"))
		return forks();
	if (!strcmp(what, "exhaust"))
		return exhaust();
	for (i = 2; i < argc; i++)
		puts(argv[i]);
	return strcmp(what, "arguments") ? 2 : 0;
}
