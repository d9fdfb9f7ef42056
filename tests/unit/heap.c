// SPDX-License-Identifier: MIT
/* The secret heap, one thread at a time; tests/selftests/heap_model.c has many. */
#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "heap.h"

static bool is_filled(const void *start, unsigned char byte, size_t length)
{
	const unsigned char *p = start;

	while (length--)
		if (*p++ != byte)
			return false;
	return true;
}

static bool is_zero(const void *start, size_t length)
{
	return is_filled(start, 0, length);
}

static struct heap_stats stats(void)
{
	struct heap_stats now;

	heap_stats(&now);
	return now;
}

static void *get(size_t size)
{
	void *block = lethe_malloc(size);

	cr_assert_not_null(block, "no %zu bytes: %s", size, strerror(errno));
	return block;
}

Test(heap, class_table_is_sound)
{
	const struct heap_class *class;
	size_t i, offset, length;

	for (i = 0; i < HEAP_CLASSES; i++) {
		class = &heap_classes[i];
		length = class->pages * PAGE;
		cr_assert(!i || class->size > class[-1].size);
		cr_assert_eq(class->size % HEAP_ALIGNMENT, 0);
		cr_assert_leq(class->slots, HEAP_SLOTS_MAX);
		cr_assert_eq(class->slots, length / class->size);
		cr_assert_leq(length % class->size * 16, length);
		while (length -= PAGE)
			cr_assert_gt(length % class->size * 16, length);
		length = class->pages * PAGE;
		for (offset = 0; offset < length; offset++)
			cr_assert_eq(offset * class->reciprocal >> 32,
				     offset / class->size);
	}
	cr_assert_eq(heap_classes[HEAP_CLASSES - 1].size, HEAP_SMALL_MAX);
}

Test(heap, class_is_the_smallest_that_fits_and_is_aligned)
{
	size_t size, alignment, i;

	for (alignment = 1; alignment <= 2 * PAGE; alignment *= 2) {
		for (size = 0; size <= HEAP_SMALL_MAX + 1; size++) {
			for (i = 0; i < HEAP_CLASSES; i++)
				if (heap_classes[i].size >= size &&
				    heap_classes[i].size % alignment == 0)
					break;
			if (alignment > PAGE)
				i = HEAP_RUN;
			cr_assert_eq(heap_class_of(size, alignment), i, "%zu at %zu",
				     size, alignment);
		}
	}
	cr_assert_eq(heap_class_of(SIZE_MAX, 16), HEAP_RUN);
	cr_assert_eq(heap_class_of(SIZE_MAX, 4096), HEAP_RUN);
}

/* Around every class, and runs of pages up to some extents. */
static size_t next_size(size_t size)
{
	return size < 600 ? size + 1 : size + size / 7;
}

Test(heap, blocks_are_secret_aligned_and_zeroed_also_the_second_time)
{
	size_t size, usable, round;
	int err;
	char *p;

	for (size = 0; size < 600 * KIB; size = next_size(size)) {
		for (round = 0; round < 2; round++) {
			p = get(size);
			usable = lethe_usable_size(p);
			cr_assert_eq((uintptr_t)p % 16, 0);
			cr_assert_geq(usable, size);
			cr_assert_leq(usable,
				      size + size / 4 +
					      (size > HEAP_SMALL_MAX ? PAGE : 16));
			cr_assert_eq(lethe_level_of(p), backend_get(&err)->level);
			cr_assert_eq(lethe_level_of(p + usable - 1),
				     backend_get(&err)->level);
			cr_assert(is_zero(p, usable), "%zu bytes, round %zu", size,
				  round);
			memset(p, 0xff, usable);
			lethe_free(p);
		}
	}
}

Test(heap, memory_is_zero_as_soon_as_it_is_freed)
{
	size_t size, usable;
	char *p;

	for (size = 0; size <= 256 * KIB; size = next_size(size)) {
		p = get(size);
		usable = lethe_usable_size(p);
		memset(p, 0xff, usable);
		lethe_free(p);
		/* A large one is no longer mapped, and cannot be looked at. */
		if (size > HEAP_SMALL_MAX && lethe_level_of(p) == LETHE_LEVEL_NONE)
			continue;
		cr_assert(is_zero(p, usable), "%zu bytes", size);
	}
}

Test(heap, all_that_is_usable_is_the_callers)
{
	static char *blocks[HEAP_CLASSES * 4];
	size_t i, size, n = ARRAY_SIZE(blocks);

	for (i = 0; i < n; i++) {
		size = i < n / 2 ? heap_classes[i % HEAP_CLASSES].size - i % 16 :
				   1 + i * 97;
		blocks[i] = get(size);
		memset(blocks[i], (int)i, lethe_usable_size(blocks[i]));
	}
	for (i = 0; i < n; i++)
		cr_assert(is_filled(blocks[i], (unsigned char)i,
				    lethe_usable_size(blocks[i])));
	for (i = 0; i < n; i++)
		lethe_free(blocks[i]);
	cr_assert_eq(stats().blocks, 0);
	cr_assert_eq(stats().bytes, 0);
}

