// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret heap's front: the wiping, and the public functions. A block comes from
 * the thread's own heap and, if that thread frees it, goes back there: neither takes
 * a lock or leaves this file. The rest is the slow way.
 *
 * Blocks come zeroed because they were wiped when they were freed, over the
 * whole of their slot and by whoever freed them. A pointer that is no live block
 * is never repaired: the process has lost track of its secrets, and is aborted.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "heap_thread.h"

/* Up to here a loop is as quick as memset(), without the call. */
#define WIPE_INLINE_MAX 128

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

/* A whole slot: a multiple of 16 bytes, aligned to 16. */
static inline void wipe_slot(char *slot, size_t size)
{
	typedef long long pair __attribute__((vector_size(16), may_alias));
	pair zero = { 0 };
	size_t i;

	if (size > WIPE_INLINE_MAX) {
		memset(slot, 0, size);
	} else {
		/* Who does not know what it is does not make a call of it again. */
		__asm__("" : "+x"(zero));
		for (i = 0; i < size; i += sizeof(pair))
			*(pair *)(slot + i) = zero;
	}
	/* As in lethe_wipe(). */
	__asm__ volatile("" : : "r"(slot) : "memory");
}

static NOINLINE void *allocate_slowly(size_t alignment, size_t size, unsigned int class)
{
	struct heap *heap;
	void *block;

	if (unlikely(!lethe_thread.heap))
		heap_attach(&lethe_thread);
	heap_lock();
	heap = heap_mine();
	if (class != HEAP_RUN) {
		block = heap_take(heap, class);
		if (!block)
			block = heap_refill(heap, class);
	} else {
		block = heap_new_run(heap, pages_for(size), alignment);
	}
	heap_unlock();
	return block;
}

static NOINLINE void *allocate_run(size_t alignment, size_t size)
{
	struct heap *heap = lethe_thread.heap;
	void *block = NULL;

	if (unlikely(size > PTRDIFF_MAX))
		return out_of_memory();
	if (alignment < PAGE)
		alignment = PAGE;
	if (likely(heap && heap_enter(heap))) {
		block = heap_take_run(heap, pages_for(size), alignment);
		heap_leave(heap);
	}
	return block ? block : allocate_slowly(alignment, size, HEAP_RUN);
}

static ALWAYS_INLINE void *allocate(size_t alignment, size_t size, unsigned int class)
{
	struct heap *heap = lethe_thread.heap;
	void *block;

	if (unlikely(class == HEAP_RUN))
		return allocate_run(alignment, size);
	if (likely(heap && heap_enter(heap))) {
		block = heap_take(heap, class);
		heap_leave(heap);
		if (likely(block))
			return block;
	}
	return allocate_slowly(alignment, size, class);
}

static ALWAYS_INLINE void *allocate_any(size_t size)
{
	return allocate(HEAP_ALIGNMENT, size,
			likely(size <= HEAP_SMALL_MAX) ? heap_class_of_size(size) :
							 HEAP_RUN);
}

PUBLIC void *lethe_malloc(size_t size)
{
	return allocate_any(size);
}

PUBLIC void *lethe_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
		return out_of_memory();
	return allocate_any(bytes);
}

PUBLIC void *lethe_aligned_alloc(size_t alignment, size_t size)
{
	if (!alignment || alignment & (alignment - 1)) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(alignment, size, heap_class_of(size, alignment));
}

/* Returns for what was a block before a fork, or before the kernel took it back. */
static COLD void complain(const void *block, const char *what_for)
{
	const char *complaint;

	if (space_lost(block))
		return;
	heap_lock();
	complaint = heap_slot_complaint(block);
	/* Not in die(): whoever catches the signal may well free something. */
	heap_unlock();
	die("%s of %p: %s", what_for, block, complaint);
}

static ALWAYS_INLINE bool find(const void *block, const char *what_for,
			       struct heap_slot *slot)
{
	if (likely(heap_slot_find(block, slot)))
		return true;
	complain(block, what_for);
	return false;
}

/*
 * Another's block, or one that a handler frees. The bit is set once: of two that free
 * it, one is told.
 */
