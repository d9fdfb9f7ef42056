// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * liblethe-malloc.so: the malloc family, by strong symbols. In a secret section
 * it is the secret heap; elsewhere libc, after one test of a thread-local word.
 * Where a block is freed or resized, it is the block's address that decides.
 *
 * Holds no memory and no state of its own but an address in libc, so that it
 * serves before every constructor and after every destructor. Inside a section
 * it never falls back on ordinary memory: a full secret heap is ENOMEM.
 *
 * With LETHE_ALL it is liblethe-run.so: what every thread does is as in a section.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#ifdef LETHE_ALL
#include "run.h"
#endif

/* Called through the address in the GOT: a tail call into libc is one jump. */
#ifdef __clang__
#define NOPLT
#else
#define NOPLT __attribute__((noplt))
#endif

/* libc's own, under the names that it exports for such as us. */
void *__libc_malloc(size_t size) NOPLT;
void *__libc_calloc(size_t count, size_t size) NOPLT;
void *__libc_realloc(void *block, size_t size) NOPLT;
void *__libc_memalign(size_t alignment, size_t size) NOPLT;
void *__libc_valloc(size_t size) NOPLT;
void *__libc_pvalloc(size_t size) NOPLT;
void __libc_free(void *block) NOPLT;

/* C23; this libc's headers need not know them. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

static inline bool in_section(void)
{
#ifdef LETHE_ALL
	return likely(!lethe_thread.paused);
#else
	/* One test outside; inside, a handler and a pause have to be told apart. */
	return unlikely(lethe_thread.depth) && lethe_enabled();
#endif
}

static inline bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

/* The two for which libc has no second name. */
static size_t (*libc_usable_size)(void *block);
static void *(*libc_aligned_alloc)(size_t alignment, size_t size);

static COLD void *find_in_libc(const char *name)
{
	static const char none[] =
		"lethe: libc has no malloc_usable_size or aligned_alloc\n";
	void *symbol;

	/* What dlsym() allocates, it keeps: not on the secret heap. */
	lethe_thread.paused++;
	symbol = dlsym(RTLD_NEXT, name);
	lethe_thread.paused--;
	if (symbol)
		return symbol;
	if (write(STDERR_FILENO, none, sizeof(none) - 1) < 0)
		abort();
	abort();
}

static COLD __attribute__((constructor)) void find_all_in_libc(void)
{
	__atomic_store_n(&libc_aligned_alloc, find_in_libc("aligned_alloc"),
			 __ATOMIC_RELAXED);
	/* The last: whoever sees it sees both. */
	__atomic_store_n(&libc_usable_size, find_in_libc("malloc_usable_size"),
			 __ATOMIC_RELEASE);
}

/* Who comes before the constructor looks for itself; all find the same. */
static inline void need_libc(void)
{
	if (unlikely(!__atomic_load_n(&libc_usable_size, __ATOMIC_ACQUIRE)))
		find_all_in_libc();
}

static size_t ordinary_usable_size(void *block)
{
	need_libc();
	return libc_usable_size(block);
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
		lethe_wipe(block, ordinary_usable_size(block));
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

PUBLIC void free_sized(void *block, size_t size)
{
	(void)size;
	free(block);
}

PUBLIC void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	free(block);
}

/* A secret block stays secret, in and out of sections. */
static void *resize_secret(void *block, size_t size)
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
	size_t usable = ordinary_usable_size(block);
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

static inline void *resize(void *block, size_t size)
{
	if (unlikely(space_contains(block)))
		return resize_secret(block, size);
	if (!in_section())
		return __libc_realloc(block, size);
	if (!block)
		return lethe_malloc(size);
	return resize_ordinary_in_section(block, size);
}

PUBLIC void *realloc(void *block, size_t size)
{
	return resize(block, size);
}

PUBLIC void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return resize(block, bytes);
}

PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
	if (in_section())
		return lethe_aligned_alloc(alignment, size);
	need_libc();
	return libc_aligned_alloc(alignment, size);
}

PUBLIC void *memalign(size_t alignment, size_t size)
{
	if (!in_section())
		return __libc_memalign(alignment, size);
	/* As libc does: the next power of two. */
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

/* Its errors are returned: errno stays as it is. */
PUBLIC int posix_memalign(void **block, size_t alignment, size_t size)
{
	int saved = errno;
	void *fresh;

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

PUBLIC void *valloc(size_t size)
{
	if (in_section())
		return lethe_aligned_alloc(PAGE, size);
	return __libc_valloc(size);
}

PUBLIC void *pvalloc(size_t size)
{
	/* What starts at a page has room for whole pages. */
	if (in_section())
		return lethe_aligned_alloc(PAGE, size);
	return __libc_pvalloc(size);
}

PUBLIC size_t malloc_usable_size(void *block)
{
	if (unlikely(space_contains(block)))
		return lethe_usable_size(block);
	return ordinary_usable_size(block);
}
