// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a heap has: its spans, those of them that are empty, the run that it keeps; and
 * what others have given back to it. Knows nothing of threads: whoever calls has the
 * lock and the heap at rest, but for heap_note(), which its thread calls, and
 * heap_give_back(), which any may.
 */
#include "heap_thread.h"

bool heap_note(struct heap *heap, struct heap_span *span)
{
	if (unlikely(heap->nr_noted > HEAP_EMPTY_PAGES_MAX))
		return true;
	span->noted = true;
	heap->noted[heap->nr_noted++] = span;
	heap->noted_pages += span->pages;
	return heap->noted_pages > heap->empty_pages || unlikely(span->extent->lower);
}

static void forget_note(struct heap *heap, struct heap_span *span)
{
	unsigned int i = 0;

	if (!span->noted)
		return;
	span->noted = false;
	while (heap->noted[i] != span)
		i++;
	heap->noted_pages -= span->pages;
	for (heap->nr_noted--; i < heap->nr_noted; i++)
		heap->noted[i] = heap->noted[i + 1];
}

/* It is about to be another's. */
static void cool(struct heap *heap, const struct heap_span *span)
{
	if (heap->hot[span->class].span == span)
		heap->hot[span->class].start = NULL;
}

void heap_own(struct heap *heap, struct heap_span *span)
{
	__atomic_store_n(&span->owner, heap, __ATOMIC_RELEASE);
	span->prev_owned = NULL;
	span->next_owned = heap->spans;
	if (span->next_owned)
		span->next_owned->prev_owned = span;
	heap->spans = span;
}

static void disown(struct heap *heap, struct heap_span *span)
{
	if (span->next_owned)
		span->next_owned->prev_owned = span->prev_owned;
	if (span->prev_owned)
		span->prev_owned->next_owned = span->next_owned;
	else
		heap->spans = span->next_owned;
}

static bool is_queued(const struct heap_span *span)
{
	return __atomic_load_n(&span->queued, __ATOMIC_ACQUIRE);
}

void heap_unlist(struct heap *heap, struct heap_span *span)
{
	forget_note(heap, span);
	cool(heap, span);
	heap_remove_roomy(heap, span);
	disown(heap, span);
}

/*
 * One that is queued stays: some heap's list has it. Whoever gave it back last has no
 * further use for it, see heap_give_back().
 */
bool heap_release(struct heap *heap, struct heap_span *span)
{
	if (is_queued(span))
		return false;
	heap_unlist(heap, span);
	heap_span_release(span);
	return true;
}

/* The oldest first. */
void heap_trim_empty(struct heap *heap, size_t pages)
{
	struct heap_span *span;
	unsigned int i = 0;

	while (i < heap->nr_noted) {
		span = heap->noted[i];
		if (heap->noted_pages <= pages && !span->extent->lower)
			i++;
		else if (!heap_span_is_empty(span))
			forget_note(heap, span);
		else if (heap_release(heap, span))
			heap->gave_away = true;
		else
			i++;
	}
}

/* Kept by all heaps together. */
#define RUN_PAGES_MAX ((size_t)64)

static size_t run_pages;

void heap_release_run(struct heap *heap)
{
	struct heap_span *run = heap->run;

	if (run) {
		disown(heap, run);
		heap_span_release(run);
	}
	heap->run = NULL;
	run_pages -= heap->run_pages;
	heap->run_pages = 0;
}

void heap_put_run(struct heap *heap, struct heap_span *span)
{
	if (span->owner == heap && !heap_is_nobodys(heap) && !heap->in_section &&
	    !span->extent->lower &&
	    run_pages - heap->run_pages + span->pages <= RUN_PAGES_MAX) {
		heap_release_run(heap);
		run_pages += span->pages;
		heap->run_pages = span->pages;
		__atomic_store_n(&span->available[0], 1, __ATOMIC_RELEASE);
		span->available_slots = 1;
		__atomic_store_n(&span->returned[0], 0, __ATOMIC_RELEASE);
		heap->run = span;
		return;
	}
	disown(span->owner, span);
	heap_span_release(span);
}

static void push(struct heap *heap, struct heap_span *span)
{
	struct heap_span *first = __atomic_load_n(&heap->returned, __ATOMIC_RELAXED);

	do
		span->next_returned = first;
	while (!__atomic_compare_exchange_n(&heap->returned, &first, span, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static void queue(struct heap_span *span)
{
	if (!__atomic_load_n(&span->queued, __ATOMIC_ACQUIRE) &&
	    !__atomic_exchange_n(&span->queued, true, __ATOMIC_ACQ_REL))
		push(__atomic_load_n(&span->owner, __ATOMIC_ACQUIRE), span);
}

/*
 * The span is queued before the bit is set, while the block is live: from then on it
 * may be released at any moment, and is not touched again. Should the owner come by
 * between the two, the bit waits for the next that is given back in this span, or
 * for heap_reclaim().
 */
bool heap_give_back(struct heap_slot slot)
{
	uint64_t bit = 1ULL << slot.index % 64;

	queue(slot.span);
	return !(__atomic_fetch_or(&slot.span->returned[slot.index / 64], bit,
				   __ATOMIC_ACQ_REL) &
		 bit);
}

/* With the lock, and the owner at rest or the caller. */
void heap_collect_span(struct heap *heap, struct heap_span *span)
{
	unsigned int w, n;
	uint64_t bits;

	if (span->class == HEAP_RUN)
		return;
	for (w = 0; w < HEAP_SLOT_WORDS; w++) {
		bits = __atomic_load_n(&span->returned[w], __ATOMIC_ACQUIRE);
		if (!bits)
			continue;
		/* In this order, see heap_slot_find(). */
		heap_set_bits(&span->available[w], bits);
		__atomic_fetch_and(&span->returned[w], ~bits, __ATOMIC_ACQ_REL);
		n = (unsigned int)__builtin_popcountll(bits);
		if (!span->available_slots)
			heap_insert_roomy(heap, span);
		span->available_slots = (uint16_t)(span->available_slots + n);
	}
}

void heap_collect(struct heap *heap)
{
	struct heap_span *span, *next;
	struct heap *owner;

	span = __atomic_exchange_n(&heap->returned, NULL, __ATOMIC_ACQUIRE);
	for (; span; span = next) {
		next = span->next_returned;
		__atomic_store_n(&span->queued, false, __ATOMIC_SEQ_CST);
		owner = span->owner;
		if (unlikely(owner != heap)) {
			queue(span);
			continue;
		}
		heap_collect_span(heap, span);
		if (heap_span_is_empty(span) && !span->noted && heap_note(heap, span))
			heap_trim_empty(heap, heap->empty_pages);
	}
}

void heap_tidy(struct heap *heap)
{
	heap_collect(heap);
	heap_trim_empty(heap, heap->empty_pages);
}

void heap_tidy_nobodys(void)
{
	heap_collect(&heap_all.nobodys);
	heap_trim_empty(&heap_all.nobodys, 0);
}

void heap_forget_lists(struct heap *heap)
{
	unsigned int class;

	for (class = 0; class < HEAP_CLASSES; class ++) {
		heap->hot[class].start = NULL;
		heap->roomy[class] = NULL;
	}
	heap->run = NULL;
	heap->run_pages = 0;
	heap->nr_noted = 0;
	heap->noted_pages = 0;
	heap->empty_pages = HEAP_EMPTY_PAGES_MIN;
	heap->gave_away = false;
	heap->spans = NULL;
}

void heap_forget_runs(void)
{
	run_pages = 0;
}
