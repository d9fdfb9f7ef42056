// SPDX-License-Identifier: MIT
/*
 * liblethe-malloc.so, as a program that links it sees it: whose heap a block is
 * on, whoever asked for it. What runs in a section only takes notes; assertions
 * allocate, and are made outside.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"
#include "redirect.h"

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

/* Before any constructor, this library's among them. */
static void *earliest[4];
static size_t earliest_usable;

static void before_constructors(void)
{
	earliest[0] = malloc(100);
	earliest[1] = calloc(3, 100);
	earliest[2] = realloc(malloc(10), 1000);
	earliest[3] = aligned_alloc(64, 64);
	earliest_usable = malloc_usable_size(earliest[2]);
	free(malloc(5000));
}

typedef void (*initializer)(void);

static const initializer preinit[]
	__attribute__((section(".preinit_array"), used)) = { before_constructors };

Test(redirect, serves_before_the_first_constructor)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(earliest); i++) {
		cr_assert_not_null(earliest[i]);
		cr_assert_not(secret(earliest[i]));
		free(earliest[i]);
	}
	cr_assert_geq(earliest_usable, 1000);
}

struct family {
	void *blocks[10];
	size_t usable[10];
	int err;
};

static void ask_whole_family(void *arg)
{
	/* No power of two, which no compiler is to see. */
	volatile size_t hundred = 100;
	struct family *f = arg;
	size_t i;

	f->blocks[0] = malloc(100);
	f->blocks[1] = calloc(10, 10);
	f->blocks[2] = realloc(NULL, 100);
	f->blocks[3] = realloc(realloc(NULL, 10), 100);
	f->blocks[4] = reallocarray(NULL, 10, 10);
	f->blocks[5] = aligned_alloc(128, 100);
	f->blocks[6] = memalign(hundred, 100);
	f->err = posix_memalign(&f->blocks[7], 128, 100);
	f->blocks[8] = valloc(100);
	f->blocks[9] = pvalloc(PAGE + 1);
	for (i = 0; i < 10; i++)
		f->usable[i] = malloc_usable_size(f->blocks[i]);
}

static void check_family(struct family *f, bool in_section)
{
	size_t i, alignment;

	cr_assert_eq(f->err, 0);
	for (i = 0; i < 10; i++) {
		alignment = i < 5 ? 16 : i < 8 ? 128 : PAGE;
		cr_assert_not_null(f->blocks[i]);
		cr_assert_eq(secret(f->blocks[i]), in_section, "call %zu", i);
		cr_assert_geq(f->usable[i], 100);
		cr_assert_eq((uintptr_t)f->blocks[i] % alignment, 0);
		cr_assert_eq(malloc_usable_size(f->blocks[i]), f->usable[i]);
		memset(f->blocks[i], 0xff, f->usable[i]);
	}
	cr_assert_geq(f->usable[9], 2 * PAGE);
	free_sized(f->blocks[0], 100);
	free_aligned_sized(f->blocks[5], 128, 100);
	for (i = 1; i < 10; i++)
		if (i != 5)
			free(f->blocks[i]);
	for (i = 0; i < 10 && in_section; i++)
		cr_assert(is_zero(f->blocks[i], f->usable[i]), "call %zu", i);
}

Test(redirect, whole_family_is_secret_in_a_section_and_only_there)
{
	struct family f = { .err = -1 };

	ask_whole_family(&f);
	check_family(&f, false);
	do_in_section(ask_whole_family, &f);
	check_family(&f, true);
	ask_whole_family(&f);
	check_family(&f, false);
}

static void ask_paused(void *arg)
{
	struct family *f = arg;

	lethe_thread.paused++;
	ask_whole_family(f);
	lethe_thread.paused--;
}

Test(redirect, family_is_ordinary_while_a_section_is_paused)
{
	struct family f = { .err = -1 };

	do_in_section(ask_paused, &f);
	check_family(&f, false);
}

