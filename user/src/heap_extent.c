// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secret heap's pages: fetched from space.c an extent at a time, handed out
 * in runs, and given back once an extent holds no run. Never touches a page.
 */
#include <errno.h>

#include "heap.h"

/* As many as a word has bits. What needs more is an extent by itself. */
#define EXTENT_PAGES ((size_t)64)
#define EXTENT_PAGES_MIN ((size_t)2)

/*
 * What is fetched at a time, in parts of what there is already: RLIMIT_MEMLOCK is
 * 8 MiB on most machines, for stacks as well, so a small heap is to take little; and
 * a fetch is several system calls, so a large one is not to make many.
 */
#define GROWTH 8

/*
 * Free, and kept for the next run. If what was given back had to be fetched again, at
 * 20 us a page, it was too little: twice as much from then on, until lethe_trim().
 */
#define KEPT_PAGES_MIN ((size_t)32)
#define KEPT_PAGES_MAX ((size_t)512)

/* No reservation is larger (space.c). */
#define LARGEST (16 * 1024 * MIB)

static struct heap_pool pool = { .size = sizeof(struct heap_extent) };

/* Extents with free pages: those that should fill up first come first. */
static struct heap_extent *first, *last;
static struct heap_extent *all;
static size_t mapped_pages, kept_pages;
static size_t kept_pages_max = KEPT_PAGES_MIN;
static bool given_back;
/* There are some of a lower level than the backend's. */
static bool overflowed;

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

static uint64_t page_bits(size_t page, size_t pages)
{
	return (pages < 64 ? (1ULL << pages) - 1 : ~0ULL) << page;
}

static size_t page_index(const struct heap_extent *extent, const char *p)
{
	return (size_t)(p - extent->start) / PAGE;
}

static bool is_single(const struct heap_extent *extent)
{
	return extent->pages > EXTENT_PAGES;
}

/* A bit for each page at which so many free ones begin. */
static uint64_t beginnings(uint64_t free, size_t pages)
{
	size_t have = 1, more;

	while (have < pages) {
		more = pages - have < have ? pages - have : have;
		free &= free >> more;
		have += more;
	}
	return free;
}

/* The first page of such a run, or -1. */
static int find_run(const struct heap_extent *extent, size_t pages, size_t alignment)
{
	uint64_t at;
	int page;

	if (extent->free_pages < pages)
		return -1;
	if (is_single(extent))
		return extent->pages == pages &&
				       (uintptr_t)extent->start % alignment == 0 ?
			       0 :
			       -1;
	for (at = beginnings(extent->free, pages); at; at &= at - 1) {
		page = __builtin_ctzll(at);
		if (((uintptr_t)extent->start + (size_t)page * PAGE) % alignment == 0)
			return page;
	}
	return -1;
}

static void take_pages(struct heap_extent *extent, size_t page, size_t pages)
{
	if (extent->free_pages == extent->pages)
		kept_pages -= extent->pages;
	if (!is_single(extent))
		extent->free &= ~page_bits(page, pages);
	extent->free_pages -= pages;
	if (!extent->free_pages)
		unlink_extent(extent);
}

/* All of its pages are free. */
static struct heap_extent *extent_new(char *start, size_t pages)
{
	struct heap_extent *extent = heap_pool_get(&pool);

	if (!extent)
		return NULL;
	extent->start = start;
	extent->pages = pages;
	extent->free_pages = pages;
	extent->level = lethe_level_of(start);
	if (!is_single(extent))
		extent->free = page_bits(0, pages);
	extent->next_known = all;
	if (all)
		all->prev_known = extent;
	all = extent;
	mapped_pages += pages;
	kept_pages += pages;
	/* Behind those that are in use already. */
	insert(extent, NULL);
	return extent;
}

/* All of its pages are free. */
static void extent_release(struct heap_extent *extent)
{
	unlink_extent(extent);
	*(extent->prev_known ? &extent->prev_known->next_known :
			       &all) = extent->next_known;
	if (extent->next_known)
		extent->next_known->prev_known = extent->prev_known;
	mapped_pages -= extent->pages;
	kept_pages -= extent->pages;
	space_unmap(extent->start, extent->pages * PAGE, 0);
	heap_pool_put(&pool, extent);
}

/* An extent with room for the run, as large as is useful and can be had. */
static struct heap_extent *grow(size_t pages, size_t alignment, bool overflow)
{
	struct heap_extent *extent;
	size_t want = mapped_pages / GROWTH;
	char *start;

