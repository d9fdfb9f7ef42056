/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The table of what is searched for, as scan_table.c makes it and scan_engine.c goes
 * through it. No byte of the secret stands in it plainly.
 */
#ifndef LETHECTL_SCAN_TABLE_H
#define LETHECTL_SCAN_TABLE_H

#include <string.h>

#include "scan.h"

/*
 * Memory is looked at every STRIDE bytes, in windows of WINDOW: any run of eight bytes,
 * wherever it begins, has one such window whole (WINDOW + STRIDE - 1 == SCAN_MIN).
 */
#define WINDOW 5
#define STRIDE 4

/*
 * Five bytes of hex or UTF-16 are met often. Where twice as many have to be met anyway,
 * this many of them are in the hash by which a place is found in the table.
 */
#define LONG_WINDOW 13
#define LONG_MIN (LONG_WINDOW + STRIDE - 1)

#define MASK_LENGTH 4096
#define PATTERNS_MAX 256

/* The places with a hash are the entries from buckets[h + 1] up to buckets[h + 2], h being
 * its highest bits. */
struct index {
	unsigned int bits;
	size_t nr;
	uint32_t *buckets, *entries;
};

/**
 * struct table
 * @masked: every pattern's bytes, one after the other, exclusive-or @mask
 * @hashes, @long_hashes: of the window, and the long one, that begins there
 * @marks: of each byte, MARK_*
 * @filter: one bit for each hash there is, by its highest filter_bits
 * @index, @long_index: of each place by one of its two hashes
 */
struct table {
	uint64_t long_keys[2];
	uint32_t key, key_of_last; /* odd, and random */
	size_t minimum, room, length;
	uint8_t *masked, *marks;
	uint32_t *hashes, *long_hashes;
	unsigned int filter_bits;
	uint32_t *filter;
	struct index index, long_index;
	unsigned int nr_patterns;
	struct pattern patterns[PATTERNS_MAX];
	uint8_t mask[MASK_LENGTH];
};

/*
 * Eight bytes from here on say something; a window here is in the filter, and in the
 * index or in the long one; the secret's.
 */
enum { MARK_FIT = 1, MARK_WINDOW = 2, MARK_CORE = 4, MARK_LONG = 8 };

static inline uint8_t table_byte(const struct table *table, size_t at)
{
	return table->masked[at] ^ table->mask[at % MASK_LENGTH];
}

/* In arithmetic of 32 bits, of which vectors have eight at a time. */
static inline uint32_t window_hash(const struct table *table, const uint8_t *window)
{
	uint32_t word;

	memcpy(&word, window, sizeof(word));
	return word * table->key + window[4] * table->key_of_last;
}

static inline uint32_t long_hash(const struct table *table, const uint8_t *window)
{
	uint64_t a, b;

	memcpy(&a, window, sizeof(a));
	memcpy(&b, window + LONG_WINDOW - sizeof(b), sizeof(b));
	return (uint32_t)((a * table->long_keys[0] + b * table->long_keys[1]) >> 32);
}

/* scan_filter.c: the first place from @from on, of every fourth, where a window of the
 * table may begin that ends before @length; or @length. Reads 4 bytes behind that. */
size_t filter_next(const struct table *table, const uint8_t *bytes, size_t from,
		   size_t length);

#endif /* LETHECTL_SCAN_TABLE_H */
