// SPDX-License-Identifier: MIT
/*
 * A million random operations on the secret heap, by four threads, in sections and out
 * of them, against a model of what must be in each block: a byte that differs shows an
 * overlap, a stale secret, or a block that moved and left something behind. On
 * whichever backend is in use; where a tool makes it slow, fewer of them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define THREADS 4
#define OPERATIONS 1000000
/* All four have done so many, however slow. */
#define OPERATIONS_MIN 10000
#define SECONDS 10
#define HELD 128
/* Of each thread; all of them, and what is on its way, fit into an 8 MiB limit. */
#define BUDGET (512 * KIB)
#define PARCEL_MAX (8 * KIB)
#define STRETCH 256
#define MAILBOXES 64

struct block {
	unsigned char *start;
	size_t size, usable;
	uint64_t pattern;
};

/* What one thread leaves here, another goes on with, or frees. */
static _Atomic(struct block *) mailbox[MAILBOXES];

/* @made: blocks since the section began, less those freed: what its report is to say. */
struct worker {
	pthread_t thread;
	uint64_t random;
	struct block held[HELD];
	size_t bytes, operations;
	size_t nr_made, nr_remote, nr_resized, nr_sections, nr_trims;
	ptrdiff_t made;
	char fault[160];
};

static enum lethe_level level;
static time_t end;

__attribute__((format(printf, 2, 3))) static void fault(struct worker *w,
							const char *format, ...)
{
	va_list args;

	/* The first says most. */
	if (w->fault[0])
		return;
	va_start(args, format);
	vsnprintf(w->fault, sizeof(w->fault), format, args);
	va_end(args);
}

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static size_t random_size(struct worker *w)
{
	uint64_t r = next_random(w);
	/* Mostly small, sometimes pages, now and then hundreds of them. */
	unsigned int log = r % 1000 == 0 ? 17 : r % 50 == 0 ? 14 : r % 10;

	return (r >> 20) % ((size_t)2 << log);
}

static uint64_t word_at(const struct block *b, size_t i)
{
	return (b->pattern ^ i * 0x9e3779b97f4a7c15) | 0x0101010101010101;
}

