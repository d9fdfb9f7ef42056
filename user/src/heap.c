// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret heap's front: one lock, the wiping, and the public functions.
 *
 * Blocks come zeroed because they were wiped when they were freed, over the
 * whole of their slot and by whoever freed them. A pointer that is no live block
 * is never repaired: the process has lost track of its secrets, and is aborted.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#include "heap.h"

/* A larger slot is wiped without the lock: from here on it takes longer. */
#define WIPE_LOCKED_MAX 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t live_blocks, live_bytes;

static void *out_of_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/* Size zero comes here too, at an alignment beyond a page. */
static size_t pages_for(size_t size)
{
	return size ? round_up(size, PAGE) / PAGE : 1;
}

static void *allocate(size_t alignment, size_t size)
{
	unsigned int class = heap_class_of(size, alignment);
	struct heap_slot slot;
	void *block;

	if (unlikely(size > PTRDIFF_MAX))
		return out_of_memory();
	pthread_mutex_lock(&lock);
	if (likely(class != HEAP_RUN))
		block = heap_slot_get(class, &slot);
	else
		block = heap_slot_get_run(pages_for(size),
					  alignment > PAGE ? alignment : PAGE, &slot);
	if (likely(block)) {
		live_blocks++;
		live_bytes += slot.span->size;
		lethe_thread.blocks++;
	}
	pthread_mutex_unlock(&lock);
	return block;
}

/*
 * Finds a block, and returns with the lock held. False, and no lock, for one
 * that was the parent's before a fork; no return at all for anything else.
 */
static bool lock_block(const void *block, const char *what_for, struct heap_slot *slot)
{
	const char *complaint;

	pthread_mutex_lock(&lock);
	complaint = heap_slot_find(block, slot);
	if (likely(!complaint))
		return true;
	/* Not in die(): whoever catches the signal may well free something. */
	pthread_mutex_unlock(&lock);
	if (space_lost(block))
		return false;
	die("%s of %p: %s", what_for, block, complaint);
}

static void release(void *block)
{
	struct heap_slot slot;
	size_t size;

	if (!lock_block(block, "free", &slot))
		return;
	size = slot.span->size;
	live_blocks--;
	live_bytes -= size;
	lethe_thread.blocks--;
	lethe_thread.freed += size;
	heap_slot_unlive(&slot);
	if (likely(size <= WIPE_LOCKED_MAX)) {
		lethe_wipe(block, size);
	} else {
		/* Neither live nor available: nobody else's for as long. */
		pthread_mutex_unlock(&lock);
		lethe_wipe(block, size);
		pthread_mutex_lock(&lock);
	}
	heap_slot_put(&slot);
	pthread_mutex_unlock(&lock);
}

PUBLIC void *lethe_malloc(size_t size)
{
	return allocate(HEAP_ALIGNMENT, size);
}

PUBLIC void *lethe_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return out_of_memory();
	return allocate(HEAP_ALIGNMENT, bytes);
}

PUBLIC void *lethe_aligned_alloc(size_t alignment, size_t size)
{
	if (!alignment || alignment & (alignment - 1)) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(alignment, size);
}

PUBLIC void lethe_free(void *block)
{
	int saved = errno;

	if (!block)
		return;
	release(block);
	errno = saved;
}

PUBLIC size_t lethe_usable_size(const void *block)
{
	struct heap_slot slot;
	size_t size;

	if (!block || !lock_block(block, "usable size", &slot))
		return 0;
	size = slot.span->size;
	pthread_mutex_unlock(&lock);
	return size;
}

/* Does a block of @size bytes stay in a slot of @usable? */
static bool stays(size_t size, size_t usable)
{
	if (size > usable)
		return false;
	/* A slot half empty is secret memory that others lack. */
	if (size > usable / 2)
		return true;
	return heap_class_of(size, HEAP_ALIGNMENT) ==
	       heap_class_of(usable, HEAP_ALIGNMENT);
}

/* A run of pages grows and shrinks where it is, if it stays one. */
static bool resize_run(const struct heap_slot *slot, size_t size)
{
	size_t old = slot->span->size;
	bool resized;

	if (size <= HEAP_SMALL_MAX || size > PTRDIFF_MAX)
		return false;
	pthread_mutex_lock(&lock);
	resized = heap_slot_resize_run(slot, pages_for(size));
	live_bytes += slot->span->size - old;
	pthread_mutex_unlock(&lock);
	return resized;
}

static void *move(void *block, size_t size, size_t usable)
{
	void *fresh = allocate(HEAP_ALIGNMENT, size);

	if (!fresh) {
		/* It may as well stay: there is room for it. */
		return size <= usable ? block : NULL;
	}
	/* Out of a section, nobody erases registers. */
	copy_secret(fresh, block, size < usable ? size : usable);
	release(block);
	return fresh;
}

PUBLIC void *lethe_realloc(void *block, size_t size)
{
	struct heap_slot slot;
	size_t usable;
	int saved = errno;

	if (!block)
		return lethe_malloc(size);
	if (!lock_block(block, "realloc", &slot))
		die("realloc of %p: the parent has it, and a forked child has no secret memory",
		    block);
	usable = slot.span->size;
	pthread_mutex_unlock(&lock);
	/* From here on the span is safe without the lock: the block is live. */

	if (size < usable)
		lethe_wipe((char *)block + size, usable - size);
	if (slot.span->class == HEAP_RUN && resize_run(&slot, size))
		return block;
	if (!stays(size, usable)) {
		block = move(block, size, usable);
		if (!block)
			return NULL;
	}
	errno = saved;
	return block;
}

void heap_stats(struct heap_stats *stats)
{
	pthread_mutex_lock(&lock);
	stats->blocks = live_blocks;
	stats->bytes = live_bytes;
	stats->mapped = heap_extent_bytes();
	pthread_mutex_unlock(&lock);
}

size_t heap_trim(void)
{
	int saved = errno;
	size_t before;

	pthread_mutex_lock(&lock);
	before = heap_extent_bytes();
	heap_span_trim();
	before -= heap_extent_bytes();
	pthread_mutex_unlock(&lock);
	errno = saved;
	return before;
}

void heap_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void heap_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* With the lock. */
static void forget(void)
{
	heap_span_forget();
	heap_meta_forget();
	live_blocks = 0;
	live_bytes = 0;
}

void heap_lose_all(void)
{
	pthread_mutex_lock(&lock);
	forget();
	pthread_mutex_unlock(&lock);
}

void heap_fork_child(void)
{
	if (!inherit_wanted())
		forget();
	pthread_mutex_unlock(&lock);
}