	if (pages > LARGEST / PAGE || alignment > LARGEST) {
		errno = ENOMEM;
		return NULL;
	}
	if (given_back && kept_pages_max < KEPT_PAGES_MAX)
		kept_pages_max *= 2;
	given_back = false;
	if (want > EXTENT_PAGES)
		want = EXTENT_PAGES;
	if (want < EXTENT_PAGES_MIN)
		want = EXTENT_PAGES_MIN;
	if (want < pages)
		want = pages;
	for (;;) {
		start = space_map_heap(want * PAGE, alignment, overflow);
		if (start)
			break;
		if (errno != ENOMEM || want == pages)
			return NULL;
		want = want / 2 > pages ? want / 2 : pages;
	}
	extent = extent_new(start, want);
	if (!extent)
		space_unmap(start, want * PAGE, 0);
	return extent;
}

/* One with room for the run, if there is one. */
static struct heap_extent *find(size_t pages, size_t alignment, enum lethe_level least,
				int *page)
{
	struct heap_extent *extent;

	for (extent = first; extent; extent = extent->next) {
		if (extent->level < least)
			continue;
		*page = find_run(extent, pages, alignment);
		if (*page >= 0)
			return extent;
	}
	return NULL;
}

char *heap_run_get(size_t pages, size_t alignment, enum lethe_level least, bool overflow,
		   struct heap_extent **extent)
{
	struct heap_extent *e = NULL;
	int page = 0;

	/* A lower level only where there is nothing else. */
	if (unlikely(overflowed))
		e = find(pages, alignment, LETHE_LEVEL_UNMAPPED, &page);
	if (!e && !(overflowed && !overflow))
		e = find(pages, alignment, least, &page);
	if (!e) {
		e = grow(pages, alignment, overflow);
		if (!e)
			return NULL;
		e->lower = overflow;
		overflowed |= overflow;
		page = find_run(e, pages, alignment);
	}
	take_pages(e, (size_t)page, pages);
	*extent = e;
	return e->start + (size_t)page * PAGE;
}

void heap_run_put(struct heap_extent *extent, char *start, size_t pages)
{
	if (!is_single(extent))
		extent->free |= page_bits(page_index(extent, start), pages);
	if (!extent->free_pages)
		insert(extent, first);
	extent->free_pages += pages;
	if (extent->free_pages < extent->pages)
		return;

	kept_pages += extent->pages;
	if (kept_pages > kept_pages_max || extent->lower) {
		given_back = true;
		extent_release(extent);
		return;
	}
	/* The last to be used, if at all. */
	unlink_extent(extent);
	insert(extent, NULL);
}

bool heap_run_extend(struct heap_extent *extent, char *start, size_t pages)
{
	size_t page = page_index(extent, start);
	uint64_t bits;

	if (is_single(extent) || page + pages > extent->pages)
		return false;
	bits = page_bits(page, pages);
	if ((extent->free & bits) != bits)
		return false;
	take_pages(extent, page, pages);
	return true;
}

bool heap_run_shrinks(const struct heap_extent *extent)
{
	return !is_single(extent);
}

size_t heap_extent_bytes(void)
{
	return mapped_pages * PAGE;
}

bool heap_extent_trim(void)
{
	struct heap_extent *extent, *next;
	bool any = false;

	kept_pages_max = KEPT_PAGES_MIN;
	given_back = false;
	for (extent = first; extent; extent = next) {
		next = extent->next;
		if (extent->free_pages < extent->pages)
			continue;
		extent_release(extent);
		any = true;
	}
	return any;
}

const struct heap_extent *heap_extent_of(const void *p)
{
	const struct heap_extent *extent;

	for (extent = all; extent; extent = extent->next_known)
		if ((uintptr_t)p - (uintptr_t)extent->start < extent->pages * PAGE)
			return extent;
	return NULL;
}

const struct heap_extent *heap_extent_next(const struct heap_extent *extent)
{
	return extent ? extent->next_known : all;
}

bool heap_extent_is_free(const struct heap_extent *extent, const void *p)
{
	if (is_single(extent))
		return extent->free_pages;
	return extent->free >> page_index(extent, p) & 1;
}

void heap_extent_forget(void)
{
	heap_pool_forget(&pool);
	first = NULL;
	last = NULL;
	all = NULL;
	mapped_pages = 0;
	kept_pages = 0;
	overflowed = false;
}
