// SPDX-License-Identifier: MIT
/*
 * fork() as liblethe-run has it, where it is hard: who touches the copy before the
 * library can, threads that fork at once, and no room for a copy: then fork() fails,
 * and nothing is lost. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "inherit.h"
#include "lethe.h"
#include "tap.h"

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

#define MANY 2000
static void *many[MANY];

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

int main(void)
{
	struct ended ended;

	tap_plan(4);
	run_child(early_touch, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "what runs in the child before the library does finds the copy (%s)",
	       how_ended(&ended));
	run_child(threads_fork, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "threads that fork at once do not wait for ever, nor err (%s)",
	       how_ended(&ended));
	run_child(no_room, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "no room for a copy: fork() is ENOMEM, and nothing is lost (%s)",
	       how_ended(&ended));
	tap_ok(lines_with(&ended, "fork() fails") == (without_second_copy() ? 0U : 1U),
	       "which one line says: \"%.*s\"", (int)strcspn(ended.said, "\n"),
	       ended.said);
	return tap_end();
}
