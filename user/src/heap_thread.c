// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Each thread's heap: how it comes and goes, and where its spans come from. What a
 * thread does with spans that it has at hand is in heap_thread.h, inline, and takes no
 * lock; all of this is called with the lock.
 *
 * A heap outlives its thread as a structure, empty, for the next one: who gives
 * back a block may yet be about to look at it. The spans with live blocks become
 * nobody's, and whichever thread needs one of that class adopts it.
 */
#include <errno.h>

#include "heap_thread.h"

/* Never put back into. */
static struct heap_pool pool = { .size = sizeof(struct heap) };

struct heap *heap_new(void)
{
	struct heap *heap = heap_all.idle;

	if (heap) {
		heap_all.idle = heap->next;
	} else {
		heap = heap_pool_get(&pool);
		if (!heap)
			return NULL;
	}
	heap_forget_lists(heap);
	heap->busy = false;
	heap->in_section = false;
	heap->least = LETHE_LEVEL_NONE;
	heap->blocks = 0;
	heap->freed = 0;
	__atomic_store_n(&heap->stop, heap_must_lock(), __ATOMIC_RELEASE);
	heap->next = heap_all.used;
	heap_all.used = heap;
	return heap;
}

static void give_to_nobody(struct heap_span *span)
{
	heap_own(&heap_all.nobodys, span);
	span->noted = false;
	if (span->class == HEAP_RUN || !span->available_slots)
		return;
	heap_insert_roomy(&heap_all.nobodys, span);
	if (heap_span_is_empty(span))
		heap_release(&heap_all.nobodys, span);
}

void heap_retire(struct heap *heap)
{
	struct heap_span *span, *next;
	struct heap **link = &heap_all.used;

	__atomic_store_n(&heap->stop, true, __ATOMIC_RELEASE);
	heap_collect(heap);
	heap_release_run(heap);
	span = heap->spans;
	heap_forget_lists(heap);
	for (; span; span = next) {
		next = span->next_owned;
		give_to_nobody(span);
	}

	while (*link != heap)
		link = &(*link)->next;
	*link = heap->next;
	heap->next = heap_all.idle;
	heap_all.idle = heap;
}

void heap_attach(struct thread *thread)
{
	if (thread->exiting || thread_register(thread))
		return;
	heap_lock();
	thread->heap = heap_new();
	heap_unlock();
}

void heap_thread_exit(struct thread *thread)
{
	if (!thread->heap)
		return;
	heap_lock();
	heap_retire(thread->heap);
	thread->heap = NULL;
	heap_unlock();
}

/* One of nobody's with room, and all that was ever in it. */
static bool adopt(struct heap *heap, unsigned int class)
{
	struct heap_span *span;

	if (heap_is_nobodys(heap) || heap->in_section)
		return false;
	heap_tidy_nobodys();
	span = heap_all.nobodys.roomy[class];
	if (!span)
		return false;
	heap_unlist(&heap_all.nobodys, span);
	heap_own(heap, span);
	heap_insert_roomy(heap, span);
	return true;
}

static struct heap_span *get(struct heap *heap, unsigned int class, size_t pages,
			     size_t alignment)
{
	return heap_span_new(class, pages, alignment, heap->least, false);
}

/* Once heap_reclaim() has made what room there is. */
static struct heap_span *get_again(struct heap *heap, unsigned int class, size_t pages,
				   size_t alignment)
{
	struct heap_span *span = get(heap, class, pages, alignment);

	if (!span && errno == ENOMEM && heap->least < LETHE_LEVEL_UNMAPPED &&
	    backend_overflow())
		span = heap_span_new(class, pages, alignment, heap->least, true);
	return span;
}

static bool has_roomy(struct heap *heap, unsigned int class)
{
	return heap->roomy[class] || adopt(heap, class);
}

void *heap_refill(struct heap *heap, unsigned int class)
{
	size_t pages = heap_classes[class].pages;
	struct heap_span *span;

	heap_tidy(heap);
	if (has_roomy(heap, class))
		return heap_take(heap, class);
	if (heap->gave_away && heap->empty_pages < HEAP_EMPTY_PAGES_MAX)
		heap->empty_pages *= 2;
	heap->gave_away = false;
	span = get(heap, class, pages, PAGE);
	if (unlikely(!span && errno == ENOMEM)) {
		heap_reclaim();
		if (has_roomy(heap, class))
			return heap_take(heap, class);
		span = get_again(heap, class, pages, PAGE);
	}
	if (!span)
		return NULL;
	heap_own(heap, span);
	heap_insert_roomy(heap, span);
	return heap_take(heap, class);
}

void *heap_new_run(struct heap *heap, size_t pages, size_t alignment)
{
	struct heap_span *span = get(heap, HEAP_RUN, pages, alignment);

	if (unlikely(!span && errno == ENOMEM)) {
		heap_reclaim();
		span = get_again(heap, HEAP_RUN, pages, alignment);
	}
	if (!span)
		return NULL;
	heap_own(heap, span);
	heap_span_take(span);
	span->available_slots = 0;
	heap->blocks++;
	return span->start;
}

void heap_thread_forget(void)
{
	heap_pool_forget(&pool);
	heap_all.used = NULL;
	heap_all.idle = NULL;
}
