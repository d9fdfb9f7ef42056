/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of liblethe-malloc know of each other.
 *
 *	malloc_place.c	who serves this program's malloc(), and what of libc's is used
 *	malloc.c	the family
 *	malloc_map.c	mmap() in a section, seen and erased
 *
 * For static programs malloc.c is built once more, with LETHE_STATIC and every name
 * of the family behind __wrap_, for a linker's --wrap (see rules.mk). There nobody
 * else can be in the way, and all of libc's own are there under the names __real_.
 */
#ifndef LETHE_MALLOC_PLACE_H
#define LETHE_MALLOC_PLACE_H

#include "internal.h"

/* Called through the address in the GOT: a tail call into libc is one jump. */
#if defined(__clang__) || defined(LETHE_STATIC)
#define NOPLT
#else
#define NOPLT __attribute__((noplt))
#endif

/* libc's own, under the names that it exports for such as us. */
void *__libc_malloc(size_t size) NOPLT;
void *__libc_calloc(size_t count, size_t size) NOPLT;
void *__libc_realloc(void *block, size_t size) NOPLT;
void *__libc_memalign(size_t alignment, size_t size) NOPLT;
void __libc_free(void *block) NOPLT;

/* C23, and what is gone from headers: this libc's need not know them. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void cfree(void *block);

/* liblethe-run.so: whatever a thread does is as in a section. */
static inline bool section_open(void)
{
#ifdef LETHE_ALL
	return true;
#else
	return unlikely(lethe_thread.depth);
#endif
}

#ifdef LETHE_STATIC

/* By these names, to which rules.mk renames nothing. */
size_t __real_malloc_usable_size(void *block);
void *__real_aligned_alloc(size_t alignment, size_t size);

static inline size_t libc_usable_size(void *block)
{
	return __real_malloc_usable_size(block);
}

static inline void *libc_aligned_alloc(size_t alignment, size_t size)
{
	return __real_aligned_alloc(alignment, size);
}

static inline bool place_is_secret(void)
{
	return lethe_enabled();
}

static inline bool place_is_behind(void)
{
	return false;
}

/* Nobody asks: place_is_behind(). */
static inline void *next_function(const char *name)
{
	(void)name;
	return NULL;
}

#else

/* The two for which libc has no second name. */
size_t libc_usable_size(void *block);
void *libc_aligned_alloc(size_t alignment, size_t size);

/*
 * PLACE_FRONT: malloc() arrives here, and there is libc behind. PLACE_SHARED: it
 * arrives, but there is another allocator too: nothing is redirected, and all is
 * libc's. PLACE_BEHIND: another's malloc() is the program's, or a sanitizer's; what
 * arrives here all the same is that one's business.
 */
enum place {
	PLACE_UNKNOWN,
	PLACE_ASKING,
	PLACE_FRONT,
	PLACE_SHARED,
	PLACE_BEHIND,
};

extern enum place malloc_place;

/* Finds out, if this is the first to ask. Says so where it is not the front. */
COLD enum place place_find(void);
/*
 * PLACE_BEHIND: the function of this name that would be called if this library were
 * not there.
 */
COLD void *next_function(const char *name);

static inline enum place place_of_ours(void)
{
	enum place place = __atomic_load_n(&malloc_place, __ATOMIC_ACQUIRE);

	return likely(place > PLACE_ASKING) ? place : place_find();
}

/* With a section open. */
static inline bool place_is_secret(void)
{
#ifdef LETHE_ALL
	return likely(place_of_ours() == PLACE_FRONT) && likely(!lethe_thread.paused);
#else
	return likely(place_of_ours() == PLACE_FRONT) && lethe_enabled();
#endif
}

static inline bool place_is_behind(void)
{
	return unlikely(place_of_ours() == PLACE_BEHIND);
}

#endif

#endif /* LETHE_MALLOC_PLACE_H */
