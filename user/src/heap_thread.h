/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Who may take slots from spans, and put them back.
 *
 * A thread works on its own heap's lists and the slots of its own spans between
 * heap_enter() and heap_leave(), without a lock; all else is for whoever holds the lock,
 * who may stop every thread's heap too (heap_stop_all()). Who frees another thread's
 * block sets a bit beside it (heap_give_back()), and takes no lock.
 */
#ifndef LETHE_HEAP_THREAD_H
#define LETHE_HEAP_THREAD_H

#include "heap.h"

/*
 * Pages of empty spans that a heap keeps for the next block: few, and twice as many each
 * time that it has to ask for what it gave away.
 */
#define HEAP_EMPTY_PAGES_MIN ((size_t)2)
#define HEAP_EMPTY_PAGES_MAX ((size_t)64)

/**
 * struct heap_hot - the slot that was freed last, of a class
 * @start: it; NULL if it has been handed out again, or is its owner's no more
 * @span: its span
 * @index: its number there
 *
 * As available as others. But who takes it need not look for it, nor wait for what
 * was looked up as it was freed: without, that is most of what a lone block costs.
 */
struct heap_hot {
	char *start;
	struct heap_span *span;
	unsigned int index;
};

/**
 * struct heap - the spans of one thread, or of one section
 * @busy: its thread is at work on it
 * @stop: it is not to: all goes by the lock
 * @in_section: of a section that has one of its own
 * @nr_noted: of @noted
 * @noted_pages: pages of all these together
 * @empty_pages: as many of them it may keep
 * @gave_away: it has since it last asked for a span
 * @least: the lowest level of its spans
 * @blocks: that its thread has allocated, less those that it has freed, of whichever
 *	heap
 * @freed: bytes of these
 * @hot: for each class, what was freed last
 * @run: a HEAP_RUN that was freed, and is kept for the next of its size
 * @run_pages: as many pages as it may keep that way
 * @roomy: for each class, the spans that have a slot available
 * @noted: spans with nothing but available slots, the oldest first; or that were so,
 *	and are in use again
 * @returned: spans with slots that others have freed
 * @next: in the list of all heaps, or of those that are nobody's
 * @spans: all that it owns
 */
struct heap {
	bool busy, stop, in_section;
	enum lethe_level least;
	ptrdiff_t blocks;
	size_t freed;
	struct heap_hot hot[HEAP_CLASSES];
	struct heap_span *run;
	size_t run_pages;
	struct heap_span *roomy[HEAP_CLASSES];
	struct heap_span *noted[HEAP_EMPTY_PAGES_MAX + 1];
	unsigned int nr_noted;
	size_t noted_pages, empty_pages;
	bool gave_away;

	struct heap_span *returned __attribute__((aligned(CACHE_LINE)));

	struct heap *next __attribute__((aligned(CACHE_LINE)));
	struct heap_span *spans;
};

/**
 * struct heap_all - every heap that there is; with the lock
 * @used: threads' and sections'
 * @idle: structures that are nobody's, and empty
 * @nobodys: of threads that have ended, and of those that can have none
 */
struct heap_all {
	struct heap *used, *idle;
	struct heap nobodys;
};

extern struct heap_all heap_all;

/* Nobody will ask for what is given back to it. */
static inline bool heap_is_nobodys(const struct heap *heap)
{
	return heap == &heap_all.nobodys;
}

/* heap_lock.c: the one lock. A handler that comes meanwhile does not enter the heap. */
void heap_lock(void);
void heap_unlock(void);

/*
 * Begin to work on the thread's own heap without the lock. False: it is stopped, or
 * this is a handler that has interrupted such work.
 *
 * Whoever stops it sets @stop, has every thread pass a barrier (membarrier(2)), and
 * waits for @busy to go: either that sees the one, or this sees the other.
 */
static inline bool heap_enter(struct heap *heap)
{
	if (unlikely(__atomic_load_n(&heap->busy, __ATOMIC_RELAXED)))
		return false;
	__atomic_store_n(&heap->busy, true, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&heap->stop, __ATOMIC_ACQUIRE)))
		return true;
	__atomic_store_n(&heap->busy, false, __ATOMIC_RELEASE);
	return false;
}

static inline void heap_leave(struct heap *heap)
{
	__atomic_store_n(&heap->busy, false, __ATOMIC_RELEASE);
}

/* Entered, or with the lock: the span has a slot available again; or none is left. */
static inline void heap_insert_roomy(struct heap *heap, struct heap_span *span)
{
	struct heap_span **first = &heap->roomy[span->class];

	span->prev = NULL;
	span->next = *first;
	if (span->next)
		span->next->prev = span;
	*first = span;
}

static inline void heap_remove_roomy(struct heap *heap, struct heap_span *span)
{
	if (span->next)
		span->next->prev = span->prev;
	if (span->prev)
		span->prev->next = span->next;
	else
		heap->roomy[span->class] = span->next;
}

/* heap_lists.c: it has become empty. True: that is more than is kept. */
bool heap_note(struct heap *heap, struct heap_span *span);

static inline void heap_clear_bit(uint64_t *words, unsigned int i)
{
	uint64_t word = __atomic_load_n(&words[i / 64], __ATOMIC_RELAXED);

	__atomic_store_n(&words[i / 64], word & ~(1ULL << i % 64), __ATOMIC_RELAXED);
}

