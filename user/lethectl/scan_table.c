// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The table of what is searched for: each pattern masked, and the hashes of its windows
 * in a filter. It is made once and then only read, so that a search of this very program
 * finds the secret nowhere in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "scan_table.h"

/* For a secret of one byte more, all forms of it are so many longer: see scan_forms.c. */
#define GROWTH 72
/* And for what does not grow with it: round keys and message schedules. */
#define FIXED (32 * 1024)

bool window_fit(const uint8_t *bytes)
{
	unsigned int different = 0, same = 1, i, j;
	bool steady = true;

	for (i = 0; i < SCAN_MIN; i++) {
		for (j = 0; j < i && bytes[j] != bytes[i];)
			j++;
		different += j == i;
		same = i && bytes[i] == bytes[i - 1] ? same + 1 : 1;
		/* Pages of zeros, and of blanks, would all be looked at twice. */
		if (same >= WINDOW)
			return false;
		if (i > 1 &&
		    (uint8_t)(bytes[i] - bytes[i - 1]) != (uint8_t)(bytes[1] - bytes[0]))
			steady = false;
	}
	return different >= 4 && !steady;
}

struct table *table_new(size_t length, size_t minimum)
{
	struct table *table = locked_new(sizeof(*table));

	if (!table)
		return NULL;
	table->minimum = minimum;
	table->room = FIXED + GROWTH * length;
	table->masked = locked_new(table->room);
	table->marks = calloc(table->room, 1);
	table->hashes = calloc(table->room, sizeof(*table->hashes));
	table->long_hashes = calloc(table->room, sizeof(*table->long_hashes));
	if (!table->masked || !table->marks || !table->hashes || !table->long_hashes ||
	    getrandom(table->mask, sizeof(table->mask), 0) != sizeof(table->mask)) {
		table_free(table);
		return NULL;
	}
	return table;
}

void table_wipe(struct table *table)
{
	/* Without the mask and the key, the rest is noise. */
	explicit_bzero(table->mask, sizeof(table->mask));
	table->key = table->key_of_last = 0;
	explicit_bzero(table->long_keys, sizeof(table->long_keys));
	if (table->masked)
		explicit_bzero(table->masked, table->room);
	if (table->hashes)
		explicit_bzero(table->hashes, table->room * sizeof(*table->hashes));
	if (table->long_hashes)
		explicit_bzero(table->long_hashes,
			       table->room * sizeof(*table->long_hashes));
}

void table_free(struct table *table)
{
	if (!table)
		return;
	table_wipe(table);
	if (table->masked)
		locked_free(table->masked, table->room);
	free(table->marks);
	free(table->hashes);
	free(table->filter);
	free(table->long_hashes);
	free(table->index.buckets);
	free(table->index.entries);
	free(table->long_index.buckets);
	free(table->long_index.entries);
	locked_free(table, sizeof(*table));
}

static bool is_there(const struct table *table, const struct pattern *pattern,
		     const uint8_t *bytes)
{
	const struct pattern *other;
	unsigned int i;
	size_t n;

	for (i = 0; i < table->nr_patterns; i++) {
		other = &table->patterns[i];
		if (other->length != pattern->length)
			continue;
		for (n = 0; n < other->length &&
			    table_byte(table, other->start + n) == bytes[n];)
			n++;
		if (n == other->length)
			return true;
	}
	return false;
}

/* Where windows are: of any run that says something one has to be, wherever it begins. */
static void mark_windows(uint8_t *marks, const struct pattern *pattern, size_t fit)
{
	size_t first = fit > SCAN_MIN ? fit - SCAN_MIN : 0, i;

	if (pattern->need < LONG_MIN) {
		for (i = fit; i < fit + STRIDE; i++)
			marks[i] |= MARK_WINDOW;
		return;
	}
	for (i = first; i < fit + STRIDE && i + LONG_WINDOW <= pattern->length; i++)
		marks[i] |= MARK_WINDOW | MARK_LONG;
}

/* How many of its eights are fit. */
static size_t mark(struct table *table, const struct pattern *pattern,
		   const uint8_t *bytes, size_t core, size_t core_length)
{
	uint8_t *marks = table->marks + pattern->start;
	size_t i, fit = 0;

	for (i = core; i < core + core_length; i++)
		marks[i] |= MARK_CORE;
	for (i = core; i + SCAN_MIN <= core + core_length; i++) {
		if (!window_fit(bytes + i))
			continue;
		fit++;
		marks[i] |= MARK_FIT;
		mark_windows(marks, pattern, i);
	}
	return fit;
}

