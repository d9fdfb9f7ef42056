// SPDX-License-Identifier: MIT
/*
 * Each call of the malloc family, with arguments that are usual, at an edge or wrong:
 * what it returns, how that is aligned, what becomes of errno and of the block that it
 * was given. libc's own answer, asked of libc past liblethe-malloc, is the right one,
 * outside of sections and inside.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "redirect.h"

#define PAGE 4096UL
#define HALF (SIZE_MAX / 2 + 1)
/* So that a call that leaves errno alone is known from one that sets it to 0. */
#define UNTOUCHED EXDEV

enum call {
	MALLOC,
	CALLOC,
	REALLOC,
	REALLOCARRAY,
	ALIGNED_ALLOC,
	MEMALIGN,
	POSIX_MEMALIGN,
	VALLOC,
	PVALLOC,
	USABLE_SIZE,
};

/* @block: of so many bytes is given to it; none if 0. @a, @b: the arguments. */
struct row {
	enum call call;
	size_t a, b, block;
};

static const struct row rows[] = {
	{ MALLOC, 0, 0, 0 },
	{ MALLOC, 1, 0, 0 },
	{ MALLOC, 100, 0, 0 },
	{ MALLOC, 100000, 0, 0 },
	{ MALLOC, HALF - 1, 0, 0 },
	{ MALLOC, HALF, 0, 0 },
	{ MALLOC, SIZE_MAX, 0, 0 },
	{ CALLOC, 0, 0, 0 },
	{ CALLOC, 0, SIZE_MAX, 0 },
	{ CALLOC, SIZE_MAX, 0, 0 },
	{ CALLOC, 10, 10, 0 },
	{ CALLOC, HALF, 2, 0 },
	{ CALLOC, 1UL << 32, 1UL << 32, 0 },
	{ CALLOC, 1, HALF, 0 },
	{ CALLOC, 3, SIZE_MAX / 2, 0 },
	{ REALLOC, 0, 0, 0 },
	{ REALLOC, 100, 0, 0 },
	{ REALLOC, HALF, 0, 0 },
	{ REALLOC, 0, 0, 100 },
	{ REALLOC, 1, 0, 100 },
	{ REALLOC, 100, 0, 100 },
	{ REALLOC, 100000, 0, 100 },
	{ REALLOC, 100, 0, 100000 },
	{ REALLOC, HALF - 1, 0, 100 },
	{ REALLOC, HALF, 0, 100 },
	{ REALLOC, SIZE_MAX, 0, 100000 },
	{ REALLOCARRAY, 0, 0, 0 },
	{ REALLOCARRAY, 10, 10, 0 },
	{ REALLOCARRAY, HALF, 2, 0 },
	{ REALLOCARRAY, 0, 10, 100 },
	{ REALLOCARRAY, 10, 0, 100 },
	{ REALLOCARRAY, 10, 100, 100 },
	{ REALLOCARRAY, HALF, 2, 100 },
	{ REALLOCARRAY, 2, HALF - 1, 100 },
	{ REALLOCARRAY, 1, HALF, 100000 },
	{ ALIGNED_ALLOC, 0, 100, 0 },
	{ ALIGNED_ALLOC, 1, 100, 0 },
	{ ALIGNED_ALLOC, 8, 100, 0 },
	{ ALIGNED_ALLOC, 24, 100, 0 },
	{ ALIGNED_ALLOC, 64, 0, 0 },
	{ ALIGNED_ALLOC, 64, 100, 0 },
	{ ALIGNED_ALLOC, PAGE, 10, 0 },
	{ ALIGNED_ALLOC, 65536, 100, 0 },
	{ ALIGNED_ALLOC, HALF, 1, 0 },
	{ ALIGNED_ALLOC, HALF + 1, 1, 0 },
	{ ALIGNED_ALLOC, 64, HALF, 0 },
	{ ALIGNED_ALLOC, 64, SIZE_MAX, 0 },
	{ MEMALIGN, 0, 100, 0 },
	{ MEMALIGN, 1, 100, 0 },
	{ MEMALIGN, 24, 100, 0 },
	{ MEMALIGN, 64, 0, 0 },
	{ MEMALIGN, 100, 100, 0 },
	{ MEMALIGN, PAGE + 1, 100, 0 },
	{ MEMALIGN, 65536, 1, 0 },
	{ MEMALIGN, HALF, 1, 0 },
	{ MEMALIGN, HALF + 1, 1, 0 },
	{ MEMALIGN, SIZE_MAX, 1, 0 },
	{ MEMALIGN, 64, HALF, 0 },
	{ MEMALIGN, 64, SIZE_MAX, 0 },
	{ POSIX_MEMALIGN, 0, 100, 0 },
	{ POSIX_MEMALIGN, 1, 100, 0 },
	{ POSIX_MEMALIGN, 4, 100, 0 },
	{ POSIX_MEMALIGN, 8, 100, 0 },
	{ POSIX_MEMALIGN, 24, 100, 0 },
	{ POSIX_MEMALIGN, 64, 0, 0 },
	{ POSIX_MEMALIGN, 4096, 100, 0 },
	{ POSIX_MEMALIGN, 65536, 100, 0 },
	{ POSIX_MEMALIGN, HALF, 1, 0 },
	{ POSIX_MEMALIGN, 64, HALF, 0 },
	{ VALLOC, 0, 0, 0 },
	{ VALLOC, 1, 0, 0 },
	{ VALLOC, PAGE + 1, 0, 0 },
	{ VALLOC, HALF, 0, 0 },
	{ VALLOC, SIZE_MAX, 0, 0 },
	{ PVALLOC, 0, 0, 0 },
	{ PVALLOC, 1, 0, 0 },
	{ PVALLOC, PAGE, 0, 0 },
	{ PVALLOC, PAGE + 1, 0, 0 },
	{ PVALLOC, HALF, 0, 0 },
	{ PVALLOC, SIZE_MAX - PAGE + 1, 0, 0 },
	{ PVALLOC, SIZE_MAX, 0, 0 },
	{ USABLE_SIZE, 0, 0, 0 },
	{ USABLE_SIZE, 0, 0, 1 },
	{ USABLE_SIZE, 0, 0, 3000 },
	{ USABLE_SIZE, 0, 0, 100000 },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const names[] = {
	"malloc",   "calloc",         "realloc", "reallocarray", "aligned_alloc",
	"memalign", "posix_memalign", "valloc",  "pvalloc",      "malloc_usable_size",
};

/* Who is asked. */
struct family {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*reallocarray)(void *, size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	void *(*memalign)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
	size_t (*usable_size)(void *);
	void (*free)(void *);
};

/**
 * struct answer - what a call came to
 * @error: what posix_memalign() returned, or errno after the call
 * @null: it gave no block
 * @aligned: to what was asked for, or to 16
 * @roomy: at least what was asked for
 * @zero: all that was asked of calloc()
 * @kept: what had been in the block is in the new one; or, in vain, still in the old
 * @all_secret: each block that was made is secret
 * @any_secret: one is
 */
struct answer {
	int error;
	bool null, aligned, roomy, zero, kept, all_secret, any_secret;
};

static const struct family *family;
static struct answer answers[ROWS];

/* What was asked for, where that can be had at all. */
static size_t bytes_of(const struct row *row)
{
	switch (row->call) {
	case CALLOC:
	case REALLOCARRAY:
		return row->a * row->b;
	case ALIGNED_ALLOC:
	case MEMALIGN:
	case POSIX_MEMALIGN:
		return row->b;
	case PVALLOC:
		return (row->a + PAGE - 1) / PAGE * PAGE;
	case USABLE_SIZE:
		return row->block;
	default:
		return row->a;
	}
}

static size_t alignment_of(const struct row *row)
{
	switch (row->call) {
	case ALIGNED_ALLOC:
	case MEMALIGN:
	case POSIX_MEMALIGN:
		return row->a > 16 ? row->a : 16;
	case VALLOC:
	case PVALLOC:
		return PAGE;
	default:
		return 16;
	}
}

static void *call(const struct row *row, void *old, struct answer *answer)
{
	void *block = NULL;
	size_t bytes;

	errno = UNTOUCHED;
	switch (row->call) {
	case MALLOC:
		block = family->malloc(row->a);
		break;
	case CALLOC:
		block = family->calloc(row->a, row->b);
		break;
	case REALLOC:
		block = family->realloc(old, row->a);
		break;
	case REALLOCARRAY:
		block = family->reallocarray(old, row->a, row->b);
		break;
	case ALIGNED_ALLOC:
		block = family->aligned_alloc(row->a, row->b);
		break;
	case MEMALIGN:
		block = family->memalign(row->a, row->b);
		break;
	case POSIX_MEMALIGN:
		/* Of errno POSIX says nothing, and libc sets it or not. */
		errno = family->posix_memalign(&block, row->a, row->b);
		break;
	case VALLOC:
		block = family->valloc(row->a);
		break;
	case PVALLOC:
		block = family->pvalloc(row->a);
		break;
	case USABLE_SIZE:
		bytes = family->usable_size(old);
		answer->roomy = old ? bytes >= row->block : !bytes;
		break;
	}
	/* What it is after a success nobody promises. */
	answer->error = block && row->call != POSIX_MEMALIGN ? 0 : errno;
	return block;
}

/* What was in the old block, as much of it as the new one has room for. */
static bool has_kept(const struct row *row, const char *block, size_t bytes)
{
	size_t i, length = row->block < bytes ? row->block : bytes;

	for (i = 0; i < length; i++)
		if (block[i] != 'k')
			return false;
	return true;
}

static void ask(const struct row *row, struct answer *answer)
{
	char *old = row->block ? family->malloc(row->block) : NULL, *block;
	size_t bytes = bytes_of(row), alignment = alignment_of(row);

	*answer = (struct answer){ .aligned = true, .roomy = true, .zero = true };
	if (old)
		memset(old, 'k', row->block);
	block = call(row, old, answer);
	answer->null = !block;
	answer->kept = true;
	if (block) {
		answer->all_secret = secret(block);
		answer->any_secret = answer->all_secret;
		/* To the next power of two, as memalign() has it. */
		while (alignment & (alignment - 1))
			alignment += alignment & -alignment;
		answer->aligned = !((uintptr_t)block % alignment);
		answer->roomy = family->usable_size(block) >= bytes;
		if (row->call == CALLOC)
			answer->zero = is_zero(block, bytes);
		if (row->block)
			answer->kept = has_kept(row, block, bytes);
		memset(block, 0xff, bytes);
		family->free(block);
		return;
	}
	/* realloc() to nothing has freed it. */
	if (old && (row->call == USABLE_SIZE || bytes || row->a > HALF - 1)) {
		answer->all_secret = secret(old);
		answer->any_secret = answer->all_secret;
		answer->kept = has_kept(row, old, row->block);
		family->free(old);
	}
}

static void ask_all(void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < ROWS; i++)
		ask(&rows[i], &answers[i]);
}