/* Entered, or with the lock: the next slot of this class, if there is a span. */
static ALWAYS_INLINE void *heap_take(struct heap *heap, unsigned int class)
{
	struct heap_hot *hot = &heap->hot[class];
	char *block = hot->start;
	struct heap_span *span;
	unsigned int index;

	if (likely(block)) {
		span = hot->span;
		index = hot->index;
		hot->start = NULL;
		heap_clear_bit(span->available, index);
	} else {
		span = heap->roomy[class];
		if (unlikely(!span))
			return NULL;
		index = heap_span_take(span);
		block = span->start + index * span->size;
	}
	heap_span_unkeep(span, index);
	if (unlikely(!--span->available_slots))
		heap_remove_roomy(heap, span);
	heap->blocks++;
	return block;
}

/*
 * Entered, or with the lock: @block, a wiped slot of one of its own spans. True: now
 * it keeps more empty spans than it should.
 */
static ALWAYS_INLINE bool heap_put(struct heap *heap, struct heap_slot slot, char *block)
{
	struct heap_span *span = slot.span;
	struct heap_hot *hot = &heap->hot[span->class];

	heap_set_bits(&span->available[slot.index / 64], 1ULL << slot.index % 64);
	hot->start = block;
	hot->span = span;
	hot->index = slot.index;
	if (unlikely(!span->available_slots++))
		heap_insert_roomy(heap, span);
	if (likely(span->available_slots != span->slots || span->noted))
		return false;
	return heap_note(heap, span);
}

/* Entered: the run that is kept, if it will do. */
static inline void *heap_take_run(struct heap *heap, size_t pages, size_t alignment)
{
	struct heap_span *run = heap->run;

	if (!run || run->pages != pages || (uintptr_t)run->start % alignment)
		return NULL;
	heap->run = NULL;
	heap_clear_bit(run->available, 0);
	run->available_slots = 0;
	heap->blocks++;
	return run->start;
}

/* Entered, it is claimed, and wiped: it is kept. False: it is not to be. */
static inline bool heap_keep_run(struct heap *heap, struct heap_span *run)
{
	if (heap->run || run->pages > heap->run_pages)
		return false;
	heap_set_bits(&run->available[0], 1);
	run->available_slots = 1;
	/* In this order, see heap_slot_find(). */
	__atomic_store_n(&run->returned[0], 0, __ATOMIC_RELEASE);
	heap->run = run;
	return true;
}

/*
 * heap_lists.c. Any thread, without the lock: a wiped slot of another heap's. False:
 * somebody has given it back before.
 */
bool heap_give_back(struct heap_slot slot);

/* Any thread: a run of pages that is one block. False as above. */
static inline bool heap_claim_run(struct heap_span *span)
{
	return !(__atomic_fetch_or(&span->returned[0], 1, __ATOMIC_ACQ_REL) & 1);
}

static inline bool heap_span_is_empty(const struct heap_span *span)
{
	return span->available_slots == span->slots;
}

/* With the lock, all that follow. Among the spans of a heap; no more among them. */
void heap_own(struct heap *heap, struct heap_span *span);
void heap_unlist(struct heap *heap, struct heap_span *span);
/* An empty one. False: it cannot be yet. */
bool heap_release(struct heap *heap, struct heap_span *span);
/* Releases empty ones, until there are no more pages of them than this. */
void heap_trim_empty(struct heap *heap, size_t pages);
/* A run that is claimed, and wiped: kept by the heap, if it may, or released. */
void heap_put_run(struct heap *heap, struct heap_span *span);
void heap_release_run(struct heap *heap);
/* What was given back comes into its heap's hand. */
void heap_collect_span(struct heap *heap, struct heap_span *span);
void heap_collect(struct heap *heap);
/* So it does, and what is empty beyond measure goes. */
void heap_tidy(struct heap *heap);
void heap_tidy_nobodys(void);
void heap_forget_lists(struct heap *heap);
void heap_forget_runs(void);

/* heap_lock.c. The heap to use; nobody's where there is no other. */
struct heap *heap_mine(void);
/* No thread can be stopped without its doing: all goes by the lock. */
bool heap_must_lock(void);
/*
 * All threads' heaps are at rest, whatever state their threads are in, until
 * heap_go_on_all(). False: at least one is not, and its @stop is not set.
 */
bool heap_stop_all(void);
void heap_go_on_all(void);
void heap_lock_fork_child(void);

/* heap_thread.c. The thread's first block: a heap of its own. Without the lock. */
void heap_attach(struct thread *thread);
/* With it: an empty one. NULL and errno. */
struct heap *heap_new(void);
/* Its blocks live on as nobody's, and it is no more. */
void heap_retire(struct heap *heap);
/* A block from a heap that has no span for it at hand. NULL and errno. */
void *heap_refill(struct heap *heap, unsigned int class);
void *heap_new_run(struct heap *heap, size_t pages, size_t alignment);
void heap_thread_forget(void);

/* heap_reclaim.c: everything that can be had back from any heap is. */
void heap_reclaim(void);

#endif /* LETHE_HEAP_THREAD_H */
