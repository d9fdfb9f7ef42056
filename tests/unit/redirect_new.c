// SPDX-License-Identifier: MIT
/* C++ in a section: what it makes by operator new is secret, wherever it is deleted. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>

#include "redirect.h"
#include "redirect_new.h"

static void make(void *arg)
{
	new_make(arg);
}

static void grow(void *arg)
{
	new_grow(arg);
}

static void *delete_in_thread(void *arg)
{
	new_delete(arg);
	return NULL;
}

static unsigned int secret_blocks(const struct new_blocks *b)
{
	const void *const all[] = { b->text, b->string,     b->vector,
				    b->one,  b->array,      b->nothrow,
				    b->wide, b->wide_array, b->wide_nothrow,
				    b->raw,  b->raw_aligned };
	unsigned int i, n = 0;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		cr_assert_not_null(all[i], "block %u", i);
		n += secret(all[i]);
	}
	return n;
}

Test(redirect_new, operator_new_is_secret_in_a_section_and_only_there)
{
	struct new_blocks b;
	pthread_t thread;

	new_make(&b);
	cr_assert_eq(secret_blocks(&b), 0);
	new_delete(&b);

	do_in_section(make, &b);
	cr_assert_eq(secret_blocks(&b), 11);
	cr_assert_eq((uintptr_t)b.wide % 128, 0);
	cr_assert_eq((uintptr_t)b.wide_array % 128, 0);
	cr_assert_eq((uintptr_t)b.raw_aligned % 4096, 0);
	cr_assert_eq(((char *)b.string)[999], 's');
	cr_assert_eq(pthread_create(&thread, NULL, delete_in_thread, &b), 0);
	pthread_join(thread, NULL);
	cr_assert(is_zero(place_of(b.raw), 300));
}

Test(redirect_new, containers_that_grow_move_in_and_stay)
{
	struct new_blocks b;

	new_make(&b);
	do_in_section(grow, &b);
	cr_assert(secret(b.string));
	cr_assert(secret(b.vector));
	cr_assert_not(secret(b.text));
	cr_assert_eq(((char *)b.string)[100999], 't');
	cr_assert_eq(((unsigned char *)b.vector)[4999], 7);
	new_delete(&b);
}

static void ask_too_much(void *arg)
{
	*(unsigned int *)arg = new_refused();
}

Test(redirect_new, what_cannot_be_had_is_bad_alloc_or_null)
{
	unsigned int refused = 0;

	cr_assert_eq(new_refused(), 15);
	do_in_section(ask_too_much, &refused);
	cr_assert_eq(refused, 15);
}
