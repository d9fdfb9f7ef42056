// SPDX-License-Identifier: MIT
/*
 * fork() as liblethe-run has it: the child gets a copy of the secret heap, on secret
 * pages of its own, or fork() fails and nothing is lost. Without that switch a child
 * has none of it. On whichever backend is in use; each case in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

/* The switch: for liblethe-run alone, and for this. */
extern bool lethe_fork_copies;

#define SIZE ((size_t)100 * 1000)
/* So long does a child that hangs keep its test: for ever would be too long. */
#define ALARM 60

static unsigned char *block;

static void fill(unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)((i * 31 + seed) >> 3);
}

static bool holds(const unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)((i * 31 + seed) >> 3))
			return false;
	return true;
}

/* What touches the heap in a child before the library's own handler does. */
static volatile unsigned char *touch_early;
static unsigned char touched;

static void touch(void)
{
	if (touch_early)
		touched = *touch_early;
}

static void register_early(void)
{
	pthread_atfork(NULL, NULL, touch);
}

/* Before any constructor: so its handlers are first in the child. */
__attribute__((section(".preinit_array"),
	       used)) static void (*const early)(void) = register_early;

static int begin(bool copies)
{
	alarm(ALARM);
	lethe_fork_copies = copies;
	block = lethe_malloc(SIZE);
	if (!block)
		return 90;
	fill(block, SIZE, 1);
	return 0;
}

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The exit status of a fork's child that calls @fn; 99 where there is none. */
static int forked(int (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		child_begins();
		alarm(ALARM);
		_exit(fn());
	}
	return pid < 0 ? 99 : status_of(pid);
}

static int has_none(void)
{
	return lethe_level_of(block) != LETHE_LEVEL_NONE;
}

static int without_switch(void *arg)
{
	(void)arg;
	return begin(false) ?: forked(has_none);
}

static enum lethe_level level;

static int has_copy(void)
{
	if (lethe_level_of(block) != level)
		return 1;
	return holds(block, SIZE, 1) ? 0 : 2;
}

static int with_switch(void *arg)
{
	int err = begin(true);

	(void)arg;
	level = lethe_level_of(block);
	if (err || level == LETHE_LEVEL_NONE)
		return 91;
	return forked(has_copy) ?: has_copy();
}

static int children_of_children(void)
{
	static unsigned int depth;

	if (has_copy())
		return 1;
	return ++depth == 4 ? 0 : forked(children_of_children) ?: has_copy();
}

static int generations(void *arg)
{
	(void)arg;
	if (begin(true))
		return 90;
	level = lethe_level_of(block);
	return forked(children_of_children);
}

static int say(int fd)
{
	return write(fd, "x", 1) == 1 ? 0 : 1;
}

static int hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 0 : 1;
}

/* Each writes when the other has, and finds what it wrote itself. */
static int separate(void *arg)
{
	int to[2], from[2], err = begin(true);
	pid_t pid;

	(void)arg;
	if (err || pipe(to) || pipe(from))
		return 90;
	pid = fork();
	if (!pid) {
		child_begins();
		alarm(ALARM);
		fill(block, SIZE, 2);
		err = say(from[1]) || hear(to[0]);
		_exit(err || !holds(block, SIZE, 2));
	}
	if (pid < 0 || hear(from[0]))
		return 91;
	if (!holds(block, SIZE, 1))
		return 1;
	fill(block, SIZE, 3);
	if (say(to[1]))
		return 92;
	if (status_of(pid))
		return 2;
	return holds(block, SIZE, 3) ? 0 : 3;
}

/* What the kernel says of the mapping that the block is in. */
static bool has_flags(const char *flags[])
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool in = false, all = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = (uintptr_t)block >= start && (uintptr_t)block < end;
		if (!in || strncmp(line, "VmFlags:", 8))
			continue;
		for (all = true; *flags; flags++)
			all = all && strstr(line, *flags);
		break;
	}
	if (smaps)
		fclose(smaps);
	return all;
}

static int is_kept_from_others(void)
{
	static const char *locked[] = { " lo", " dd", " dc", NULL };
	int fd = open("/proc/self/mem", O_RDONLY);
	char byte;

	if (fd < 0)
		return 1;
	/* The control: the same way this is read. */
	if (pread(fd, &byte, 1, (off_t)(uintptr_t)&level) != 1)
		return 2;
	if (level == LETHE_LEVEL_LOCKED)
		return has_flags(locked) ? 0 : 3;
	if (pread(fd, &byte, 1, (off_t)(uintptr_t)block) >= 0 || errno != EIO)
		return 4;
	close(fd);
	return 0;
}

static int kept_from_others(void *arg)
{
	(void)arg;
	if (begin(true))
		return 90;
	level = lethe_level_of(block);
	return forked(is_kept_from_others) ?: is_kept_from_others();
}

#define MANY 2000
static void *many[MANY];

static int goes_on(void)
{
	size_t i;

	/* What the parent had is freed here, and its places are used again. */
	for (i = 0; i < MANY; i += 2)
		lethe_free(many[i]);
	lethe_free(block);
	for (i = 0; i < MANY; i += 2) {
		many[i] = lethe_malloc(1 + i % 3000);
		if (!many[i])
			return 1;
		memset(many[i], 0xa5, 1 + i % 3000);
	}
	for (i = 1; i < MANY; i += 2)
		if (!holds(many[i], 1 + i % 3000, (unsigned int)i))
			return 2;
	for (i = 0; i < MANY; i++)
		lethe_free(many[i]);
	lethe_trim();
	block = lethe_calloc(1, SIZE);
	if (!block || block[0] || block[SIZE - 1])
		return 3;
	return 0;
}

