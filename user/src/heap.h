/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the secret heap know of each other.
 *
 * Layers, each of which calls only those above it:
 *	heap_class.c	which sizes there are
 *	heap_meta.c	ordinary memory for what the heap knows of itself
 *	heap_extent.c	secret pages from space.c, handed out in runs
 *	heap_span.c	runs cut into slots; whose slot an address is
 *	heap_lock.c	the lock, and how all threads are brought to rest
 *	heap_lists.c	what one heap has, and what others give back to it
 *	heap_thread.c	a heap for each thread
 *	heap_reclaim.c	all heaps at once: trimming, forks
 *	heap_section.c	sections with a heap of their own; what they keep
 *	heap.c		the front: the wiping, the public functions
 *
 * Three rules hold throughout. Nothing that the heap needs to know lies in a
 * secret page, so that no overflow of a block can lead it astray. A secret
 * page or slot that is not a live block is all zero: it comes so from the
 * kernel, and the front wipes it before it goes back; nobody clears memory that
 * is handed out. And what is here is safe to read for as long as the block that
 * it describes is live, without any lock.
 *
 * Who may change what stands in heap_thread.h.
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
#define HEAP_SLOT_WORDS (HEAP_SLOTS_MAX / 64)

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

/* The same at HEAP_ALIGNMENT, for at most HEAP_SMALL_MAX bytes. */
static inline unsigned int heap_class_of_size(size_t size)
{
	unsigned int log;

	/* Classes 0 to 7 are the multiples of 16; then come four for each doubling. */
	if (likely(size <= 128))
		return size ? (unsigned int)(size - 1) / 16 : 0;
	log = 63 - (unsigned int)__builtin_clzl(size - 1);
	return 8 + (log - 7) * 4 + (unsigned int)((size - 1) >> (log - 2) & 3);
}

/*
 * heap_meta.c: zeroed ordinary memory, from mmap() alone: what serves malloc()
 * cannot call it. Failure is NULL with errno. With the lock.
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
 * @next_known: in the list of all
 * @prev_known: the same
 * @start: the first page
 * @pages: how many
 * @free_pages: how many of them are in no run
 * @free: a bit for each page, set if it is in no run; an extent of more pages than
 *	bits is all one run
 * @level: what protects them
 * @lower: less than the backend's pages are: used, and kept, for nothing that could
 *	have those
 */
struct heap_extent {
	struct heap_extent *next, *prev;
	struct heap_extent *next_known, *prev_known;
	char *start;
	size_t pages, free_pages;
	uint64_t free;
	enum lethe_level level;
	bool lower;
};

/*
 * A run of zeroed pages, of this level at least; with @overflow, of a lower one than
 * the backend's if need be. NULL and errno. With the lock, as the rest of these.
 */
char *heap_run_get(size_t pages, size_t alignment, enum lethe_level least, bool overflow,
		   struct heap_extent **extent);
/* The pages must be zero. */
void heap_run_put(struct heap_extent *extent, char *start, size_t pages);
/* Are the pages from @start on free and in the extent? Then they are taken. */
bool heap_run_extend(struct heap_extent *extent, char *start, size_t pages);
/* Can a part of a run be put back? */
bool heap_run_shrinks(const struct heap_extent *extent);
size_t heap_extent_bytes(void);
/* Gives back the extents that are kept although they are free. Were there any? */
bool heap_extent_trim(void);
/* The extent that @p lies in, or NULL. */
const struct heap_extent *heap_extent_of(const void *p);
/* All of them, from NULL to NULL. */
const struct heap_extent *heap_extent_next(const struct heap_extent *extent);
/* Is its page in no run? */
bool heap_extent_is_free(const struct heap_extent *extent, const void *p);
void heap_extent_forget(void);

struct heap;

/**
 * struct heap_span - a run of pages cut into slots of one size
 * @start: the first slot
 * @size: bytes of a slot
 * @reciprocal: see struct heap_class; 0 of a HEAP_RUN, all of which is slot 0
 * @class: its class, or HEAP_RUN
 * @slots: how many there are
 * @pages: pages of the run
 * @owner: whose it is
 * @extent: where its pages are from
 * @next_owned: in the owner's list of all its spans. With the lock
 * @prev_owned: the same
 * @next: in the owner's list of spans of this class with a slot available
 * @prev: the same
 * @available: a bit for each slot: it is zero, and may be handed out. The owner
 *	alone writes it; whoever frees a block looks whether it is live
 * @available_slots: how many these are
 * @noted: it is in the owner's list of spans that were empty
 * @returned: a bit for each slot that another than the owner has freed, and
 *	which the owner does not have back yet
 * @next_returned: in the owner's list of spans with such slots
 * @queued: it is in that list
 * @kept: a bit for each slot that lethe_keep() named; NULL before the first
 *
 * Three lines of the cache: one that all read, one of the owner's, one that other
 * threads write.
 */