/* In words, but for the last few bytes; nothing has to be aligned. */
static void write_pattern(struct worker *w, struct block *b)
{
	size_t i, left;
	uint64_t word;

	b->pattern = next_random(w);
	for (i = 0; i < b->usable; i += sizeof(word)) {
		word = word_at(b, i);
		left = b->usable - i;
		memcpy(b->start + i, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

static void check_pattern(struct worker *w, const struct block *b, size_t length)
{
	size_t i, left;
	uint64_t word;

	for (i = 0; i < length; i += sizeof(word)) {
		word = word_at(b, i);
		left = length - i;
		if (memcmp(b->start + i, &word,
			   left < sizeof(word) ? left : sizeof(word)) != 0)
			fault(w, "at byte %zu of a block of %zu is not what was written",
			      i, b->size);
	}
}

static void check_zero(struct worker *w, const struct block *b, size_t from)
{
	unsigned char any = 0;

	for (size_t i = from; i < b->usable; i++)
		any |= b->start[i];
	if (any)
		fault(w, "a new block of %zu is not zero from byte %zu on", b->size,
		      from);
}

static void check_protection(struct worker *w, const struct block *b)
{
	if (lethe_level_of(b->start) != level ||
	    lethe_level_of(b->start + b->usable - 1) != level)
		fault(w, "a block of %zu is not of the level that it should be", b->size);
}

static void measure(struct worker *w, struct block *b, size_t alignment, bool resized)
{
	/* One at a page or more is a run of them. */
	size_t most = 4 * KIB + b->size + b->size / 4 + alignment;

	/* What is more than half full stays where it is. */
	if (resized && most < 2 * b->size)
		most = 2 * b->size;
	b->usable = lethe_usable_size(b->start);
	if (!b->usable || b->usable < b->size)
		fault(w, "a block of %zu has room for %zu", b->size, b->usable);
	if (b->usable > most)
		fault(w, "a block of %zu takes %zu", b->size, b->usable);
	if ((uintptr_t)b->start % alignment)
		fault(w, "a block of %zu is not aligned to %zu", b->size, alignment);
	check_protection(w, b);
	w->bytes += b->usable;
}

static void make(struct worker *w, struct block *b)
{
	uint64_t r = next_random(w);
	size_t alignment = 16;

	b->size = random_size(w);
	if (w->bytes + b->size > BUDGET)
		return;
	if (r % 4 == 0) {
		b->start = lethe_calloc(b->size / 8 + 1, 8);
		b->size = (b->size / 8 + 1) * 8;
	} else if (r % 4 == 1) {
		alignment = (size_t)1 << (r >> 8) % 14;
		b->start = lethe_aligned_alloc(alignment, b->size);
	} else if (r % 64 == 2) {
		b->start = lethe_realloc(NULL, b->size);
	} else {
		b->start = lethe_malloc(b->size);
	}
	if (!b->start) {
		fault(w, "no block of %zu: %s", b->size, strerror(errno));
		return;
	}
	w->nr_made++;
	w->made++;
	measure(w, b, alignment < 16 ? 16 : alignment, false);
	check_zero(w, b, 0);
	write_pattern(w, b);
}

static void unmake(struct worker *w, struct block *b)
{
	if (lethe_usable_size(b->start) != b->usable)
		fault(w, "the usable size of a block of %zu has changed", b->size);
	check_protection(w, b);
	check_pattern(w, b, b->usable);
	w->bytes -= b->usable;
	w->made--;
	errno = EXDEV;
	lethe_free(b->start);
	if (errno != EXDEV)
		fault(w, "free() changed errno: %s", strerror(errno));
	b->start = NULL;
}

static void resize(struct worker *w, struct block *b)
{
	size_t size = random_size(w), kept = b->usable < size ? b->usable : size;
	void *fresh;

	check_pattern(w, b, b->usable);
	if (w->bytes + size > BUDGET)
		return;
	fresh = lethe_realloc(b->start, size);
	if (!fresh) {
		fault(w, "no block of %zu: %s", size, strerror(errno));
		return;
	}
	w->nr_resized++;
	w->bytes -= b->usable;
	b->start = fresh;
	b->size = size;
	measure(w, b, 16, true);
	check_pattern(w, b, kept);
	check_zero(w, b, kept);
	write_pattern(w, b);
}

/* Leaves a block for another thread, and has what another left. */
static void exchange(struct worker *w, struct block *b)
{
	struct block *parcel;

	if (b->usable > PARCEL_MAX) {
		unmake(w, b);
		return;
	}
	parcel = lethe_malloc(sizeof(*parcel));
	if (!parcel) {
		fault(w, "no parcel: %s", strerror(errno));
		return;
	}
	w->made++;
	*parcel = *b;
	w->bytes -= b->usable;
	b->start = NULL;
	parcel = atomic_exchange(&mailbox[next_random(w) % MAILBOXES], parcel);
	if (!parcel)
		return;
	*b = *parcel;
	w->bytes += b->usable;
	lethe_free(parcel);
	w->made--;
	w->nr_remote++;
	/* Mostly freed by who did not allocate it; or it grows, and moves. */
	if (next_random(w) % 4)
		unmake(w, b);
	else
		resize(w, b);
}

static void operate(struct worker *w)
{
	uint64_t r = next_random(w);
	struct block *b = &w->held[r % HELD];

	w->operations++;
	if ((r >> 32) % 4096 == 0) {
		w->nr_trims++;
		lethe_trim();
	} else if (!b->start) {
		make(w, b);
	} else if ((r >> 16) % 8 == 0) {
		exchange(w, b);
	} else if ((r >> 16) % 4 == 0) {
		resize(w, b);
	} else {
		unmake(w, b);
	}
}

static void stretch(void *arg)
{
	struct worker *w = arg;

	w->made = 0;
	for (unsigned int i = 0; i < STRETCH && !w->fault[0]; i++)
		operate(w);
}

static void stretch_in_section(struct worker *w)
{
	struct lethe_options options = {
		.size = sizeof(options),
		.flags = w->nr_sections % 2 ? LETHE_FAST : 0,
		.stack_size = 32 * KIB,
	};
	struct lethe_report report = { .size = sizeof(report) };
	int err = lethe_do_with(&options, stretch, w, &report);

	if (err)
		fault(w, "no section: %s", strerror(-err));
	else if ((ptrdiff_t)report.blocks_live != (w->made > 0 ? w->made : 0))
		fault(w, "a section reports %zu blocks, and left %td", report.blocks_live,
		      w->made);
	w->nr_sections++;
}

static bool time_is_up(const struct worker *w)
{
	struct timespec ts;

	if (w->operations < OPERATIONS_MIN / THREADS)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec >= end;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (w->operations < OPERATIONS / THREADS && !w->fault[0] && !time_is_up(w)) {
		if (next_random(w) % 2)
			stretch_in_section(w);
		else
			stretch(w);
	}
	for (unsigned int i = 0; i < HELD; i++)
		if (w->held[i].start)
			unmake(w, &w->held[i]);
	return NULL;
}

static void find_level(void)
{
	struct lethe_report report = { .size = sizeof(report) };
	int err = lethe_do_with(NULL, stretch, &(struct worker){ .fault = "-" }, &report);

	if (err)
		tap_bail("lethe_do_with: %s", strerror(-err));
	level = report.level;
}

/* By a thread that allocated none of it. */
static void empty_mailboxes(struct worker *w)
{
	struct block *parcel;

	for (unsigned int i = 0; i < MAILBOXES; i++) {
		parcel = atomic_exchange(&mailbox[i], NULL);
		if (!parcel)
			continue;
		w->bytes += parcel->usable;
		unmake(w, parcel);
		lethe_free(parcel);
	}
}

static struct worker workers[THREADS + 1];

int main(void)
{
	struct worker *w, *all = &workers[THREADS];
	void *lone;
	struct timespec ts;
	bool secret;

	tap_plan(3);
	find_level();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	end = ts.tv_sec + SECONDS;
	for (w = workers; w < all; w++) {
		w->random = 0x9e3779b97f4a7c15 * (uint64_t)(w - workers + 1);
		if (pthread_create(&w->thread, NULL, work, w))
			tap_bail("no thread");
	}
	for (w = workers; w < all; w++) {
		pthread_join(w->thread, NULL);
		if (w->fault[0])
			fault(all, "thread %td: %s", w - workers, w->fault);
		all->operations += w->operations;
		all->nr_made += w->nr_made;
		all->nr_remote += w->nr_remote;
		all->nr_resized += w->nr_resized;
		all->nr_sections += w->nr_sections;
		all->nr_trims += w->nr_trims;
	}
	empty_mailboxes(all);

	tap_ok(!all->fault[0],
	       "%zu random operations of %u threads agree with a model%s%s",
	       all->operations, THREADS, all->fault[0] ? ": " : "", all->fault);
	tap_ok(all->nr_made > all->operations / 4 &&
		       all->nr_remote > all->operations / 100 &&
		       all->nr_resized > all->operations / 50 &&
		       all->nr_sections > all->operations / STRETCH / 4 && all->nr_trims,
	       "%zu blocks made, %zu resized, %zu taken over; %zu sections, %zu trims",
	       all->nr_made, all->nr_resized, all->nr_remote, all->nr_sections,
	       all->nr_trims);

	lone = lethe_malloc(1);
	secret = lone && lethe_level_of(lone) == level;
	lethe_free(lone);
	lethe_trim();
	tap_ok(secret && lethe_level_of(lone) == LETHE_LEVEL_NONE && !lethe_trim(),
	       "all freed, a trim gives back all that there is");
	return tap_end();
}
