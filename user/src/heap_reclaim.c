// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What concerns all heaps at once: having back what can be had back, counting what is
 * live, a fork, and the loss of every secret page.
 */
#include <errno.h>

#include "heap_thread.h"

/* Those bits too that wait for a next one. */
static void reclaim(struct heap *heap)
{
	struct heap_span *span, *next;

	heap_collect(heap);
	heap_release_run(heap);
	for (span = heap->spans; span; span = next) {
		next = span->next_owned;
		heap_collect_span(heap, span);
	}
	for (span = heap->spans; span; span = next) {
		next = span->next_owned;
		if (span->class != HEAP_RUN && heap_span_is_empty(span))
			heap_release(heap, span);
	}
	heap->empty_pages = HEAP_EMPTY_PAGES_MIN;
	heap->gave_away = false;
}

void heap_reclaim(void)
{
	int saved = errno;
	struct heap *heap;

	heap_stop_all();
	/* What was given back to a heap that is gone finds its new owner first. */
	for (heap = heap_all.idle; heap; heap = heap->next)
		heap_collect(heap);
	for (heap = heap_all.used; heap; heap = heap->next)
		if (heap->stop)
			reclaim(heap);
	reclaim(&heap_all.nobodys);
	heap_go_on_all();
	heap_extent_trim();
	errno = saved;
}

static void count(const struct heap *heap, struct heap_stats *stats)
{
	const struct heap_span *span;
	size_t live;
	unsigned int w;

	for (span = heap->spans; span; span = span->next_owned) {
		live = (size_t)(span->slots - span->available_slots);
		for (w = 0; w < HEAP_SLOT_WORDS; w++)
			live -= (size_t)__builtin_popcountll(
				__atomic_load_n(&span->returned[w], __ATOMIC_ACQUIRE));
		stats->blocks += live;
		stats->bytes += live * span->size;
	}
}

void heap_stats(struct heap_stats *stats)
{
	const struct heap *heap;

	*stats = (struct heap_stats){ 0 };
	heap_lock();
	heap_stop_all();
	for (heap = heap_all.used; heap; heap = heap->next)
		count(heap, stats);
	count(&heap_all.nobodys, stats);
	stats->mapped = heap_extent_bytes();
	heap_go_on_all();
	heap_unlock();
}

/* With the lock: in a fork's child, or where all secret pages were revoked. */
static void forget_nobodys(void)
{
	heap_forget_lists(&heap_all.nobodys);
	heap_all.nobodys.returned = NULL;
	heap_forget_runs();
}

/*
 * What described the lost blocks stays as it is, a few hundredths of what they took:
 * who frees one right now is looking at it.
 */
void heap_lose_all(void)
{
	struct heap *heap;

	heap_lock();
	heap_stop_all();
	for (heap = heap_all.used; heap; heap = heap->next) {
		heap_forget_lists(heap);
		__atomic_store_n(&heap->returned, NULL, __ATOMIC_RELEASE);
	}
	forget_nobodys();
	heap_span_lose();
	heap_go_on_all();
	heap_unlock();
}

/* Of a copy, every heap must be whole: none of another thread's in the midst of it. */
static bool all_at_rest;

void heap_fork_prepare(void)
{
	unsigned int tries = 25;

	heap_lock();
	if (!inherit_wanted())
		return;
	do
		all_at_rest = heap_stop_all();
	while (!all_at_rest && --tries);
}

void heap_fork_parent(void)
{
	if (inherit_wanted())
		heap_go_on_all();
	heap_unlock();
}

/* The threads are gone, their blocks are nobody's: this thread's too, for once. */
static void keep_all(void)
{
	if (!all_at_rest)
		die("a thread was in the midst of an allocation for seconds: the forked child's heap is not whole, and it is aborted");
	while (heap_all.used)
		heap_retire(heap_all.used);
}

void heap_fork_child(void)
{
	if (inherit_wanted()) {
		keep_all();
		heap_lock_fork_child();
		return;
	}
	heap_thread_forget();
	forget_nobodys();
	heap_span_forget();
	heap_meta_forget();
	heap_lock_fork_child();
}