Test(heap, size_zero_is_a_block_of_its_own)
{
	void *a = get(0), *b = get(0), *c = lethe_calloc(0, 8), *d;

	cr_assert_not_null(c);
	cr_assert(a != b && b != c && a != c);
	d = lethe_realloc(a, 0);
	cr_assert_not_null(d);
	cr_assert(d != b && d != c);
	cr_assert_eq(stats().blocks, 3);
}

Test(heap, alignment_is_met_and_costs_no_zero)
{
	size_t alignment, size, usable;
	char *p, *q;

	for (alignment = 1; alignment <= MIB; alignment *= 2) {
		for (size = 0; size < 20000; size = size * 3 + 1) {
			p = lethe_aligned_alloc(alignment, size);
			q = lethe_aligned_alloc(alignment, size);
			cr_assert(p && q, "%zu at %zu", size, alignment);
			cr_assert_eq((uintptr_t)p % alignment, 0);
			cr_assert_eq((uintptr_t)q % alignment, 0);
			usable = lethe_usable_size(p);
			cr_assert_geq(usable, size);
			cr_assert(is_zero(p, usable));
			memset(p, 0xff, usable);
			cr_assert(is_zero(q, usable));
			lethe_free(q);
			lethe_free(p);
		}
	}
	cr_assert_eq(stats().blocks, 0);
}

static void refused(void *block, int error)
{
	cr_assert_null(block);
	cr_assert_eq(errno, error, "%s", strerror(errno));
	errno = 0;
}

Test(heap, refuses_sizes_that_no_memory_has)
{
	size_t half = SIZE_MAX / 2 + 1;
	char *p = get(100);

	memset(p, 7, 100);
	refused(lethe_calloc(half, 2), ENOMEM);
	refused(lethe_calloc(SIZE_MAX, SIZE_MAX), ENOMEM);
	refused(lethe_calloc(3, SIZE_MAX / 3), ENOMEM);
	refused(lethe_malloc(SIZE_MAX), ENOMEM);
	refused(lethe_malloc(half), ENOMEM);
	refused(lethe_malloc(half - 1), ENOMEM);
	refused(lethe_malloc((size_t)1 << 40), ENOMEM);
	refused(lethe_aligned_alloc(half, 1), ENOMEM);
	refused(lethe_aligned_alloc(half, half - 1), ENOMEM);
	refused(lethe_aligned_alloc(PAGE, SIZE_MAX), ENOMEM);
	refused(lethe_aligned_alloc(0, 1), EINVAL);
	refused(lethe_aligned_alloc(48, 1), EINVAL);
	refused(lethe_realloc(p, SIZE_MAX), ENOMEM);
	refused(lethe_realloc(p, half - 1), ENOMEM);
	cr_assert(is_filled(p, 7, 100));
	cr_assert_eq(stats().blocks, 1);
}

Test(heap, realloc_keeps_what_was_there_and_wipes_where_it_was)
{
	size_t from, to, usable, kept;
	char *p, *q;

	for (from = 1; from < 200 * KIB; from = from * 2 + 5) {
		for (to = 1; to < 200 * KIB; to = to * 2 + 3) {
			p = get(from);
			usable = lethe_usable_size(p);
			memset(p, 0xa5, usable);
			q = lethe_realloc(p, to);
			cr_assert_not_null(q);
			kept = to < usable ? to : usable;
			cr_assert(is_filled(q, 0xa5, kept), "%zu to %zu", from, to);
			cr_assert(is_zero(q + kept, lethe_usable_size(q) - kept));
			if (q != p && lethe_level_of(p) != LETHE_LEVEL_NONE)
				cr_assert(is_zero(p, usable), "%zu to %zu", from, to);
			lethe_free(q);
		}
	}
	cr_assert_eq(stats().bytes, 0);
	q = lethe_realloc(NULL, 5);
	cr_assert_eq(lethe_usable_size(q), 16);
}

Test(heap, realloc_of_pages_stays_in_place_where_it_can)
{
	char *p = get(120 * KIB), *after;

	cr_assert_eq(lethe_realloc(p, 100 * KIB), p);
	cr_assert_eq(lethe_realloc(p, 120 * KIB), p);
	cr_assert_eq(lethe_realloc(p, 20 * KIB), p);
	cr_assert_eq(lethe_usable_size(p), 20 * KIB);
	after = get(100 * KIB);
	cr_assert_eq(after, p + 20 * KIB);
	cr_assert(is_zero(after, 100 * KIB));
	cr_assert_neq(lethe_realloc(p, 24 * KIB), p);
	cr_assert_eq(stats().bytes, 124 * KIB);
}

