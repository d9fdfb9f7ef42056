// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * liblethe-malloc.so: the malloc family, by strong symbols. In a secret section
 * it is the secret heap; elsewhere libc, after one test of a thread-local word.
 * Where a block is freed or resized, it is the block's address that decides.
 *
 * Holds no memory and no state of its own but what malloc_place.c found out, so that
 * it serves before every constructor and after every destructor. Inside a section
 * it never falls back on ordinary memory: a full secret heap is ENOMEM. What it
 * returns, and which errors, is what the libc that is there would.
 *
 * With LETHE_ALL it is liblethe-run.so: what every thread does is as in a section.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "malloc_place.h"
#ifdef LETHE_ALL
#include "run.h"
#endif

static inline bool in_section(void)
{
	/* One test outside; inside, a handler and a pause have to be told apart. */
	return section_open() && place_is_secret();
}

static inline bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

PUBLIC void *malloc(size_t size)
{
	if (in_section())
		return lethe_malloc(size);
	return __libc_malloc(size);
}

PUBLIC void *calloc(size_t count, size_t size)
{
	if (in_section())
		return lethe_calloc(count, size);
	return __libc_calloc(count, size);
}

/* By now it may hold what the section wrote to it. */
static COLD void free_ordinary_in_section(void *block)
{
	int saved = errno;

	if (block)
		lethe_wipe(block, libc_usable_size(block));
	__libc_free(block);
	errno = saved;
}

PUBLIC void free(void *block)
{
	if (unlikely(space_contains(block)))
		lethe_free(block);
	else if (in_section())
		free_ordinary_in_section(block);
	else
		__libc_free(block);
}

/* A secret block stays secret, in and out of sections. */
static __attribute__((noinline)) void *resize_secret(void *block, size_t size)
{
	if (size)
		return lethe_realloc(block, size);
	/* As libc does. */
	lethe_free(block);
	return NULL;
}

/*
 * An ordinary block that is resized in a section: what it holds may be secret by
 * now. It is never copied to ordinary memory, nor a part of it left behind.
 */
static void *resize_ordinary_in_section(void *block, size_t size)
{
	size_t usable = libc_usable_size(block);
	void *fresh = NULL;

	if (size && size <= usable) {
		lethe_wipe((char *)block + size, usable - size);
		/* To shrink, libc does not move it. */
		return __libc_realloc(block, size);
	}
	if (size) {
		fresh = lethe_malloc(size);
		if (!fresh)
			return NULL;
		memcpy(fresh, block, usable);
	}
	free_ordinary_in_section(block);
	return fresh;
}

/* Apart, so that outside nothing is saved for it. */
static __attribute__((noinline)) void *resize_with_section_open(void *block, size_t size)
{
	if (!place_is_secret())
		return __libc_realloc(block, size);
	if (!block)
		return lethe_malloc(size);
	return resize_ordinary_in_section(block, size);
}

PUBLIC void *realloc(void *block, size_t size)
{
	if (unlikely(space_contains(block)))
		return resize_secret(block, size);
	if (section_open())
		return resize_with_section_open(block, size);
	return __libc_realloc(block, size);
}

/*
 * What other allocators may not have, so that it arrives here although malloc() does
 * not: then it is as if this library were not there.
 */
#define IF_BEHIND(type, name, ...)                                        \
	do {                                                              \
		if (place_is_behind())                                    \
			return ((type)next_function(#name))(__VA_ARGS__); \
	} while (0)

/* Of that name, as the program has it; no compiler may take this file's for it. */
#define PROGRAMS(name)                         \
	({                                     \
		typeof(name) *function = name; \
		__asm__("" : "+r"(function));  \
		function;                      \
	})

typedef void *(*allocates_aligned)(size_t, size_t);
typedef int (*sets_aligned)(void **, size_t, size_t);
typedef size_t (*measures)(void *);

PUBLIC void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return PROGRAMS(realloc)(block, bytes);
}

/* In a section: as libc does, the next power of two. */
static void *allocate_aligned(size_t alignment, size_t size)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	if (!is_power_of_two(alignment))
		alignment = (size_t)1 << (64 - __builtin_clzl(alignment));
	return lethe_aligned_alloc(alignment, size);
}

PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
	void *asked;

	IF_BEHIND(allocates_aligned, aligned_alloc, alignment, size);
	if (!in_section())
		return libc_aligned_alloc(alignment, size);
	if (likely(is_power_of_two(alignment)))
		return lethe_aligned_alloc(alignment, size);
	/* Refused by some versions of libc, and made good by others. */
	asked = libc_aligned_alloc(alignment, 1);
	if (!asked)
		return NULL;
	__libc_free(asked);
	return allocate_aligned(alignment, size);
}

PUBLIC void *memalign(size_t alignment, size_t size)
{
	IF_BEHIND(allocates_aligned, memalign, alignment, size);
	if (in_section())
		return allocate_aligned(alignment, size);
	return __libc_memalign(alignment, size);
}

/* Its errors are returned: errno stays as it is. */
PUBLIC int posix_memalign(void **block, size_t alignment, size_t size)
{
	int saved = errno;
	void *fresh;

	IF_BEHIND(sets_aligned, posix_memalign, block, alignment, size);
	if (!is_power_of_two(alignment) || alignment % sizeof(void *))
		return EINVAL;
	if (in_section())
		fresh = lethe_aligned_alloc(alignment, size);
	else
		fresh = __libc_memalign(alignment, size);
	errno = saved;
	if (!fresh)
		return ENOMEM;
	*block = fresh;
	return 0;
}

/*
 * From memalign(), which whoever serves malloc() has. Not so pvalloc(): libc's would
 * give out what another's free() does not know.
 */
static void *allocate_at_page(size_t size)
{
	if (place_is_behind())
		return PROGRAMS(memalign)(PAGE, size);
	if (in_section())
		return lethe_aligned_alloc(PAGE, size);
	return __libc_memalign(PAGE, size);
}

PUBLIC void *valloc(size_t size)
{
	return allocate_at_page(size);
}

PUBLIC void *pvalloc(size_t size)
{
	if (size > SIZE_MAX - PAGE + 1) {
		errno = ENOMEM;
		return NULL;
	}
	return allocate_at_page(round_up(size, PAGE));
}

PUBLIC size_t malloc_usable_size(void *block)
{
	if (unlikely(space_contains(block)))
		return lethe_usable_size(block);
	IF_BEHIND(measures, malloc_usable_size, block);
	return libc_usable_size(block);
}

/*
 * Of a size that the caller states, nothing is believed. free() is the program's,
 * whose ever that is.
 */
PUBLIC void free_sized(void *block, size_t size)
{
	(void)size;
	PROGRAMS(free)(block);
}

PUBLIC void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	PROGRAMS(free)(block);
}

/* Of programs older than glibc 2.26, which libc still serves. */
PUBLIC void cfree(void *block)
{
	PROGRAMS(free)(block);
}
