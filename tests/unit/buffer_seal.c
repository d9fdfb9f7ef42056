// SPDX-License-Identifier: MIT
/*
 * Sealed buffers: what is in them stays, nothing of it is left anywhere else, and nobody
 * changes it unseen. The cipher is in buffer_cipher.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "buffer_helpers.h"

static struct lethe_buffer *new_buffer(size_t length)
{
	struct lethe_buffer *b = lethe_buffer_new(length, 0);

	cr_assert_not_null(b, "%s", strerror(errno));
	return b;
}

static void same(int err, int expect)
{
	cr_assert_eq(err, expect, "%s", strerrordesc_np(-err));
}

Test(buffer_seal, what_was_in_a_buffer_is_in_it_again)
{
	static const size_t lengths[] = { 0, 1, 16, 32, 63, 64, 65, 4096, 5000, 70000 };
	static unsigned char before[70000], after[70000];
	struct lethe_buffer *b;
	size_t i, round;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		b = new_buffer(lengths[i]);
		same(lethe_buffer_fill_random(b), 0);
		same(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
		same(lethe_buffer_copy(b, 0, before, lengths[i]), 0);
		for (round = 0; round < 3; round++) {
			same(lethe_buffer_seal(b), 0);
			same(lethe_buffer_seal(b), 0);
			cr_assert_null(lethe_buffer_data(b));
			cr_assert_eq(lethe_buffer_length(b), lengths[i]);
			if (round != 1)
				same(lethe_buffer_unseal(b), 0);
			if (round == 0)
				same(lethe_buffer_unseal(b), 0);
			/* Sealed or not. */
			memset(after, 0, sizeof(after));
			same(lethe_buffer_copy(b, 0, after, lengths[i]), 0);
			cr_assert(!memcmp(before, after, sizeof(after)));
			cr_assert_not_null(lethe_buffer_data(b));
			cr_assert_eq(b->now, LETHE_ACCESS_NONE);
		}
		lethe_buffer_free(b);
	}
}

Test(buffer_seal, what_it_may_be_at_rest_may_be_said_while_it_is_sealed)
{
	struct lethe_buffer *b = new_buffer(32);

	same(lethe_buffer_seal(b), 0);
	same(lethe_buffer_protect(b, LETHE_ACCESS_READ), 0);
	cr_assert_null(lethe_buffer_data(b));
	same(lethe_buffer_unseal(b), 0);
	cr_assert_eq(b->now, LETHE_ACCESS_READ);
	same(lethe_buffer_seal(b), 0);
	same(lethe_buffer_open(b, LETHE_ACCESS_WRITE), 0);
	memset(lethe_buffer_data(b), 9, 32);
	same(lethe_buffer_unseal(b), 0);
	lethe_buffer_close(b);
	cr_assert_eq(b->now, LETHE_ACCESS_READ);
	cr_assert_eq(((char *)lethe_buffer_data(b))[31], 9);
	lethe_buffer_free(b);
}

Test(buffer_seal, leaves_nothing_of_the_data_in_the_process_and_gives_up_its_pages)
{
	struct lethe_buffer *b = new_buffer(32), *other = new_buffer(32);
	struct needle needle;
	char *data;

	/* The key, and what the thread needs, are there before. */
	same(lethe_buffer_seal(other), 0);
	same(lethe_buffer_fill_random(b), 0);
	data = lethe_buffer_data(b);
	needle_take(&needle, data);
	cr_assert_eq(needle_count(&needle), 4);
	same(lethe_buffer_seal(b), 0);
	/* Also in pages that are kept, were they readable: they are b's again. */
	lethe_buffer_free(new_buffer(32));
	cr_assert_eq(needle_count(&needle), 0);
	lethe_trim();
	cr_assert_eq(lethe_level_of(data), LETHE_LEVEL_NONE);
	same(lethe_buffer_unseal(b), 0);
	cr_assert_eq(needle_count(&needle), 4);
	same(lethe_buffer_seal(b), 0);
	lethe_buffer_free(b);
	cr_assert_eq(needle_count(&needle), 0);
	lethe_buffer_free(other);
}

struct sealing {
	struct lethe_buffer *buffer;
	int err;
};

static void seal_inside(void *arg)
{
	struct sealing *sealing = arg;

	sealing->err = lethe_buffer_unseal(sealing->buffer);
	if (!sealing->err)
		sealing->err = lethe_buffer_seal(sealing->buffer);
}

