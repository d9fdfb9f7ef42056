// SPDX-License-Identifier: MIT
/*
 * The search engine. Every eight-byte window of every needle is known by a
 * keyed hash; one multiplication and one bit of a filter that stays in the
 * first-level cache tell, at every byte of the stream, that it is none of them.
 *
 * It never holds a needle's plain bytes: a window is unmasked in a register,
 * on its way into the hash, and compared as (stream ^ mask) == masked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "search.h"

#define FILTER_BITS 17 /* 16 KiB: half a first-level cache */
#define BUCKET_BITS 12
#define WINDOW 8

/* A window of a needle; @next is its neighbour in the bucket, 0 for none. */
struct window {
	uint32_t next;
	uint16_t needle;
	uint16_t offset;
};

/*
 * The last run of a needle that was reported. One is enough: two runs of one
 * needle share fewer than eight bytes, or it would say the same eight twice,
 * so their windows come one after the other.
 */
struct run {
	uint64_t origin; /* the address of byte 0 of the needle */
	uint64_t end;
};

struct search {
	search_found found;
	void *arg;
	uint64_t key;
	uint64_t bytes;

	/*
	 * The end of the stream so far, where a run could begin whose end is
	 * not in sight: it is looked at when the next bytes are there.
	 */
	uint64_t tail_address;
	size_t tail_length;
	uint8_t tail[2 * NEEDLE_MAX];

	unsigned int nr_needles;
	struct needle needles[SEARCH_MAX_NEEDLES];
	struct run runs[SEARCH_MAX_NEEDLES];

	unsigned int nr_windows;
	uint32_t buckets[1 << BUCKET_BITS];
	struct window windows[SEARCH_MAX_NEEDLES * NEEDLE_MAX];
	uint64_t filter[(1 << FILTER_BITS) / 64];
};

static inline uint64_t load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint32_t hash(uint64_t key, uint64_t word)
{
	return (word * key) >> (64 - FILTER_BITS);
}

static inline uint32_t bucket(uint32_t h)
{
	return h >> (FILTER_BITS - BUCKET_BITS);
}

struct search *search_new(search_found found, void *arg)
{
	struct search *search = calloc(1, sizeof(*search));

	if (!search)
		return NULL;
	if (getrandom(&search->key, sizeof(search->key), 0) != sizeof(search->key)) {
		free(search);
		return NULL;
	}
	search->key |= 1;
	search->found = found;
	search->arg = arg;
	search->nr_windows = 1; /* 0 ends a bucket */
	return search;
}

void search_free(struct search *search)
{
	if (!search)
		return;
	explicit_bzero(search, sizeof(*search));
	free(search);
}

static unsigned int different_bytes(const struct needle *needle, size_t at)
{
	unsigned int different = 0;

	for (size_t i = at; i < at + WINDOW; i++) {
		size_t j = at;

		while (j < i && (needle->masked[j] ^ needle->mask[j]) !=
					(needle->masked[i] ^ needle->mask[i]))
			j++;
		different += j == i;
	}
	return different;
}

/* Compared without unmasking: a == b is ma ^ mb == Ma ^ Mb. */
static bool same_window(const struct needle *needle, size_t a, size_t b)
{
	return (load(needle->masked + a) ^ load(needle->masked + b)) ==
	       (load(needle->mask + a) ^ load(needle->mask + b));
}

static const char *unfit(const struct needle *needle)
{
	if (needle_check(needle))
		return "is no needle (8 to 256 bytes, a name without blanks)";
	for (size_t i = 0; i + WINDOW <= needle->length; i++) {
		if (different_bytes(needle, i) < 4)
			return "has eight bytes in a row with fewer than four different values: they would be found by chance";
		for (size_t j = 0; j < i; j++) {
			if (same_window(needle, i, j))
				return "says the same eight bytes twice";
		}
	}
	return NULL;
}

