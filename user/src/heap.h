/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the secret heap know of each other.
 *
 * Layers, each of which calls only those above it:
 *	heap_class.c	which sizes there are
 *	heap_meta.c	ordinary memory for what the heap knows of itself
 *	heap_extent.c	secret pages from space.c, handed out in runs
 *	heap_span.c	runs cut into slots
 *	heap.c		the front: the lock, the wiping, the public functions
 *
 * Two rules hold throughout. Nothing that the heap needs to know lies in a
 * secret page, so that no overflow of a block can lead it astray. And a secret
 * page or slot that is not a live block is all zero: it comes so from the
 * kernel, and the front wipes it before it goes back; nobody clears memory that
 * is handed out.
 *
 * Everything but heap_class.c and the front is called with the front's lock.
 */
#ifndef LETHE_HEAP_H
#define LETHE_HEAP_H

#include "internal.h"

/* What malloc() promises, and the smallest slot. */
#define HEAP_ALIGNMENT ((size_t)16)

/*
 * heap_class.c: the sizes of slots, four to each doubling above 128 bytes. What
 * is larger than the last is a run of whole pages.
 */
#define HEAP_CLASSES 32
#define HEAP_SMALL_MAX (8 * KIB)
/* Not a class: a run of pages that is one slot. */
#define HEAP_RUN HEAP_CLASSES
#define HEAP_SLOTS_MAX 256

/**
 * struct heap_class - how a run of pages is cut
 * @size: bytes of a slot, a multiple of HEAP_ALIGNMENT
 * @pages: pages of a run
 * @slots: slots in a run, HEAP_SLOTS_MAX at most
 * @reciprocal: an offset into the run, times this, shifted right by 32, is the
 *	slot it lies in: a multiplication in place of a division at every free
 */
struct heap_class {
	uint16_t size;
	uint8_t pages;
	uint16_t slots;
	uint32_t reciprocal;
};

extern const struct heap_class heap_classes[HEAP_CLASSES];

/* The class for @size bytes at @alignment, a power of two; or HEAP_RUN. */
unsigned int heap_class_of(size_t size, size_t alignment);

/*
 * heap_meta.c: zeroed ordinary memory, from mmap() alone: what serves malloc()
 * cannot call it. Failure is NULL with errno.
 */
void *heap_meta_map(size_t size);
void heap_meta_unmap(void *memory);
/* In a fork's child: every mapping above goes, and with it all that was known. */
void heap_meta_forget(void);

/* Objects of one size, which come zeroed. @size: a multiple of eight. */
struct heap_pool {
	size_t size;
	void *free;
	char *next, *end;
};

void *heap_pool_get(struct heap_pool *pool);
void heap_pool_put(struct heap_pool *pool, void *object);
void heap_pool_forget(struct heap_pool *pool);

/**
 * struct heap_extent - secret pages from one space_map()
 * @next: in the list of extents with free pages
 * @prev: the same
 * @start: the first page
 * @pages: how many
 * @free_pages: how many of them are in no run
 * @free: a bit for each page, set if it is in no run
 * @span_of: for each page, the span that it belongs to, if the lookup needs it
 */
struct heap_extent {
	struct heap_extent *next, *prev;
	char *start;
	size_t pages, free_pages;
	uint64_t *free;
	struct heap_span *span_of[];
};

/* A run of zeroed pages. NULL and errno. */
char *heap_run_get(size_t pages, size_t alignment, struct heap_extent **extent);
/* The pages must be zero. */
void heap_run_put(struct heap_extent *extent, char *start, size_t pages);
/* Are the pages from @start on free and in the extent? Then they are taken. */
bool heap_run_extend(struct heap_extent *extent, char *start, size_t pages);
/* The extent that @p lies in, or NULL. */
struct heap_extent *heap_extent_of(const void *p);
size_t heap_extent_bytes(void);
/* Gives back the extent that is kept although it is free, if there is one. */
bool heap_extent_trim(void);
void heap_extent_forget(void);

static inline size_t heap_page_index(const struct heap_extent *extent, const void *p)
{
	return ((uintptr_t)p - (uintptr_t)extent->start) / PAGE;
}

static inline bool heap_page_is_free(const struct heap_extent *extent, size_t page)
{
	return extent->free[page / 64] >> page % 64 & 1;
}

/**
 * struct heap_span - a run of pages cut into slots of one size
 * @next: in the list of its class's spans with a slot available
 * @prev: the same
 * @extent: where its pages are from
 * @start: the first slot
 * @size: bytes of a slot
 * @pages: pages of the run
 * @class: its class, or HEAP_RUN
 * @slots: how many there are
 * @available_slots: how many are available
 * @available: a bit for each slot: it is zero, and may be handed out
 * @live: a bit for each slot: somebody's block. A slot that is neither is being
 *	wiped
 */
struct heap_span {
	struct heap_span *next, *prev;
	struct heap_extent *extent;
	char *start;
	size_t size, pages;
	unsigned int class;
	uint16_t slots, available_slots;
	uint64_t available[HEAP_SLOTS_MAX / 64];
	uint64_t live[HEAP_SLOTS_MAX / 64];
};

/* A live block, for as long as nobody frees it. */
struct heap_slot {
	struct heap_span *span;
	unsigned int index;
};

/* The block, zeroed and live. NULL and errno. */
void *heap_slot_get(unsigned int class, struct heap_slot *slot);
void *heap_slot_get_run(size_t pages, size_t alignment, struct heap_slot *slot);
/* NULL, and the slot whose block starts at @p; else what is wrong with @p. */
const char *heap_slot_find(const void *p, struct heap_slot *slot);
/* Freeing is both, with a wipe in between. */
void heap_slot_unlive(const struct heap_slot *slot);
void heap_slot_put(const struct heap_slot *slot);
/*
 * Give a HEAP_RUN this many pages where it stands, if that can be. Pages that
 * are given up must be zero.
 */
bool heap_slot_resize_run(const struct heap_slot *slot, size_t pages);
/* Gives back the pages that are kept although they hold no block, if any. */
bool heap_span_trim(void);
void heap_span_forget(void);

/**
 * struct heap_stats - what the heap holds
 * @blocks: live blocks
 * @bytes: what they have room for
 * @mapped: bytes of secret pages that the heap has
 */
struct heap_stats {
	size_t blocks, bytes, mapped;
};

void heap_stats(struct heap_stats *stats);

#endif /* LETHE_HEAP_H */