Test(buffer_seal, works_and_leaves_nothing_in_a_section_too)
{
	struct sealing sealing = { .buffer = new_buffer(32) };
	struct needle needle;

	same(lethe_buffer_fill_random(sealing.buffer), 0);
	needle_take(&needle, lethe_buffer_data(sealing.buffer));
	same(lethe_buffer_seal(sealing.buffer), 0);
	same(lethe_do(seal_inside, &sealing), 0);
	same(sealing.err, 0);
	cr_assert_eq(needle_count(&needle), 0);
	same(lethe_buffer_unseal(sealing.buffer), 0);
	cr_assert_eq(needle_count(&needle), 4);
	lethe_buffer_free(sealing.buffer);
}

Test(buffer_seal, its_key_is_in_secret_memory_and_to_be_read_by_nobody)
{
	struct lethe_buffer *b = new_buffer(32), *key;
	struct needle needle;
	int err;

	same(lethe_buffer_seal(b), 0);
	key = (struct lethe_buffer *)b->sealed.key;
	cr_assert_eq(lethe_level_of(lethe_buffer_data(key)), backend_get(&err)->level);
	same(lethe_buffer_open(key, LETHE_ACCESS_READ), 0);
	needle_take(&needle, lethe_buffer_data(key));
	cr_assert_eq(needle_count(&needle), 4);
	lethe_buffer_close(key);
	cr_assert_eq(needle_count(&needle), 0);
	same(lethe_buffer_unseal(b), 0);
	same(lethe_buffer_seal(b), 0);
	cr_assert_eq(needle_count(&needle), 0);
	lethe_buffer_free(b);
}

/* Down where nothing comes that is called after it. */
__attribute__((noinline)) static void deep_down(void (*fn)(void *), void *arg)
{
	char room[64 * KIB];

	__asm__ volatile("" : : "r"(room) : "memory");
	fn(arg);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static void have_a_copy(void *key)
{
	unsigned char copy[CIPHER_KEY_SIZE];

	memcpy(copy, key, sizeof(copy));
	__asm__ volatile("" : : "r"(copy) : "memory");
}

static void seal_and_unseal(void *arg)
{
	struct lethe_buffer *b = arg;

	same(lethe_buffer_seal(b), 0);
	same(lethe_buffer_unseal(b), 0);
	same(lethe_buffer_seal(b), 0);
}

Test(buffer_seal, leaves_nothing_of_its_key_on_the_stack)
{
	struct lethe_buffer *b = new_buffer(300), *key = new_buffer(CIPHER_KEY_SIZE);
	struct needle needle;

	/* Control: what a function leaves down there is found. */
	same(lethe_buffer_fill_random(key), 0);
	needle_take(&needle, lethe_buffer_data(key));
	deep_down(have_a_copy, lethe_buffer_data(key));
	lethe_buffer_free(key);
	cr_assert_gt(needle_count(&needle), 0);

	same(lethe_buffer_seal(b), 0);
	key = (struct lethe_buffer *)b->sealed.key;
	same(lethe_buffer_open(key, LETHE_ACCESS_READ), 0);
	needle_take(&needle, lethe_buffer_data(key));
	lethe_buffer_close(key);
	same(lethe_buffer_unseal(b), 0);
	deep_down(seal_and_unseal, b);
	cr_assert_eq(needle_count(&needle), 0);
	lethe_buffer_free(b);
}

Test(buffer_seal, its_key_is_made_when_needed_and_given_back_when_asked)
{
	struct lethe_buffer *b = new_buffer(32);
	const struct lethe_buffer *key;
	size_t none, before;

	lethe_trim();
	none = status_kb("VmLck:");
	same(lethe_buffer_seal(b), 0);
	key = b->sealed.key;
	lethe_trim();
	/* The buffer's page is given back, and the key's is there. */
	before = status_kb("VmLck:");
	cr_assert_eq(before, none);
	same(lethe_buffer_unseal(b), 0);
	same(lethe_buffer_seal(b), 0);
	cr_assert_eq(b->sealed.key, key);
	lethe_trim();
	same(lethe_buffer_unseal(b), 0);
	lethe_trim();
	cr_assert_eq(status_kb("VmLck:"), none);
	lethe_buffer_free(b);
	lethe_trim();
	cr_assert_eq(status_kb("VmLck:"), none - 4);
}

Test(buffer_seal, never_uses_a_nonce_twice)
{
	struct lethe_buffer *b = new_buffer(32), *other = new_buffer(32);
	unsigned char first[32];
	uint64_t nonce;

	memset(lethe_buffer_data(b), 3, 32);
	memset(lethe_buffer_data(other), 3, 32);
	same(lethe_buffer_seal(b), 0);
	nonce = b->sealed.nonce;
	memcpy(first, b->sealed.text, 32);
	same(lethe_buffer_seal(other), 0);
	cr_assert_gt(other->sealed.nonce, nonce);
	cr_assert_neq(memcmp(first, other->sealed.text, 32), 0);
	nonce = other->sealed.nonce;
	same(lethe_buffer_unseal(b), 0);
	same(lethe_buffer_seal(b), 0);
	cr_assert_gt(b->sealed.nonce, nonce);
	cr_assert_neq(memcmp(first, b->sealed.text, 32), 0);
	nonce = b->sealed.nonce;
	lethe_buffer_free(b);
	lethe_buffer_free(other);
	/* Not by another key either, which need not be. */
	lethe_trim();
	b = new_buffer(32);
	same(lethe_buffer_seal(b), 0);
	cr_assert_gt(b->sealed.nonce, nonce);
	lethe_buffer_free(b);
}

static struct lethe_buffer *must_sealed(int fill)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	must(b);
	memset(lethe_buffer_data(b), fill, 32);
	must(!lethe_buffer_protect(b, LETHE_ACCESS_NONE) && !lethe_buffer_seal(b));
	return b;
}

