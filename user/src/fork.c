// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What fork() does to secret memory: the child has none of it. It starts over,
 * with locks that are free and with nothing that points into the lost pages. One
 * that is forked inside a section has no stack to come back to; it says so and
 * aborts, where it can be helped. Where all of a program's heap is secret, its
 * child has a copy (inherit.c).
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "internal.h"
#include "tools.h"

/* libc's own fork(). */
pid_t __fork(void);

static bool in_section(void)
{
	const struct thread *thread = &lethe_thread;
	const char *here = __builtin_frame_address(0);

	return thread->depth && (stack_contains(thread->stack, here) ||
				 stack_contains(thread->signals.stand_in, here));
}

static void prepare(void)
{
	if (in_section())
		message("a fork inside a section that fork() itself did not make (daemon, forkpty): its child has no stack, and dies");
	inherit_fork_lock();
	revoked_fork_prepare();
	buffers_fork_prepare();
	heap_fork_prepare();
	stack_fork_prepare();
	space_fork_prepare();
	inherit_fork_prepare();
}

static void parent(void)
{
	inherit_fork_parent();
	space_fork_parent();
	stack_fork_parent();
	heap_fork_parent();
	buffers_fork_parent();
	revoked_fork_parent();
	inherit_fork_unlock();
}

static void child(void)
{
	inherit_fork_child();
	space_fork_child();
	stack_fork_child();
	heap_fork_child();
	buffers_fork_child();
	revoked_fork_child();
	inherit_fork_unlock();
	thread_fork_child();
}

static int register_error;

static void register_handlers(void)
{
	register_error = -pthread_atfork(prepare, parent, child);
}

/*
 * At load, before there can be a second thread: one that forks while another is
 * in its first lethe_malloc() would leave the child a lock that nobody holds.
 */
__attribute__((constructor)) int fork_register(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_handlers);
	return register_error;
}

/* Runs on the stack that the section was begun from, which a child has too. */
static void fork_and_abort(void *arg)
{
	pid_t *pid = arg, child_pid;

	/* What the kernel copies for the child is not to hold the section's. */
	section_erase_registers();
	/* No handlers: nothing else of the program may run in this child. */
	child_pid = _Fork();
	if (!child_pid) {
		fatal_forget(SIGABRT);
		die("fork() inside a section: its child has no stack to come back to, and is aborted; fork outside, or use posix_spawn()");
	}
	*pid = child_pid;
}

/* Below the frames that wait there for the section's end, and their red zone. */
static void *below_entry(void)
{
	return (void *)(((uintptr_t)lethe_thread.entry - 4 * KIB) & ~(uintptr_t)63);
}

/* It fails where a child would lack something, rather than to make such a child. */
static pid_t fork_with_copies(void)
{
	int err = inherit_begin();
	pid_t pid;

	if (err) {
		/* As fork() has it, whatever was lacking. */
		errno = err == -ENOMEM ? ENOMEM : EAGAIN;
		return -1;
	}
	pid = __fork();
	inherit_done();
	return pid;
}

PUBLIC pid_t lethe_fork(void)
{
	pid_t pid = -1;
	char *below;

	if (likely(!in_section()))
		return inherit_wanted() ? fork_with_copies() : __fork();
	if (lethe_thread.flags & LETHE_REFUSE_FORK) {
		errno = EPERM;
		return -1;
	}
	below = below_entry();
	/* Where the call leaves its return address, on what was no frame's yet. */
	tools_look(below - sizeof(void *), sizeof(void *));
	section_call(fork_and_abort, &pid, below);
	return pid;
}

/*
 * Takes the place of libc's, which in a section would give birth to a child that
 * dies of a SIGSEGV nobody understands. Elsewhere it is libc's.
 */
PUBLIC pid_t fork(void)
{
	return lethe_fork();
}
