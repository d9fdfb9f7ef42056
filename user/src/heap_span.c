// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Runs of secret pages, cut into slots. Which slot is whose stands in bitmaps
 * beside the pages; the pages themselves are never touched here.
 */
#include <errno.h>

#include "heap.h"

static struct heap_pool pool = { .size = sizeof(struct heap_span) };

/* For each class, the spans that have a slot available. */
static struct heap_span *roomy[HEAP_CLASSES];

/*
 * Empty, and kept in its list: one, so that a block that comes and goes does not
 * take its span with it each time.
 */
static struct heap_span *spare;

static void insert(struct heap_span *span)
{
	span->prev = NULL;
	span->next = roomy[span->class];
	if (span->next)
		span->next->prev = span;
	roomy[span->class] = span;
}

static void unlink_span(struct heap_span *span)
{
	if (span->next)
		span->next->prev = span->prev;
	if (span->prev)
		span->prev->next = span->next;
	else
		roomy[span->class] = span->next;
}

/* A slab is found from any of its pages, a run of one block from its first. */
static void set_span_of(struct heap_span *span, struct heap_span *to)
{
	size_t page = heap_page_index(span->extent, span->start);
	size_t n = span->class == HEAP_RUN ? 1 : span->pages;

	while (n--)
		span->extent->span_of[page++] = to;
}

static struct heap_span *span_new(unsigned int class, size_t pages, size_t alignment)
{
	struct heap_span *span = heap_pool_get(&pool);
	unsigned int i;

	if (!span)
		return NULL;
	span->start = heap_run_get(pages, alignment, &span->extent);
	/* What is empty and kept may be in the way of this. */
	if (!span->start && errno == ENOMEM && heap_span_trim())
		span->start = heap_run_get(pages, alignment, &span->extent);
	if (!span->start) {
		heap_pool_put(&pool, span);
		return NULL;
	}

	span->class = class;
	span->pages = pages;
	span->size = class == HEAP_RUN ? pages * PAGE : heap_classes[class].size;
	span->slots = class == HEAP_RUN ? 1 : heap_classes[class].slots;
	span->available_slots = span->slots;
	for (i = 0; i < span->slots; i++)
		span->available[i / 64] |= 1ULL << i % 64;
	set_span_of(span, span);
	return span;
}

static void span_release(struct heap_span *span)
{
	set_span_of(span, NULL);
	heap_run_put(span->extent, span->start, span->pages);
	heap_pool_put(&pool, span);
}

/* There is one available. */
static void *take_slot(struct heap_span *span, struct heap_slot *slot)
{
	unsigned int word = 0, bit;

	while (!span->available[word])
		word++;
	bit = (unsigned int)__builtin_ctzll(span->available[word]);
	span->available[word] &= ~(1ULL << bit);
	span->live[word] |= 1ULL << bit;
	span->available_slots--;
	slot->span = span;
	slot->index = word * 64 + bit;
	return span->start + slot->index * span->size;
}

void *heap_slot_get(unsigned int class, struct heap_slot *slot)
{
	struct heap_span *span = roomy[class];
	void *block;

	if (unlikely(!span)) {
		span = span_new(class, heap_classes[class].pages, PAGE);
		if (!span)
			return NULL;
		insert(span);
	}
	if (span == spare)
		spare = NULL;
	block = take_slot(span, slot);
	if (!span->available_slots)
		unlink_span(span);
	return block;
}

void *heap_slot_get_run(size_t pages, size_t alignment, struct heap_slot *slot)
{
	struct heap_span *span = span_new(HEAP_RUN, pages, alignment);

	return span ? take_slot(span, slot) : NULL;
}

static unsigned int slot_at(const struct heap_span *span, size_t offset)
{
	if (span->class == HEAP_RUN)
		return 0;
	return (unsigned int)(offset * heap_classes[span->class].reciprocal >> 32);
}

const char *heap_slot_find(const void *p, struct heap_slot *slot)
{
	static const char not_ours[] = "it is no block of the secret heap",
			  dead[] = "its memory is free already",
			  interior[] = "it points into a block, not to its start";
	struct heap_extent *extent = heap_extent_of(p);
	struct heap_span *span;
	unsigned int index;
	size_t page, offset;

	if (unlikely(!extent))
		return not_ours;
	page = heap_page_index(extent, p);
	if (unlikely(heap_page_is_free(extent, page)))
		return dead;
	span = extent->span_of[page];
	if (unlikely(!span))
		return interior;
	offset = (size_t)((const char *)p - span->start);
	index = slot_at(span, offset);
	if (unlikely(index >= span->slots))
		return not_ours;
	if (unlikely(offset != index * span->size))
		return interior;
	if (unlikely(!(span->live[index / 64] >> index % 64 & 1)))
		return dead;
	slot->span = span;
	slot->index = index;
	return NULL;
}

void heap_slot_unlive(const struct heap_slot *slot)
{
	slot->span->live[slot->index / 64] &= ~(1ULL << slot->index % 64);
}

void heap_slot_put(const struct heap_slot *slot)
{
	struct heap_span *span = slot->span;

	if (span->class == HEAP_RUN) {
		span_release(span);
		return;
	}
	span->available[slot->index / 64] |= 1ULL << slot->index % 64;
	if (!span->available_slots++)
		insert(span);
	if (span->available_slots < span->slots)
		return;
	if (spare) {
		unlink_span(spare);
		span_release(spare);
	}
	spare = span;
}

bool heap_slot_resize_run(const struct heap_slot *slot, size_t pages)
{
	struct heap_span *span = slot->span;
	char *end = span->start + span->pages * PAGE;

	if (pages > span->pages &&
	    !heap_run_extend(span->extent, end, pages - span->pages))
		return false;
	if (pages < span->pages)
		heap_run_put(span->extent, span->start + pages * PAGE,
			     span->pages - pages);
	span->pages = pages;
	span->size = pages * PAGE;
	return true;
}

bool heap_span_trim(void)
{
	struct heap_span *span = spare;

	spare = NULL;
	if (span) {
		unlink_span(span);
		span_release(span);
	}
	return heap_extent_trim() || span;
}

void heap_span_forget(void)
{
	unsigned int i;

	heap_pool_forget(&pool);
	for (i = 0; i < HEAP_CLASSES; i++)
		roomy[i] = NULL;
	spare = NULL;
	heap_extent_forget();
}