/* Closes stderr over: the message is what is looked for. */
static void expect_bad(struct lethe_buffer *b)
{
	char said[200], expect[200];
	int fds[2], err;
	ssize_t n;

	must(!pipe(fds) && dup2(fds[1], STDERR_FILENO) >= 0);
	err = lethe_buffer_open(b, LETHE_ACCESS_READ);
	n = read(fds[0], said, sizeof(said) - 1);
	must(n > 0);
	said[n] = 0;
	snprintf(expect, sizeof(expect),
		 "lethe: buffer %p: what was sealed has been changed since\n", (void *)b);
	must(err == -EBADMSG && !strcmp(said, expect));
	must(!b->readers && b->sealed.text && !lethe_buffer_data(b));
	must(lethe_buffer_unseal(b) == -EBADMSG);
}

static void change_text(void)
{
	struct lethe_buffer *b = must_sealed(1);

	b->sealed.text[5] ^= 4;
	expect_bad(b);
	/* Nothing is lost by it. */
	b->sealed.text[5] ^= 4;
	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	must(((char *)lethe_buffer_data(b))[31] == 1);
}

static void change_tag(void)
{
	struct lethe_buffer *b = must_sealed(1);

	b->sealed.text[32 + 15] ^= 128;
	expect_bad(b);
	lethe_buffer_free(b);
}

static void change_nonce(void)
{
	struct lethe_buffer *b = must_sealed(1);

	b->sealed.nonce++;
	expect_bad(b);
}

static void change_places(void)
{
	struct lethe_buffer *a = must_sealed(1), *b = must_sealed(2);
	struct sealed sealed = a->sealed;

	a->sealed = b->sealed;
	b->sealed = sealed;
	expect_bad(a);
	expect_bad(b);
}

static void change_length(void)
{
	struct lethe_buffer *b = must_sealed(1);

	b->length = 16;
	expect_bad(b);
}

Test(buffer_seal, finds_what_was_tampered_with)
{
	lives(change_text);
	lives(change_tag);
	lives(change_nonce);
	lives(change_places);
	lives(change_length);
}

static struct lethe_buffer *parents;

static void use_parents(void)
{
	struct lethe_buffer *b;

	must(lethe_buffer_unseal(parents) == -ESTALE);
	must(lethe_buffer_open(parents, LETHE_ACCESS_READ) == -ESTALE);
	/* A key of its own. */
	b = must_sealed(5);
	must(b->sealed.key != parents->sealed.key);
	must(lethe_buffer_unseal(parents) == -ESTALE);
	lethe_buffer_free(parents);
	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	must(((char *)lethe_buffer_data(b))[0] == 5);
	lethe_buffer_close(b);
	lethe_buffer_free(b);
}

