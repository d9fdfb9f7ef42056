// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret heap's pages: fetched from space.c an extent at a time, handed out
 * in runs, and given back once an extent holds no run. Never touches a page.
 */
#include <errno.h>

#include "heap.h"

/*
 * What is fetched at a time. RLIMIT_MEMLOCK is 8 MiB on most machines, for
 * stacks as well: so not more; and a fetch is several system calls: not less.
 */
#define EXTENT_PAGES (256 * KIB / PAGE)

/* No reservation is larger (space.c). */
#define LARGEST (16 * 1024 * MIB)

static size_t bitmap_words(size_t pages)
{
	return (pages + 63) / 64;
}

/* Extents of the usual size or less; larger ones are mapped by themselves. */
static struct heap_pool pool = {
	.size = sizeof(struct heap_extent) + EXTENT_PAGES * sizeof(struct heap_span *) +
		(EXTENT_PAGES + 63) / 64 * sizeof(uint64_t),
};

/* Extents with free pages: those that should fill up first come first. */
static struct heap_extent *first, *last;

/* Free, and kept for the next run: one, so that a lone block comes cheap. */
static struct heap_extent *kept;

/* For each chunk of the reservation, the extent that covers it. */
static struct heap_extent **extent_at;
static size_t mapped;

static void insert(struct heap_extent *extent, struct heap_extent *before)
{
	extent->next = before;
	extent->prev = before ? before->prev : last;
	*(extent->prev ? &extent->prev->next : &first) = extent;
	*(before ? &before->prev : &last) = extent;
}

static void unlink_extent(struct heap_extent *extent)
{
	*(extent->prev ? &extent->prev->next : &first) = extent->next;
	*(extent->next ? &extent->next->prev : &last) = extent->prev;
}

static void cover_chunks(const struct heap_extent *extent, struct heap_extent *by)
{
	size_t at = ((uintptr_t)extent->start - lethe_space_base) / CHUNK;
	size_t end = at + round_up(extent->pages * PAGE, CHUNK) / CHUNK;

	for (; at < end; at++)
		extent_at[at] = by;
}

struct heap_extent *heap_extent_of(const void *p)
{
	struct heap_extent *extent;

	if (!extent_at || !space_contains(p))
		return NULL;
	extent = extent_at[((uintptr_t)p - lethe_space_base) / CHUNK];
	/* Its last chunk need not be full. */
	if (!extent || heap_page_index(extent, p) >= extent->pages)
		return NULL;
	return extent;
}

/* The first page from @page on that is free, or is not; the last and one if none. */
static size_t next_page(const struct heap_extent *extent, size_t page, bool is_free)
{
	uint64_t word;

	while (page < extent->pages) {
		word = extent->free[page / 64];
		word = (is_free ? word : ~word) >> page % 64;
		if (word) {
			page += (size_t)__builtin_ctzll(word);
			break;
		}
		page = (page / 64 + 1) * 64;
	}
	return page < extent->pages ? page : extent->pages;
}

/* The first page of a run, or extent->pages where there is none. */
static size_t find_run(const struct heap_extent *extent, size_t pages, size_t alignment)
{
	size_t from, end, page = next_page(extent, 0, true);
	uintptr_t start = (uintptr_t)extent->start;

	while (page < extent->pages) {
		end = next_page(extent, page, false);
		from = (((start + page * PAGE + alignment - 1) & -alignment) - start) /
		       PAGE;
		if (from < end && end - from >= pages)
			return from;
		page = next_page(extent, end, true);
	}
	return page;
}

static void set_free(struct heap_extent *extent, size_t page, size_t pages, bool is_free)
{
	for (; pages; page++, pages--) {
		if (is_free)
			extent->free[page / 64] |= 1ULL << page % 64;
		else
			extent->free[page / 64] &= ~(1ULL << page % 64);
	}
}

static void take_pages(struct heap_extent *extent, size_t page, size_t pages)
{
	set_free(extent, page, pages, false);
	extent->free_pages -= pages;
	if (!extent->free_pages)
		unlink_extent(extent);
	if (extent == kept)
		kept = NULL;
}

static struct heap_extent *describe(size_t pages)
{
	struct heap_extent *extent;