static void *of_libc(const char *name)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), *function;

	cr_assert_not_null(libc);
	function = dlsym(libc, name);
	cr_assert_not_null(function, "%s", name);
	cr_assert_neq(function, dlsym(RTLD_DEFAULT, name), "%s is not ours", name);
	return function;
}

static void check(const struct answer *expected, bool in_section, const char *where)
{
	size_t i;

	for (i = 0; i < ROWS; i++) {
		const struct answer *a = &answers[i], *e = &expected[i];
		const struct row *row = &rows[i];
#define SAME(what)                                                                     \
	cr_expect_eq(                                                                  \
		a->what, e->what, "%s(%#zx, %#zx) of %zu %s: " #what " is %d, not %d", \
		names[row->call], row->a, row->b, row->block, where, a->what, e->what)
		SAME(null);
		SAME(error);
#undef SAME
		cr_expect(a->aligned && a->roomy && a->zero && a->kept,
			  "%s(%#zx, %#zx) of %zu %s: %s", names[row->call], row->a,
			  row->b, row->block, where,
			  !a->aligned ? "alignment" :
			  !a->roomy   ? "room" :
			  !a->zero    ? "zeros" :
					"contents");
		cr_expect(in_section ? a->null || a->all_secret : !a->any_secret,
			  "%s(%#zx, %#zx) of %zu %s: the level", names[row->call], row->a,
			  row->b, row->block, where);
	}
}

