// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Sections that have a heap of their own: what LETHE_SCOPED_HEAP leaves in it is wiped
 * and freed at the section's end, all but what lethe_keep() named; and one that
 * requires more than what LETHE_OVERFLOW falls back on gets it for every block.
 *
 * What is left when such a section is over belongs to nobody, as the blocks of a
 * thread that has ended do, and is used and freed like any other.
 */
#include <errno.h>

#include "heap_thread.h"

static void mark(struct thread *thread)
{
	thread->blocks = thread->heap ? thread->heap->blocks : 0;
	thread->freed = thread->heap ? thread->heap->freed : 0;
}

int heap_section_begin(struct thread *thread, unsigned int flags,
		       enum lethe_level require)
{
	struct heap *heap;

	if (likely(!(flags & LETHE_SCOPED_HEAP) &&
		   (require < LETHE_LEVEL_UNMAPPED || !backend_overflow()))) {
		mark(thread);
		return 0;
	}
	heap_lock();
	heap = heap_new();
	if (heap) {
		heap->in_section = true;
		heap->least = require;
	}
	heap_unlock();
	if (!heap)
		return -ENOMEM;
	thread->aside = thread->heap;
	thread->heap = heap;
	mark(thread);
	return 0;
}

void heap_section_count(const struct thread *thread, size_t *freed, size_t *live)
{
	const struct heap *heap = thread->heap;
	ptrdiff_t blocks = heap ? heap->blocks - thread->blocks : 0;

	*freed = heap ? heap->freed - thread->freed : 0;
	*live = blocks > 0 ? (size_t)blocks : 0;
}

static bool is_kept(struct heap_slot slot)
{
	const uint64_t *kept = slot.span->kept;

	return kept && heap_bit(kept, slot.index);
}

/* Live blocks, but for the kept: another thread may be freeing one right now. */
static void free_span(struct heap *heap, struct heap_span *span)
{
	struct heap_slot slot = { .span = span };

	for (slot.index = 0; slot.index < span->slots; slot.index++) {
		if (heap_bit(span->returned, slot.index) ||
		    heap_bit(span->available, slot.index) || is_kept(slot))
			continue;
		wipe_memory(heap_slot_start(slot), span->size);
		if (!heap_give_back(slot))
			continue;
		heap->blocks--;
		heap->freed += span->size;
	}
}

static void free_run(struct heap *heap, struct heap_span *span)
{
	struct heap_slot slot = { .span = span };
	size_t size = span->size;

	if (heap_bit(span->returned, 0) || is_kept(slot))
		return;
	if (!heap_claim_run(span))
		return;
	wipe_memory(span->start, size);
	heap_put_run(heap, span);
	heap->blocks--;
	heap->freed += size;
}

void heap_section_free(struct thread *thread)
{
	struct heap *heap = thread->heap;
	struct heap_span *span, *next;

	if (!heap || !heap->in_section || !(thread->flags & LETHE_SCOPED_HEAP))
		return;
	heap_lock();
	for (span = heap->spans; span; span = next) {
		next = span->next_owned;
		if (span->class == HEAP_RUN)
			free_run(heap, span);
		else
			free_span(heap, span);
	}
	heap_unlock();
}

void heap_section_end(struct thread *thread)
{
	if (likely(!thread->heap || !thread->heap->in_section))
		return;
	heap_lock();
	heap_retire(thread->heap);
	heap_unlock();
	thread->heap = thread->aside;
	thread->aside = NULL;
}

PUBLIC int lethe_keep(void *block)
{
	struct heap *heap = lethe_thread.heap;
	struct heap_slot slot;
	int err = 0;

	if (!block || !heap_slot_find(block, &slot))
		return -EINVAL;
	/* Of another heap, it lives on anyway. */
	if (!heap || !heap->in_section || slot.span->owner != heap)
		return 0;
	heap_lock();
	err = heap_span_keep(slot);
	heap_unlock();
	return err;
}
