// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What fork() does to secret memory: the child has none of it. It starts over,
 * with locks that are free and with nothing that points into the lost pages.
 */
#include <pthread.h>

#include "internal.h"

static void prepare(void)
{
	heap_fork_prepare();
	stack_fork_prepare();
	space_fork_prepare();
}

static void parent(void)
{
	space_fork_parent();
	stack_fork_parent();
	heap_fork_parent();
}

static void child(void)
{
	space_fork_child();
	stack_fork_child();
	heap_fork_child();
	section_fork_child();
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