struct refusals {
	void *blocks[8], *untouched;
	int errors[8], returned[3], kept;
};

/* clang takes it for known that malloc() leaves errno alone. */
static void set_errno(int error)
{
	errno = error;
	__asm__ volatile("" : : : "memory");
}

static int get_errno(void)
{
	__asm__ volatile("" : : : "memory");
	return errno;
}

static void ask_too_much(void *arg)
{
	/* Where the compiler cannot see that it is too much. */
	volatile size_t half = SIZE_MAX / 2 + 1, odd = 24;
	struct refusals *r = arg;

#define REFUSED(i, call) (set_errno(0), r->blocks[i] = (call), r->errors[i] = get_errno())
	REFUSED(0, malloc(half));
	REFUSED(1, calloc(half, 2));
	REFUSED(2, reallocarray(NULL, half, 2));
	REFUSED(3, realloc(NULL, half));
	REFUSED(4, memalign(64, half));
	REFUSED(5, valloc(half));
	REFUSED(6, pvalloc(2 * half - 1));
	REFUSED(7, aligned_alloc(64, half));
#undef REFUSED
	errno = EXDEV;
	r->returned[0] = posix_memalign(&r->untouched, odd, 8);
	r->returned[1] = posix_memalign(&r->untouched, 4, 8);
	r->returned[2] = posix_memalign(&r->untouched, 64, half);
	r->kept = errno;
}

static void check_refusals(const struct refusals *r)
{
	size_t i;

	for (i = 0; i < 8; i++) {
		cr_assert_null(r->blocks[i], "call %zu", i);
		cr_assert_eq(r->errors[i], ENOMEM, "call %zu", i);
	}
	cr_assert_eq(r->returned[0], EINVAL);
	cr_assert_eq(r->returned[1], EINVAL);
	cr_assert_eq(r->returned[2], ENOMEM);
	cr_assert_eq(r->kept, EXDEV);
	cr_assert_eq(r->untouched, r);
}

Test(redirect, refuses_overflows_and_keeps_posix_memaligns_manners)
{
	struct refusals r = { .untouched = &r };

	ask_too_much(&r);
	check_refusals(&r);
	memset(r.blocks, 0xff, sizeof(r.blocks));
	do_in_section(ask_too_much, &r);
	check_refusals(&r);
}

struct filling {
	size_t count, ordinary;
	int error;
};

static void fill(void *arg)
{
	struct filling *f = arg;
	void **list = NULL, **next;

	errno = 0;
	while (!f->ordinary && (next = malloc(PAGE))) {
		f->ordinary += !secret(next);
		*next = list;
		list = next;
		f->count++;
	}
	f->error = errno;
	for (; list; list = next) {
		next = *list;
		free(list);
	}
}

Test(redirect, full_secret_heap_is_never_ordinary_memory)
{
	struct rlimit limit = { MIB, MIB };
	uid_t uid = 1U << 20 | (unsigned int)getpid();
	struct filling f = { 0 };

	/* Root is above the limit, or shares it with other tests. */
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0)
		cr_skip_test("not root: cannot become a user with a limit of its own");
	do_in_section(fill, &f);
	cr_assert_eq(f.error, ENOMEM);
	cr_assert_eq(f.ordinary, 0);
	/* But for a stack, all of the limit. */
	cr_assert_geq(f.count * PAGE, MIB / 2);
	cr_assert_lt(f.count * PAGE, MIB);
}

struct crossing {
	char *ordinary, *kept, *grown, *gone;
	size_t usable;
};

static void cross(void *arg)
{
	struct crossing *c = arg;

	c->kept = realloc(c->kept, 600);
	c->grown = realloc(c->ordinary, 100000);
	c->gone = realloc(c->gone, 0);
}