Test(buffer_seal, a_forks_child_has_neither_the_key_nor_what_is_sealed)
{
	parents = new_buffer(32);
	memset(lethe_buffer_data(parents), 6, 32);
	same(lethe_buffer_seal(parents), 0);
	lives(use_parents);
	same(lethe_buffer_unseal(parents), 0);
	cr_assert_eq(((char *)lethe_buffer_data(parents))[31], 6);
	lethe_buffer_free(parents);
}

Test(buffer_seal, what_is_sealed_is_lost_with_its_key)
{
	struct lethe_buffer *old = new_buffer(32), *young;

	same(lethe_buffer_seal(old), 0);
	revoked(revoked_generation());
	same(lethe_buffer_unseal(old), -ESTALE);
	young = new_buffer(32);
	memset(lethe_buffer_data(young), 8, 32);
	same(lethe_buffer_seal(young), 0);
	same(lethe_buffer_unseal(old), -ESTALE);
	lethe_buffer_free(old);
	/* The new key is not given back by that. */
	lethe_trim();
	same(lethe_buffer_unseal(young), 0);
	cr_assert_eq(((char *)lethe_buffer_data(young))[0], 8);
	lethe_buffer_free(young);
}

#define MANY 3000

Test(buffer_seal, thousands_are_sealed_in_the_room_of_few)
{
	static struct lethe_buffer *many[MANY];
	struct lethe_buffer *first = new_buffer(32);
	size_t i, before;

	same(lethe_buffer_seal(first), 0);
	before = status_kb("VmLck:");
	for (i = 0; i < MANY; i++) {
		many[i] = new_buffer(32);
		memset(lethe_buffer_data(many[i]), (int)(i % 251), 32);
		same(lethe_buffer_seal(many[i]), 0);
	}
	cr_assert_leq(status_kb("VmLck:"), before + RUNS_KEPT_PAGES * 4);
	for (i = 0; i < MANY; i += 7) {
		same(lethe_buffer_open(many[i], LETHE_ACCESS_READ), 0);
		cr_assert_eq(((unsigned char *)lethe_buffer_data(many[i]))[31], i % 251);
		lethe_buffer_close(many[i]);
		same(lethe_buffer_seal(many[i]), 0);
	}
	for (i = 0; i < MANY; i++)
		lethe_buffer_free(many[i]);
}

#define FEW 20

static void unseal_without_memory(void)
{
	struct lethe_buffer *b = must_sealed(1), *others[FEW];
	size_t n = 0;

	lethe_trim();
	limit_locked(FEW * PAGE);
	while (n < FEW && (others[n] = lethe_buffer_new(32, 0)))
		n++;
	must(n && n < FEW && errno == ENOMEM);
	must(lethe_buffer_unseal(b) == -ENOMEM && !lethe_buffer_data(b));
	must(lethe_buffer_open(b, LETHE_ACCESS_READ) == -ENOMEM && !b->readers);
	/* For the buffer, and for the stack of a section. */
	must(n > 3);
	lethe_buffer_free(others[0]);
	lethe_buffer_free(others[1]);
	lethe_buffer_free(others[2]);
	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	must(((char *)lethe_buffer_data(b))[31] == 1);
}

Test(buffer_seal, stays_sealed_where_there_is_no_memory_for_it)
{
	lives(unseal_without_memory);
}

static void *seal_often(void *arg)
{
	unsigned char fill = *(unsigned char *)arg, *data;
	struct lethe_buffer *b = lethe_buffer_new(300, 0);
	unsigned int i;

	if (!b)
		return arg;
	for (i = 0; i < 200; i++) {
		if (lethe_buffer_open(b, LETHE_ACCESS_WRITE))
			return arg;
		data = lethe_buffer_data(b);
		if (i && (data[0] != fill || data[299] != fill))
			return arg;
		memset(data, ++fill, 300);
		lethe_buffer_close(b);
		if (lethe_buffer_seal(b))
			return arg;
		if (i % 16 == 0)
			lethe_trim();
	}
	lethe_buffer_free(b);
	return NULL;
}

Test(buffer_seal, is_for_threads)
{
	static unsigned char fills[3] = { 0, 100, 200 };
	pthread_t threads[3];
	void *result;
	size_t i;

	for (i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, seal_often, &fills[i]), 0);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		cr_assert_null(result);
	}
}