Test(heap, older_extents_fill_up_first)
{
	char *first = get(240 * KIB), *second = get(40 * KIB);

	/* One has room for it beside a block, the other is free. */
	cr_assert_eq(lethe_realloc(first, 200 * KIB), first);
	lethe_free(second);
	cr_assert_eq(stats().mapped, 280 * KIB);
	cr_assert_eq(get(16 * KIB), first + 200 * KIB);
}

Test(heap, an_overflow_does_not_lead_it_astray)
{
	char *blocks[64], *page;
	size_t i;

	for (i = 0; i < 64; i++)
		blocks[i] = get(64);
	page = (char *)((uintptr_t)blocks[0] & -PAGE);
	cr_assert_eq((uintptr_t)blocks[63] & -PAGE, (uintptr_t)page);
	memset(page, 0xff, PAGE);
	for (i = 0; i < 64; i++) {
		cr_assert_eq(lethe_usable_size(blocks[i]), 64);
		lethe_free(blocks[i]);
	}
	cr_assert(is_zero(page, PAGE));
	for (i = 0; i < 64; i++)
		cr_assert(is_zero(get(64), 64));
}

Test(heap, free_keeps_errno)
{
	char *blocks[64];
	size_t i;

	errno = EXDEV;
	lethe_free(NULL);
	for (i = 0; i < 64; i++)
		blocks[i] = get(64 * KIB);
	errno = EXDEV;
	/* Extents are given back underway. */
	for (i = 0; i < 64; i++)
		lethe_free(blocks[i]);
	cr_assert_eq(errno, EXDEV);
}

Test(heap, gives_back_what_holds_no_block)
{
	char *blocks[1024], *large = get(MIB);
	size_t i;

	for (i = 0; i < 1024; i++)
		blocks[i] = get(3000);
	cr_assert_geq(stats().mapped, MIB + 3000 * 1024);
	cr_assert_eq(stats().blocks, 1025);
	lethe_free(large);
	cr_assert_lt(stats().mapped, 3 * MIB + 600 * KIB);
	cr_assert_eq(lethe_level_of(large), LETHE_LEVEL_NONE);
	for (i = 0; i < 1024; i++)
		lethe_free(blocks[i]);
	/* An empty span, and a free extent, are kept. */
	cr_assert_leq(stats().mapped, 512 * KIB);
	cr_assert_gt(stats().mapped, 0);
	heap_trim();
	cr_assert_eq(stats().mapped, 0);
	cr_assert(is_zero(get(3000), 3000));
}

Test(heap, packs_small_secrets)
{
	size_t i, n = 100000;

	for (i = 0; i < n; i++)
		get(32);
	cr_assert_eq(stats().blocks, n);
	cr_assert_leq(stats().mapped, n * 32 / 100 * 115);
}

/* A user of its own: root is above the limit, or shares it with other tests. */
static bool limit_secret_memory(size_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	uid_t uid = 1U << 20 | (unsigned int)getpid();

	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	return setgroups(0, NULL) == 0 && setresuid(uid, uid, uid) == 0;
}

static size_t fill(char **blocks, size_t max, size_t size)
{
	size_t n = 0;

	while (n < max && (blocks[n] = lethe_malloc(size)))
		n++;
	return n;
}

Test(heap, that_is_full_is_enomem_and_lives_on)
{
	static char *blocks[1024];
	size_t n, round, i, pages = 64 * 4 + 5;

	if (!limit_secret_memory(pages * PAGE))
		cr_skip_test("not root: cannot become a user with a limit of its own");
	for (round = 0; round < 3; round++) {
		n = fill(blocks, 1024, PAGE);
		/* To the last page, by ever smaller extents. */
		cr_assert_eq(n, pages, "%zu of %zu pages", n, pages);
		refused(blocks[n], ENOMEM);
		refused(lethe_calloc(1, 1), ENOMEM);
		refused(lethe_malloc(MIB), ENOMEM);
		memset(blocks[0], 9, PAGE);
		refused(lethe_realloc(blocks[0], 2 * PAGE), ENOMEM);
		cr_assert(is_filled(blocks[0], 9, PAGE));
		for (i = 0; i < n; i++)
			lethe_free(blocks[i]);
		/* More than any one extent of before: those must be given back. */
		blocks[0] = get(MIB + PAGE);
		lethe_free(blocks[0]);
	}
}