int search_add(struct search *search, const struct needle *needle, const char **why)
{
	unsigned int n = search->nr_needles;
	const char *reason = unfit(needle);

	if (!reason && n == SEARCH_MAX_NEEDLES)
		reason = "is one too many";
	if (why)
		*why = reason;
	if (reason)
		return n == SEARCH_MAX_NEEDLES ? -ENOSPC : -EINVAL;

	search->needles[n] = *needle;
	search->nr_needles++;
	for (size_t i = 0; i + WINDOW <= needle->length; i++) {
		uint32_t h = hash(search->key,
				  load(needle->masked + i) ^ load(needle->mask + i));
		uint32_t w = search->nr_windows++;

		search->windows[w] = (struct window){
			.next = search->buckets[bucket(h)],
			.needle = n,
			.offset = i,
		};
		search->buckets[bucket(h)] = w;
		search->filter[h / 64] |= 1ULL << (h % 64);
	}
	return 0;
}

/*
 * The window at @p may be one of a needle's. The stream is looked at from left
 * to right, so the first window of a run that is met is the run's beginning.
 */
static __attribute__((noinline)) void check(struct search *search, uint64_t address,
					    const uint8_t *p, const uint8_t *end,
					    uint32_t h)
{
	uint64_t word = load(p);

	for (uint32_t w = search->buckets[bucket(h)]; w; w = search->windows[w].next) {
		size_t offset = search->windows[w].offset;
		unsigned int n = search->windows[w].needle;
		const struct needle *needle = &search->needles[n];
		struct run *run = &search->runs[n];
		struct search_copy copy;
		size_t length = WINDOW;

		if ((word ^ load(needle->mask + offset)) != load(needle->masked + offset))
			continue;
		if (address < run->end && address - offset == run->origin)
			continue;
		while (p + length < end && offset + length < needle->length &&
		       (p[length] ^ needle->mask[offset + length]) ==
			       needle->masked[offset + length])
			length++;

		run->origin = address - offset;
		run->end = address + length;
		copy = (struct search_copy){
			.needle = n,
			.length = length,
			.address = address,
			.whole = length == needle->length,
		};
		search->found(search->arg, &copy);
	}
}

/* Looks at every window that begins in the first @starts bytes. */
static void scan(struct search *search, uint64_t address, const uint8_t *p, size_t starts,
		 size_t length)
{
	const uint64_t *filter = search->filter;
	const uint64_t key = search->key;
	const uint8_t *end = p + length;

	for (size_t i = 0; i < starts; i++) {
		uint32_t h = hash(key, load(p + i));

		if (__builtin_expect(filter[h / 64] >> (h % 64) & 1, 0))
			check(search, address + i, p + i, end, h);
	}
}

static void keep_tail(struct search *search, uint64_t address, const uint8_t *bytes,
		      size_t length)
{
	memmove(search->tail, bytes, length);
	search->tail_address = address;
	search->tail_length = length;
}

/* A run beginning at one of the last NEEDLE_MAX - 1 bytes may go on. */
static void scan_settled(struct search *search, uint64_t address, const uint8_t *bytes,
			 size_t length)
{
	size_t starts = length < NEEDLE_MAX ? 0 : length - NEEDLE_MAX + 1;

	scan(search, address, bytes, starts, length);
	keep_tail(search, address + starts, bytes + starts, length - starts);
}

void search_feed(struct search *search, uint64_t address, const void *bytes,
		 size_t length)
{
	const uint8_t *from = bytes;
	size_t tail = search->tail_length;
	size_t join = length < NEEDLE_MAX - 1 ? length : NEEDLE_MAX - 1;

	if (tail && address != search->tail_address + tail) {
		search_gap(search);
		tail = 0;
	}
	search->bytes += length;
	if (!tail) {
		scan_settled(search, address, from, length);
		return;
	}

	memcpy(search->tail + tail, from, join);
	if (length < NEEDLE_MAX - 1) {
		scan_settled(search, search->tail_address, search->tail, tail + length);
		return;
	}
	/* The old tail now has what follows it; the rest stands in @bytes. */
	scan(search, search->tail_address, search->tail, tail, tail + join);
	scan_settled(search, address, from, length);
}

void search_gap(struct search *search)
{
	size_t tail = search->tail_length;

	if (tail >= WINDOW)
		scan(search, search->tail_address, search->tail, tail - WINDOW + 1, tail);
	search->tail_length = 0;
	memset(search->runs, 0, sizeof(search->runs));
}

uint64_t search_bytes(const struct search *search)
{
	return search->bytes;
}
