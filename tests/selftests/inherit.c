// SPDX-License-Identifier: MIT
/*
 * fork() as liblethe-run has it: the child gets a copy of the secret heap, on secret
 * pages of its own. Without that switch it has none of it. On whichever backend is in
 * use; each case in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "inherit.h"
#include "lethe.h"
#include "tap.h"

static int has_none(void)
{
	return lethe_level_of(block) != LETHE_LEVEL_NONE;
}

static int without_switch(void *arg)
{
	(void)arg;
	return begin(false) ?: forked(has_none);
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
		{ child_executes, "a child that executes another program does" },
	};
	struct ended ended;
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 42;
	tap_plan(sizeof(cases) / sizeof(cases[0]));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_child(cases[i].fn, NULL, &ended);
		tap_ok(exited_with(&ended, 0), "%s (%s)", cases[i].sentence,
		       how_ended(&ended));
	}
	return tap_end();
}