static int heap_goes_on(void *arg)
{
	size_t i;

	(void)arg;
	if (begin(true))
		return 90;
	for (i = 0; i < MANY; i++) {
		many[i] = lethe_malloc(1 + i % 3000);
		if (!many[i])
			return 91;
		fill(many[i], 1 + i % 3000, (unsigned int)i);
	}
	/* The child's, and then the parent's own, which is as it was. */
	return forked(goes_on) ?: goes_on();
}

static void *stack_was;

static void note_stack(void *arg)
{
	*(void **)arg = __builtin_frame_address(0);
}

static int has_no_stack(void)
{
	void *stack = NULL;

	if (lethe_level_of(stack_was) != LETHE_LEVEL_NONE)
		return 1;
	if (lethe_do(note_stack, &stack) || lethe_level_of(stack) != level)
		return 2;
	return has_copy();
}

static int stacks_are_not(void *arg)
{
	(void)arg;
	if (begin(true))
		return 90;
	level = lethe_level_of(block);
	if (lethe_do(note_stack, &stack_was) || lethe_level_of(stack_was) != level)
		return 91;
	return forked(has_no_stack) ?: lethe_level_of(stack_was) == level ? 0 : 92;
}

static int saw_early(void)
{
	return touched == block[SIZE - 1] ? has_copy() : 1;
}

static int early_touch(void *arg)
{
	struct sigaction action;

	(void)arg;
	if (begin(true))
		return 90;
	level = lethe_level_of(block);
	touch_early = block + SIZE - 1;
	touched = (unsigned char)~*touch_early;
	if (forked(saw_early))
		return 1;
	/* And the program's SIGSEGV is its own again. */
	return sigaction(SIGSEGV, NULL, &action) || action.sa_handler != SIG_DFL;
}

static int executes(void)
{
	execl("/proc/self/exe", "inherit", "exit", NULL);
	return 1;
}

static int child_executes(void *arg)
{
	(void)arg;
	return begin(true) ?: forked(executes) == 42 ? 0 : 1;
}

#define THREADS 4
#define FORKS 6

/* Forks and allocates: what it has itself, its child has as it was. */
static void *fork_along(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned char *own;
	pid_t pid;
	size_t size;
	int i;

	for (i = 0; i < FORKS; i++) {
		size = 1000 + (size_t)i * 7919 % 60000;
		own = lethe_malloc(size);
		if (!own)
			return arg;
		fill(own, size, seed);
		pid = fork();
		if (!pid) {
			alarm(ALARM);
			i = !holds(own, size, seed);
			lethe_free(own);
			_exit(i);
		}
		if (pid < 0 || status_of(pid))
			return arg;
		lethe_free(own);
	}
	return NULL;
}

static int threads_fork(void *arg)
{
	pthread_t threads[THREADS];
	void *failed;
	uintptr_t i;
	int err = begin(true);

	(void)arg;
	for (i = 0; !err && i < THREADS; i++)
		err = pthread_create(&threads[i], NULL, fork_along, (void *)(i + 1));
	for (i = 0; !err && i < THREADS; i++)
		err = pthread_join(threads[i], &failed) || failed;
	return err ?: !holds(block, SIZE, 1);
}

/* Fills the heap to the limit. */
static size_t fill_up(void)
{
	size_t n = 0;

	while (n < MANY && (many[n] = lethe_malloc(64 * 1024)))
		n++;
	return n;
}

static bool without_second_copy(void)
{
	return !strcmp(lethe_backend(), "mlock");
}

static int no_room(void *arg)
{
	size_t n;
	pid_t pid;

	(void)arg;
	become_nobody();
	limit_to(RLIMIT_MEMLOCK, 2048 * 1024);
	if (begin(true))
		return 90;
	level = lethe_level_of(block);
	n = fill_up();
	errno = 0;
	pid = fork();
	if (!pid)
		_exit(has_copy());
	/* There the child is charged for the only copy, and the parent for none. */
	if (without_second_copy())
		return pid < 0 ? 1 : status_of(pid);
	if (pid > 0)
		return 2;
	if (errno != ENOMEM || has_copy())
		return 3;
	/* Again, and no second line; then with room. */
	if (fork() >= 0 || errno != ENOMEM)
		return 4;
	while (n)
		lethe_free(many[--n]);
	lethe_trim();
	return forked(has_copy) ?: has_copy();
}

int main(int argc, char **argv)
{
	static const struct {
		int (*fn)(void *);
		const char *sentence;
	} cases[] = {
		{ without_switch, "control: without the switch a child has none of it" },
		{ with_switch, "a child has a copy of the heap, of the same level" },
		{ generations, "so have its children, and theirs" },
		{ separate, "what either writes later, the other does not see" },
		{ kept_from_others,
		  "the child's copy is kept from others as the parent's is" },
		{ heap_goes_on,
		  "the child goes on with the heap, and the parent with its own" },
		{ stacks_are_not,
		  "secret stacks are not copied; the child makes its own" },
		{ early_touch,
		  "what runs in the child before the library does finds the copy" },
		{ child_executes, "a child that executes another program does" },
		{ threads_fork,
		  "threads that fork at once do not wait for ever, nor err" },
	};
	struct ended ended;
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 42;
	tap_plan(sizeof(cases) / sizeof(cases[0]) + 2);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_child(cases[i].fn, NULL, &ended);
		tap_ok(exited_with(&ended, 0), "%s (%s)", cases[i].sentence,
		       how_ended(&ended));
	}
	run_child(no_room, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "no room for a copy: fork() is ENOMEM, and nothing is lost (%s)",
	       how_ended(&ended));
	tap_ok(lines_with(&ended, "fork() fails") == (without_second_copy() ? 0U : 1U),
	       "which one line says: \"%.*s\"", (int)strcspn(ended.said, "\n"),
	       ended.said);
	return tap_end();
}