int table_add(struct table *table, const struct pattern *pattern, const uint8_t *bytes,
	      size_t core, size_t core_length)
{
	struct pattern *new = &table->patterns[table->nr_patterns];
	size_t i;

	if (core_length < pattern->need || is_there(table, pattern, bytes))
		return 0;
	if (table->nr_patterns == PATTERNS_MAX ||
	    table->room - table->length < pattern->length)
		return -ENOSPC;
	*new = *pattern;
	new->start = (uint32_t)table->length;
	if (!mark(table, new, bytes, core, core_length)) {
		memset(table->marks + new->start, 0, new->length);
		return 0;
	}
	for (i = 0; i < new->length; i++) {
		size_t at = new->start + i;

		table->masked[at] = bytes[i] ^ table->mask[at % MASK_LENGTH];
		if (!(table->marks[at] & MARK_WINDOW))
			continue;
		if (table->marks[at] & MARK_LONG)
			table->long_index.nr++;
		else
			table->index.nr++;
	}
	table->length += new->length;
	table->nr_patterns++;
	return 0;
}

static unsigned int bits_for(size_t n)
{
	unsigned int bits = 0;

	while ((size_t)1 << bits < n)
		bits++;
	return bits;
}

/* Of the places whose marks are @marks, as far as windows are concerned. */
static int make_index(const struct table *table, struct index *index,
		      const uint32_t *hashes, unsigned int marks)
{
	const unsigned int which = MARK_WINDOW | MARK_LONG;
	uint32_t bucket;
	size_t at;

	index->bits = bits_for(index->nr + 64);
	index->buckets = calloc(((size_t)1 << index->bits) + 2, sizeof(uint32_t));
	index->entries = calloc(index->nr + 1, sizeof(uint32_t));
	if (!index->buckets || !index->entries)
		return -ENOMEM;
	for (at = 0; at < table->length; at++)
		if ((table->marks[at] & which) == marks)
			index->buckets[(hashes[at] >> (32 - index->bits)) + 1]++;
	for (bucket = 0; bucket < 1U << index->bits; bucket++)
		index->buckets[bucket + 1] += index->buckets[bucket];
	index->buckets[bucket + 1] = (uint32_t)index->nr;
	/* From the last, so that a bucket's beginning is where its first ends up. */
	for (at = table->length; at-- > 0;) {
		if ((table->marks[at] & which) != marks)
			continue;
		bucket = hashes[at] >> (32 - index->bits);
		index->entries[--index->buckets[bucket + 1]] = (uint32_t)at;
	}
	return 0;
}

/* All hashes by new keys, and the filter of them. */
static int hash_windows(struct table *table)
{
	uint8_t window[LONG_WINDOW];
	uint64_t keys[3];
	size_t at, i, n;
	uint32_t bit;

	if (getrandom(keys, sizeof(keys), 0) != sizeof(keys))
		return -errno;
	table->key = (uint32_t)keys[0] | 1;
	table->key_of_last = (uint32_t)(keys[0] >> 32) | 1;
	table->long_keys[0] = keys[1] | 1;
	table->long_keys[1] = keys[2] | 1;
	memset(table->filter, 0, (size_t)1 << (table->filter_bits - 3));
	for (at = 0; at < table->length; at++) {
		if (!(table->marks[at] & MARK_WINDOW))
			continue;
		n = table->marks[at] & MARK_LONG ? LONG_WINDOW : WINDOW;
		for (i = 0; i < n; i++)
			window[i] = table_byte(table, at + i);
		table->hashes[at] = window_hash(table, window);
		if (table->marks[at] & MARK_LONG)
			table->long_hashes[at] = long_hash(table, window);
		bit = table->hashes[at] >> (32 - table->filter_bits);
		table->filter[bit / 32] |= 1U << (bit % 32);
	}
	explicit_bzero(window, sizeof(window));
	return 0;
}

int table_finish(struct table *table)
{
	unsigned int tries = 0;
	int err;

	/* One place in sixty-four or fewer is looked at for nothing. */
	table->filter_bits = bits_for(table_windows(table) * 64 + (1 << 17));
	table->filter = calloc((size_t)1 << (table->filter_bits - 5), sizeof(uint32_t));
	if (!table->filter)
		return -ENOMEM;
	/*
	 * And of zeros, whose hash is 0 by any keys, none: memory is full of them, and would
	 * take some fifteen times as long. Unless a pattern has a window of them.
	 */
	do {
		err = hash_windows(table);
		if (err)
			return err;
	} while (table->filter[0] & 1 && tries++ < 8);
	err = make_index(table, &table->index, table->hashes, MARK_WINDOW);
	return err ? err :
		     make_index(table, &table->long_index, table->long_hashes,
				MARK_WINDOW | MARK_LONG);
}

size_t table_minimum(const struct table *table)
{
	return table->minimum;
}

size_t table_patterns(const struct table *table)
{
	return table->nr_patterns;
}

size_t table_windows(const struct table *table)
{
	return table->index.nr + table->long_index.nr;
}