	if (pages <= EXTENT_PAGES)
		extent = heap_pool_get(&pool);
	else
		extent = heap_meta_map(sizeof(*extent) +
				       pages * sizeof(extent->span_of[0]) +
				       bitmap_words(pages) * sizeof(*extent->free));
	if (extent) {
		extent->pages = pages;
		extent->free = (uint64_t *)&extent->span_of[pages];
	}
	return extent;
}

static void forget_description(struct heap_extent *extent)
{
	if (extent->pages <= EXTENT_PAGES)
		heap_pool_put(&pool, extent);
	else
		heap_meta_unmap(extent);
}

static struct heap_extent *extent_new(char *start, size_t pages)
{
	struct heap_extent *extent;

	if (!extent_at) {
		extent_at = heap_meta_map(lethe_space_size / CHUNK * sizeof(*extent_at));
		if (!extent_at)
			return NULL;
	}
	extent = describe(pages);
	if (!extent)
		return NULL;
	extent->start = start;
	extent->free_pages = pages;
	set_free(extent, 0, pages, true);
	cover_chunks(extent, extent);
	mapped += pages * PAGE;
	/* Behind those that are in use already. */
	insert(extent, NULL);
	return extent;
}

static void extent_release(struct heap_extent *extent)
{
	unlink_extent(extent);
	cover_chunks(extent, NULL);
	mapped -= extent->pages * PAGE;
	space_unmap(extent->start, extent->pages * PAGE, 0);
	forget_description(extent);
}

/* An extent with room for the run, as large as can be had up to the usual. */
static struct heap_extent *grow(size_t pages, size_t alignment)
{
	/* Both are half of the address space at most: nothing wraps. */
	size_t length, need = pages * PAGE;
	struct heap_extent *extent;
	char *start;

	/* An extent starts at a chunk. */
	if (alignment > CHUNK)
		need += alignment - CHUNK;
	if (need > LARGEST) {
		errno = ENOMEM;
		return NULL;
	}

	length = need > EXTENT_PAGES * PAGE ? need : EXTENT_PAGES * PAGE;
	for (;;) {
		start = space_map(length, 0);
		if (start)
			break;
		if (errno != ENOMEM || length == need)
			return NULL;
		length = length / 2 > need ? length / 2 : need;
	}
	extent = extent_new(start, length / PAGE);
	if (!extent)
		space_unmap(start, length, 0);
	return extent;
}

char *heap_run_get(size_t pages, size_t alignment, struct heap_extent **extent)
{
	struct heap_extent *e;
	size_t page = 0;

	for (e = first; e; e = e->next) {
		if (e->free_pages < pages)
			continue;
		page = find_run(e, pages, alignment);
		if (page < e->pages)
			break;
	}
	if (!e) {
		e = grow(pages, alignment);
		if (!e)
			return NULL;
		page = find_run(e, pages, alignment);
	}
	take_pages(e, page, pages);
	*extent = e;
	return e->start + page * PAGE;
}

void heap_run_put(struct heap_extent *extent, char *start, size_t pages)
{
	set_free(extent, heap_page_index(extent, start), pages, true);
	if (!extent->free_pages)
		insert(extent, first);
	extent->free_pages += pages;
	if (extent->free_pages < extent->pages)
		return;

	if (kept || extent->pages > EXTENT_PAGES) {
		extent_release(extent);
		return;
	}
	kept = extent;
	/* The last to be used, if at all. */
	unlink_extent(extent);
	insert(extent, NULL);
}

bool heap_run_extend(struct heap_extent *extent, char *start, size_t pages)
{
	size_t page = heap_page_index(extent, start);

	if (pages > extent->pages - page || next_page(extent, page, false) < page + pages)
		return false;
	take_pages(extent, page, pages);
	return true;
}

size_t heap_extent_bytes(void)
{
	return mapped;
}

bool heap_extent_trim(void)
{
	struct heap_extent *extent = kept;

	kept = NULL;
	if (extent)
		extent_release(extent);
	return extent;
}

void heap_extent_forget(void)
{
	heap_pool_forget(&pool);
	first = NULL;
	last = NULL;
	kept = NULL;
	extent_at = NULL;
	mapped = 0;
}
