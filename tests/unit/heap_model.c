// SPDX-License-Identifier: MIT
/*
 * Random operations on the secret heap from four threads, against a model of
 * what must be in each block: a byte that differs shows an overlap, a stale
 * secret, or a block that moved and left something behind.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "heap.h"

#define THREADS 4
#define OPERATIONS 200000
#define HELD 128
/* Of each thread; all of them fit into an 8 MiB limit. */
#define BUDGET (512 * KIB)

struct block {
	unsigned char *start;
	size_t size, usable;
	uint64_t pattern;
};

/* What one thread leaves here, another frees. */
static _Atomic(struct block *) mailbox[16];

struct worker {
	pthread_t thread;
	uint64_t random;
	struct block held[HELD];
	size_t bytes, nr_made, nr_freed_for_others;
	char fault[128];
};

static void fault(struct worker *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fault(struct worker *w, const char *format, ...)
{
	va_list args;

	/* The first says most. */
	if (w->fault[0])
		return;
	va_start(args, format);
	vsnprintf(w->fault, sizeof(w->fault), format, args);
	va_end(args);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t random_size(struct worker *w)
{
	uint64_t r = next_random(&w->random);
	/* Mostly small, sometimes pages, now and then more than an extent. */
	unsigned int log = r % 1000 == 0 ? 18 : r % 20 == 0 ? 15 : r % 11;

	return (r >> 20) % ((size_t)2 << log);
}

static unsigned char byte_at(const struct block *b, size_t i)
{
	return (unsigned char)((b->pattern >> i % 8 * 8 ^ i >> 3) | 1);
}

static void write_pattern(struct worker *w, struct block *b)
{
	size_t i;

	b->pattern = next_random(&w->random);
	for (i = 0; i < b->usable; i++)
		b->start[i] = byte_at(b, i);
}

static void check_pattern(struct worker *w, const struct block *b, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (b->start[i] != byte_at(b, i)) {
			fault(w, "byte %zu of a block of %zu is not what was written", i,
			      b->size);
			return;
		}
	}
}

static void check_zero(struct worker *w, const struct block *b, size_t from)
{
	size_t i;

	for (i = from; i < b->usable; i++) {
		if (b->start[i]) {
			fault(w, "byte %zu of a new block of %zu is not zero", i,
			      b->size);
			return;
		}
	}
}

static void measure(struct worker *w, struct block *b, size_t alignment)
{
	b->usable = lethe_usable_size(b->start);
	if (b->usable < b->size)
		fault(w, "a block of %zu has room for %zu", b->size, b->usable);
	if ((uintptr_t)b->start % alignment)
		fault(w, "a block is not aligned to %zu", alignment);
	if (lethe_level_of(b->start) == LETHE_LEVEL_NONE ||
	    lethe_level_of(b->start + b->usable - 1) == LETHE_LEVEL_NONE)
		fault(w, "a block is not secret");
	w->bytes += b->usable;
}

static void make(struct worker *w, struct block *b)
{
	uint64_t r = next_random(&w->random);
	size_t alignment = 16;

	b->size = random_size(w);
	if (w->bytes + b->size > BUDGET)
		return;
	if (r % 4 == 0) {
		b->start = lethe_calloc(b->size / 8 + 1, 8);
		b->size = (b->size / 8 + 1) * 8;
	} else if (r % 4 == 1) {
		alignment = (size_t)16 << (r >> 8) % 9;
		b->start = lethe_aligned_alloc(alignment, b->size);
	} else {
		b->start = lethe_malloc(b->size);
	}
	if (!b->start) {
		fault(w, "no block of %zu: %m", b->size);
		return;
	}
	w->nr_made++;
	measure(w, b, alignment);
	check_zero(w, b, 0);
	write_pattern(w, b);
}

static void unmake(struct worker *w, struct block *b)
{
	check_pattern(w, b, b->usable);
	w->bytes -= b->usable;
	lethe_free(b->start);
	b->start = NULL;
}

static void resize(struct worker *w, struct block *b)
{
	size_t size = random_size(w), kept = b->usable < size ? b->usable : size;
	void *fresh;

	if (w->bytes + size > BUDGET)
		return;
	check_pattern(w, b, b->usable);
	fresh = lethe_realloc(b->start, size);
	if (!fresh) {
		fault(w, "no block of %zu: %m", size);
		return;
	}
	w->bytes -= b->usable;
	b->start = fresh;
	b->size = size;
	measure(w, b, 16);
	check_pattern(w, b, kept);
	check_zero(w, b, kept);
	write_pattern(w, b);
}

/* Leaves a block for another thread, and frees what another left. */
static void exchange(struct worker *w, struct block *b)
{
	struct block *parcel = lethe_malloc(sizeof(*parcel));
	size_t i = next_random(&w->random) % ARRAY_SIZE(mailbox);

	if (!parcel) {
		fault(w, "no parcel: %m");
		return;
	}
	*parcel = *b;
	w->bytes -= b->usable;
	b->start = NULL;
	parcel = atomic_exchange(&mailbox[i], parcel);
	if (!parcel)
		return;
	check_pattern(w, parcel, parcel->usable);
	lethe_free(parcel->start);
	lethe_free(parcel);
	w->nr_freed_for_others++;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct block *b;
	uint64_t r;
	size_t i;

	for (i = 0; i < OPERATIONS / THREADS && !w->fault[0]; i++) {
		r = next_random(&w->random);
		b = &w->held[r % HELD];
		if (!b->start)
			make(w, b);
		else if ((r >> 16) % 8 == 0)
			exchange(w, b);
		else if ((r >> 16) % 4 == 0)
			resize(w, b);
		else
			unmake(w, b);
	}
	for (i = 0; i < HELD; i++)
		if (w->held[i].start)
			unmake(w, &w->held[i]);
	return NULL;
}

Test(heap, agrees_with_a_model_of_random_operations_on_four_threads)
{
	static struct worker workers[THREADS];
	struct heap_stats stats;
	struct block *parcel;
	size_t i;

	for (i = 0; i < THREADS; i++) {
		workers[i].random = 0x9e3779b97f4a7c15 * (i + 1);
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]),
			     0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		cr_expect_str_empty(workers[i].fault, "thread %zu: %s", i,
				    workers[i].fault);
		/* It did what it is here for. */
		cr_expect_gt(workers[i].nr_made, OPERATIONS / THREADS / 4);
		cr_expect_gt(workers[i].nr_freed_for_others, 100);
	}
	for (i = 0; i < ARRAY_SIZE(mailbox); i++) {
		parcel = atomic_exchange(&mailbox[i], NULL);
		if (!parcel)
			continue;
		lethe_free(parcel->start);
		lethe_free(parcel);
	}
	heap_stats(&stats);
	cr_expect_eq(stats.blocks, 0);
	cr_expect_eq(stats.bytes, 0);
	heap_trim();
	heap_stats(&stats);
	cr_expect_eq(stats.mapped, 0);
}