struct heap_span {
	char *start;
	size_t size;
	uint32_t reciprocal;
	uint16_t class, slots;
	size_t pages;
	struct heap *owner;
	struct heap_extent *extent;
	struct heap_span *next_owned, *prev_owned;

	struct heap_span *next __attribute__((aligned(CACHE_LINE)));
	struct heap_span *prev;
	uint64_t available[HEAP_SLOT_WORDS];
	uint16_t available_slots;
	bool noted;

	uint64_t returned[HEAP_SLOT_WORDS] __attribute__((aligned(CACHE_LINE)));
	struct heap_span *next_returned;
	uint64_t *kept;
	bool queued;
};

/**
 * struct heap_table - whose a page is
 * @base: of the reservation
 * @pages: of the reservation; 0 before the heap's first page, and in a fork's child
 * @span: for each page the span that it belongs to, of a HEAP_RUN the first page's
 *	alone. Address space, of which there is what the heap was in
 */
struct heap_table {
	uintptr_t base;
	size_t pages;
	struct heap_span **span;
};

extern struct heap_table heap_table;

static inline size_t heap_table_index(const void *p)
{
	return ((uintptr_t)p - heap_table.base) / PAGE;
}

/* A live block, for as long as nobody frees it. */
struct heap_slot {
	struct heap_span *span;
	unsigned int index;
};

static inline bool heap_bit(const uint64_t *words, unsigned int i)
{
	return __atomic_load_n(&words[i / 64], __ATOMIC_ACQUIRE) >> i % 64 & 1;
}

/* Of @available, which nobody but the owner writes. */
static inline void heap_set_bits(uint64_t *word, uint64_t bits)
{
	__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) | bits,
			 __ATOMIC_RELEASE);
}

/* Does a live block start at @p? Takes no lock, and may be wrong where one is freed. */
static ALWAYS_INLINE bool heap_slot_find(const void *p, struct heap_slot *slot)
{
	size_t page = heap_table_index(p);
	struct heap_span *span;
	unsigned int index;
	size_t offset;

	if (unlikely(page >= __atomic_load_n(&heap_table.pages, __ATOMIC_ACQUIRE)))
		return false;
	span = __atomic_load_n(&heap_table.span[page], __ATOMIC_ACQUIRE);
	if (unlikely(!span))
		return false;
	offset = (size_t)((const char *)p - span->start);
	index = (unsigned int)(offset * span->reciprocal >> 32);
	if (unlikely(offset != index * span->size || index >= span->slots))
		return false;
	slot->span = span;
	slot->index = index;
	/* In this order: a slot goes from the one to the other, and is never in neither. */
	return !heap_bit(span->returned, index) && !heap_bit(span->available, index);
}

static inline char *heap_slot_start(struct heap_slot slot)
{
	return slot.span->start + slot.index * slot.span->size;
}

/* The first that is available: there is one. The caller counts it. */
static inline unsigned int heap_span_take(struct heap_span *span)
{
	unsigned int word = 0, index;
	uint64_t bits;

	while (!(bits = __atomic_load_n(&span->available[word], __ATOMIC_RELAXED)))
		word++;
	index = word * 64 + (unsigned int)__builtin_ctzll(bits);
	__atomic_store_n(&span->available[word], bits & (bits - 1), __ATOMIC_RELAXED);
	return index;
}

/*
 * A run cut into slots of @class, all available, with no owner; or, for HEAP_RUN, a
 * run of @pages that is one. NULL and errno. With the lock, as the rest of these.
 */
struct heap_span *heap_span_new(unsigned int class, size_t pages, size_t alignment,
				enum lethe_level least, bool overflow);
/* All of its slots are available, and it is in no list. */
void heap_span_release(struct heap_span *span);
/*
 * Give a HEAP_RUN this many pages where it stands, if that can be. Pages that
 * are given up must be zero.
 */
bool heap_span_resize(struct heap_span *span, size_t pages);
/* Marks a slot as kept. 0 or -ENOMEM. */
int heap_span_keep(struct heap_slot slot);

/*
 * As the owner takes a slot: what was kept there was another block. (Not as that is
 * freed: who does so may be another thread, at the very moment when a section ends.)
 */
static inline void heap_span_unkeep(struct heap_span *span, unsigned int index)
{
	if (unlikely(span->kept))
		span->kept[index / 64] &= ~(1ULL << index % 64);
}

/* What is wrong with @p, at which heap_slot_find() has found no live block. */
const char *heap_slot_complaint(const void *p);
/* As space_lose_all(). */
void heap_span_lose(void);
/* In a fork's child. */
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