static NOINLINE void release_slowly(struct heap_slot slot)
{
	struct heap_span *span = slot.span;
	struct heap *heap = lethe_thread.heap;
	const struct heap *owner = __atomic_load_n(&span->owner, __ATOMIC_ACQUIRE);
	char *block = heap_slot_start(slot);
	size_t size = span->size;
	int saved = errno;

	wipe_slot(block, size);
	if (!heap_give_back(slot))
		die("free of %p: its memory is free already", block);
	if (likely(heap)) {
		heap->blocks--;
		heap->freed += size;
	}
	if (heap_is_nobodys(owner)) {
		heap_lock();
		heap_tidy_nobodys();
		heap_unlock();
	}
	errno = saved;
}

static NOINLINE void release_run(struct heap_span *span)
{
	struct heap *heap = lethe_thread.heap;
	size_t size = span->size;
	int saved = errno;
	bool kept;

	/* First: another that frees it too must not come upon pages that are gone. */
	if (!heap_claim_run(span))
		die("free of %p: its memory is free already", span->start);
	wipe_slot(span->start, size);
	if (likely(heap)) {
		heap->blocks--;
		heap->freed += size;
	}
	if (__atomic_load_n(&span->owner, __ATOMIC_RELAXED) == heap && heap_enter(heap)) {
		kept = heap_keep_run(heap, span);
		heap_leave(heap);
		if (likely(kept))
			return;
	}
	heap_lock();
	heap_put_run(heap_mine(), span);
	heap_unlock();
	errno = saved;
}

static COLD void tidy(struct heap *heap)
{
	int saved = errno;

	heap_lock();
	heap_tidy(heap);
	heap_unlock();
	errno = saved;
}

static ALWAYS_INLINE void release(struct heap_slot slot, char *block)
{
	struct heap_span *span = slot.span;
	struct heap *heap = lethe_thread.heap;
	bool untidy;

	if (unlikely(span->class == HEAP_RUN)) {
		release_run(span);
		return;
	}
	if (likely(__atomic_load_n(&span->owner, __ATOMIC_RELAXED) == heap) &&
	    likely(heap_enter(heap))) {
		wipe_slot(block, span->size);
		heap->blocks--;
		heap->freed += span->size;
		untidy = heap_put(heap, slot, block);
		heap_leave(heap);
		if (unlikely(untidy))
			tidy(heap);
		return;
	}
	release_slowly(slot);
}

PUBLIC void lethe_free(void *block)
{
	struct heap_slot slot;

	if (likely(block) && find(block, "free", &slot))
		release(slot, block);
}

PUBLIC size_t lethe_usable_size(const void *block)
{
	struct heap_slot slot;

	if (!block || !find(block, "usable size", &slot))
		return 0;
	return slot.span->size;
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
static bool resize_run(struct heap_span *span, size_t size)
{
	bool resized;

	if (size <= HEAP_SMALL_MAX || size > PTRDIFF_MAX)
		return false;
	heap_lock();
	resized = heap_span_resize(span, pages_for(size));
	heap_unlock();
	return resized;
}

static void *move(struct heap_slot slot, size_t size, size_t usable)
{
	void *block = heap_slot_start(slot), *fresh = allocate_any(size);

	if (!fresh) {
		/* It may as well stay: there is room for it. */
		return size <= usable ? block : NULL;
	}
	/* Out of a section, nobody erases registers. */
	copy_secret(fresh, block, size < usable ? size : usable);
	release(slot, block);
	return fresh;
}

PUBLIC void *lethe_realloc(void *block, size_t size)
{
	struct heap_slot slot;
	size_t usable;
	int saved = errno;

	if (!block)
		return lethe_malloc(size);
	if (!find(block, "realloc", &slot))
		die("realloc of %p: the parent has it, and a forked child has no secret memory",
		    block);
	usable = slot.span->size;
	if (size < usable)
		wipe_memory((char *)block + size, usable - size);
	if (slot.span->class == HEAP_RUN && resize_run(slot.span, size))
		return block;
	if (!stays(size, usable)) {
		block = move(slot, size, usable);
		if (!block)
			return NULL;
	}
	errno = saved;
	return block;
}

size_t heap_trim(void)
{
	size_t before;

	heap_lock();
	before = heap_extent_bytes();
	heap_reclaim();
	before -= heap_extent_bytes();
	heap_unlock();
	return before;
}
