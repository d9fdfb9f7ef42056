// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret pages that the kernel took back: the module does so with every region
 * when the machine hibernates. What was in them is gone, and their addresses are
 * never used again; new sections and new blocks get new pages. A block from before
 * is a SIGBUS to touch, and freeing it does nothing.
 */
#include <pthread.h>

#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int current;

unsigned int revoked_generation(void)
{
	return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

void revoked(unsigned int generation)
{
	pthread_mutex_lock(&lock);
	/* Of several threads that find it out, the first does it. */
	if (generation == current) {
		buffers_lose_all();
		heap_lose_all();
		stack_lose_all();
		space_lose_all();
		__atomic_store_n(&current, generation + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
}

void revoked_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void revoked_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

void revoked_fork_child(void)
{
	pthread_mutex_unlock(&lock);
}