Test(redirect_table, each_call_answers_as_libcs_own)
{
	static struct answer expected[ROWS];
	const struct family ours = {
		malloc,   calloc,         realloc, reallocarray, aligned_alloc,
		memalign, posix_memalign, valloc,  pvalloc,      malloc_usable_size,
		free
	};
	const struct family libcs = { of_libc("malloc"),
				      of_libc("calloc"),
				      of_libc("realloc"),
				      of_libc("reallocarray"),
				      of_libc("aligned_alloc"),
				      of_libc("memalign"),
				      of_libc("posix_memalign"),
				      of_libc("valloc"),
				      of_libc("pvalloc"),
				      of_libc("malloc_usable_size"),
				      of_libc("free") };
	size_t i;

	family = &libcs;
	ask_all(NULL);
	memcpy(expected, answers, sizeof(expected));
	for (i = 0; i < ROWS; i++)
		cr_assert_eq(expected[i].any_secret, false);
	family = &ours;
	ask_all(NULL);
	check(expected, false, "outside");
	do_in_section(ask_all, NULL);
	check(expected, true, "inside");
	ask_all(NULL);
	check(expected, false, "outside again");
}

/* Blocks of many sizes, written to their last byte and freed; and come again. */
static void calloc_again(void *arg)
{
	unsigned int *dirty = arg, round;
	size_t size, usable;
	char *block;

	for (round = 0; round < 3; round++) {
		for (size = 1; size < 70000; size += 1 + size / 3) {
			block = calloc(1, size);
			if (!block)
				continue;
			usable = malloc_usable_size(block);
			*dirty += !is_zero(block, usable);
			memset(block, 0xff, usable);
			free(block);
			block = calloc(size, 1);
			*dirty += !is_zero(block, size);
			free(block);
		}
	}
}

Test(redirect_table, callocs_recycled_memory_is_zero_to_its_last_byte)
{
	unsigned int dirty = 0;

	do_in_section(calloc_again, &dirty);
	cr_assert_eq(dirty, 0);
}
