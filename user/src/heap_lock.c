// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret heap's one lock, and how all threads' heaps are brought to rest: each
 * thread works on its own without a lock, and is asked to stop by a flag that a barrier
 * in every thread (membarrier(2)) makes sure it sees. Never holds up a thread for
 * longer than whoever has the lock works.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "heap_thread.h"

/* Spins a little: it is held for some ten nanoseconds, or for system calls. */
static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

/* Nobody's is never entered: all that is done to it is locked. */
struct heap_all heap_all = { .nobodys.stop = true };

/* Can a thread be stopped without its doing? Otherwise all goes by the lock. */
static enum { UNKNOWN, NO, YES } barriers;

/* For a thread that is preempted in the midst of an operation, or stopped by a tracer. */
#define STOP_WAIT_NS 200000000

/* Of the thread that has the lock: its heap, and whether it is a handler's, see below. */
static struct heap *holders;
static bool interrupted;

/* A handler that comes now must not enter the heap. */
void heap_lock(void)
{
	pthread_mutex_lock(&lock);
	holders = lethe_thread.heap;
	if (!holders)
		return;
	interrupted = holders->busy;
	__atomic_store_n(&holders->busy, true, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void heap_unlock(void)
{
	if (holders)
		__atomic_store_n(&holders->busy, interrupted, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

struct heap *heap_mine(void)
{
	return likely(holders && !interrupted) ? holders : &heap_all.nobodys;
}

static int membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

/* Asked once, at the first heap: most likely by the only thread that there is. */
static void probe(void)
{
	int saved = errno;

	barriers = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ? NO : YES;
	errno = saved;
}

bool heap_must_lock(void)
{
	if (unlikely(barriers == UNKNOWN))
		probe();
	return barriers == NO;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* It is done within nanoseconds, unless it was preempted: then it needs a processor. */
static bool wait_for(const struct heap *heap, uint64_t until)
{
	const struct timespec nap = { .tv_nsec = 50000 };
	unsigned int spins = 0;

	while (__atomic_load_n(&heap->busy, __ATOMIC_ACQUIRE)) {
		if (++spins < 100) {
			__builtin_ia32_pause();
			continue;
		}
		if (now_ns() > until)
			return false;
		/* Not libc's, where a thread may be cancelled. */
		syscall(SYS_nanosleep, &nap, NULL);
	}
	return true;
}

bool heap_stop_all(void)
{
	bool all = true;
	struct heap *heap;
	uint64_t until;

	if (barriers != YES)
		return true;
	for (heap = heap_all.used; heap; heap = heap->next)
		__atomic_store_n(&heap->stop, true, __ATOMIC_SEQ_CST);
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		heap_go_on_all();
		return false;
	}
	until = now_ns() + STOP_WAIT_NS;
	for (heap = heap_all.used; heap; heap = heap->next) {
		if (heap == holders ? !interrupted : wait_for(heap, until))
			continue;
		__atomic_store_n(&heap->stop, false, __ATOMIC_RELEASE);
		all = false;
	}
	return all;
}

void heap_go_on_all(void)
{
	struct heap *heap;

	if (barriers != YES)
		return;
	for (heap = heap_all.used; heap; heap = heap->next)
		__atomic_store_n(&heap->stop, false, __ATOMIC_RELEASE);
}

void heap_lock_fork_child(void)
{
	holders = NULL;
	barriers = UNKNOWN;
	pthread_mutex_unlock(&lock);
}
