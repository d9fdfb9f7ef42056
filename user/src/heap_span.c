// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Runs of secret pages, cut into slots. Which slot is whose stands in bitmaps
 * beside the pages; the pages themselves are never touched here.
 */
#include <errno.h>

#include "heap.h"

static struct heap_pool pool = { .size = sizeof(struct heap_span) };
static struct heap_pool kept_pool = { .size = HEAP_SLOT_WORDS * sizeof(uint64_t) };

struct heap_table heap_table;

/* All of the reservation's pages: address space, of which little is touched. */
static bool make_table(void)
{
	size_t pages = lethe_space_size / PAGE;
	struct heap_span **table = heap_meta_map(pages * sizeof(*table));

	if (!table)
		return false;
	heap_table.base = lethe_space_base;
	heap_table.span = table;
	__atomic_store_n(&heap_table.pages, pages, __ATOMIC_RELEASE);
	return true;
}

/* A slab is found from any of its pages, a run of one block from its first. */
static void set_span_of(const struct heap_span *span, struct heap_span *to)
{
	size_t page = heap_table_index(span->start);
	size_t n = span->class == HEAP_RUN ? 1 : span->pages;

	while (n--)
		__atomic_store_n(&heap_table.span[page++], to, __ATOMIC_RELEASE);
}

static void cut(struct heap_span *span, unsigned int class, size_t pages)
{
	const struct heap_class *as = &heap_classes[class];
	unsigned int i;

	span->class = (uint16_t) class;
	span->pages = pages;
	if (class == HEAP_RUN) {
		span->size = pages * PAGE;
		span->slots = 1;
	} else {
		span->size = as->size;
		span->slots = as->slots;
		span->reciprocal = as->reciprocal;
	}
	for (i = 0; i < span->slots; i += 64)
		span->available[i / 64] = span->slots - i < 64 ?
						  (1ULL << (span->slots - i)) - 1 :
						  ~0ULL;
	span->available_slots = span->slots;
}

struct heap_span *heap_span_new(unsigned int class, size_t pages, size_t alignment,
				enum lethe_level least, bool overflow)
{
	struct heap_span *span = heap_pool_get(&pool);

	if (!span)
		return NULL;
	span->start = heap_run_get(pages, alignment, least, overflow, &span->extent);
	if (!span->start)
		goto out_span;
	if (unlikely(!heap_table.pages) && !make_table())
		goto out_run;
	cut(span, class, pages);
	set_span_of(span, span);
	return span;

out_run:
	heap_run_put(span->extent, span->start, pages);
out_span:
	heap_pool_put(&pool, span);
	return NULL;
}

void heap_span_release(struct heap_span *span)
{
	set_span_of(span, NULL);
	heap_run_put(span->extent, span->start, span->pages);
	if (span->kept)
		heap_pool_put(&kept_pool, span->kept);
	heap_pool_put(&pool, span);
}

bool heap_span_resize(struct heap_span *span, size_t pages)
{
	char *end = span->start + span->pages * PAGE;

	if (pages > span->pages &&
	    !heap_run_extend(span->extent, end, pages - span->pages))
		return false;
	if (pages < span->pages) {
		if (!heap_run_shrinks(span->extent))
			return false;
		heap_run_put(span->extent, span->start + pages * PAGE,
			     span->pages - pages);
	}
	span->pages = pages;
	span->size = pages * PAGE;
	return true;
}

int heap_span_keep(struct heap_slot slot)
{
	struct heap_span *span = slot.span;

	if (!span->kept) {
		span->kept = heap_pool_get(&kept_pool);
		if (!span->kept)
			return -ENOMEM;
	}
	span->kept[slot.index / 64] |= 1ULL << slot.index % 64;
	return 0;
}

const char *heap_slot_complaint(const void *p)
{
	static const char not_ours[] = "it is no block of the secret heap",
			  dead[] = "its memory is free already",
			  interior[] = "it points into a block, not to its start";
	const struct heap_extent *extent = heap_extent_of(p);
	const struct heap_span *span;
	size_t offset;

	if (!extent)
		return not_ours;
	if (heap_extent_is_free(extent, p))
		return dead;
	span = heap_table.span[heap_table_index(p)];
	if (!span)
		return interior;
	offset = (size_t)((const char *)p - span->start);
	if (offset / span->size >= span->slots)
		return not_ours;
	return offset % span->size ? interior : dead;
}

/* Nothing of it is the heap's any more; the descriptions stay. */
void heap_span_lose(void)
{
	const struct heap_extent *extent = NULL;
	size_t page, n;

	while ((extent = heap_extent_next(extent))) {
		page = heap_table_index(extent->start);
		for (n = 0; heap_table.pages && n < extent->pages; n++)
			__atomic_store_n(&heap_table.span[page + n], NULL,
					 __ATOMIC_RELEASE);
	}
	heap_pool_forget(&pool);
	heap_pool_forget(&kept_pool);
	heap_extent_forget();
}

void heap_span_forget(void)
{
	__atomic_store_n(&heap_table.pages, 0, __ATOMIC_RELEASE);
	heap_pool_forget(&pool);
	heap_pool_forget(&kept_pool);
	heap_extent_forget();
}