Test(redirect, realloc_moves_ordinary_blocks_in_and_wipes_what_they_leave)
{
	struct crossing c = { .ordinary = malloc(3000),
			      .kept = malloc(1000),
			      .gone = malloc(3000) };
	char *kept = place_of(c.kept), *gone = place_of(c.gone), *fence = malloc(3000);

	c.usable = malloc_usable_size(c.ordinary);
	memset(c.ordinary, 'o', c.usable);
	memset(kept, 'k', 1000);
	memset(gone, 'g', 3000);
	do_in_section(cross, &c);

	cr_assert(secret(c.grown));
	cr_assert_eq(c.grown[0], 'o');
	cr_assert_eq(c.grown[c.usable - 1], 'o');
	cr_assert(is_zero(c.grown + c.usable, 100000 - c.usable));
	/* libc keeps its lists in the first words of a free block. */
	cr_assert(is_zero(c.ordinary + 32, c.usable - 64));
	cr_assert_null(c.gone);
	cr_assert(is_zero(gone + 32, 3000 - 64));
	/* Shrunk where it was; the rest of it is wiped. */
	cr_assert_eq(c.kept, kept);
	cr_assert_not(secret(kept));
	cr_assert_eq(kept[599], 'k');
	cr_assert(is_zero(kept + 640, 1000 - 640));
	free(c.grown);
	free(c.kept);
	free(fence);
}

static void free_it(void *arg)
{
	errno = EXDEV;
	free(arg);
}

Test(redirect, an_ordinary_block_freed_in_a_section_is_wiped_and_outside_is_not)
{
	char *inside = malloc(3000), *outside = malloc(3000), *fence = malloc(3000);
	char *inside_place = place_of(inside), *outside_place = place_of(outside);

	memset(inside_place, 'i', 3000);
	memset(outside_place, 'o', 3000);
	do_in_section(free_it, inside);
	cr_assert_eq(errno, EXDEV);
	cr_assert(is_zero(inside_place + 32, 3000 - 64));
	free(outside);
	cr_assert_eq(outside_place[1500], 'o', "the control");
	free(fence);
}

static void make_block(void *arg)
{
	char **block = arg;

	*block = malloc(1000);
	memset(*block, 's', 1000);
}

Test(redirect, secret_blocks_stay_secret_when_resized_outside)
{
	char *block = NULL, *old, *ordinary = malloc(10);

	do_in_section(make_block, &block);
	old = place_of(block);
	block = realloc(block, 50000);
	cr_assert(secret(block));
	cr_assert_eq(block[999], 's');
	cr_assert(is_zero(old, 1000));
	block = reallocarray(block, 100, 2);
	cr_assert(secret(block));
	cr_assert_eq(block[199], 's');
	old = place_of(block);
	cr_assert_null(realloc(block, 0));
	cr_assert(is_zero(old, 200));
	ordinary = realloc(ordinary, 50000);
	cr_assert_not(secret(ordinary));
	free(ordinary);
}

static void *allocate_in_thread(void *arg)
{
	*(void **)arg = malloc(100);
	return NULL;
}

static void *free_in_thread(void *arg)
{
	free(arg);
	return NULL;
}

static void start_thread(void *arg)
{
	void **blocks = arg;
	pthread_t thread;

	blocks[0] = malloc(100);
	memset(blocks[0], 's', 100);
	if (!pthread_create(&thread, NULL, allocate_in_thread, &blocks[1]))
		pthread_join(thread, NULL);
}

Test(redirect, threads_are_outside_and_may_free_what_is_secret)
{
	void *blocks[2] = { NULL, NULL };
	pthread_t thread;

	do_in_section(start_thread, blocks);
	cr_assert(secret(blocks[0]));
	cr_assert_not_null(blocks[1]);
	cr_assert_not(secret(blocks[1]));
	free(blocks[1]);
	cr_assert_eq(pthread_create(&thread, NULL, free_in_thread, blocks[0]), 0);
	pthread_join(thread, NULL);
	cr_assert(is_zero(blocks[0], 100));
}
