// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Ordinary memory for what the secret heap knows of itself. It holds addresses
 * and bits, never a secret, and comes from mmap(): malloc() may be our caller.
 */
#include <string.h>
#include <sys/mman.h>

#include "heap.h"

/* In front of each mapping, so that a fork's child finds all of them. */
struct mapping {
	struct mapping *next, *prev;
	size_t length;
	/* What comes after it starts at a line of the cache. */
} __attribute__((aligned(CACHE_LINE)));

static struct mapping *mappings;

#define POOL_GROWTH (64 * KIB)

void *heap_meta_map(size_t size)
{
	size_t length = round_up(size + sizeof(struct mapping), PAGE);
	struct mapping *m;

	m = mmap(NULL, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	m->length = length;
	m->next = mappings;
	if (mappings)
		mappings->prev = m;
	mappings = m;
	return m + 1;
}

void heap_meta_unmap(void *memory)
{
	struct mapping *m = (struct mapping *)memory - 1;

	if (m->next)
		m->next->prev = m->prev;
	if (m->prev)
		m->prev->next = m->next;
	else
		mappings = m->next;
	munmap(m, m->length);
}

void heap_meta_forget(void)
{
	while (mappings)
		heap_meta_unmap(mappings + 1);
}

void *heap_pool_get(struct heap_pool *pool)
{
	size_t usable = POOL_GROWTH - sizeof(struct mapping);
	void *object = pool->free;

	if (object) {
		pool->free = *(void **)object;
		return memset(object, 0, pool->size);
	}
	if ((size_t)(pool->end - pool->next) < pool->size) {
		char *more = heap_meta_map(usable);

		if (!more)
			return NULL;
		pool->next = more;
		pool->end = more + usable;
	}
	object = pool->next;
	pool->next += pool->size;
	return object;
}

void heap_pool_put(struct heap_pool *pool, void *object)
{
	*(void **)object = pool->free;
	pool->free = object;
}

void heap_pool_forget(struct heap_pool *pool)
{
	pool->free = NULL;
	pool->next = NULL;
	pool->end = NULL;
}
