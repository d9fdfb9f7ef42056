// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The search: bytes in, runs out. Where the filter says that a window of the table may
 * begin, bytes are compared, and followed both ways to where the run ends; of runs that
 * say of the same bytes what they are, one is told. It reads the table masked, and prints
 * nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scan_table.h"

/* Runs that may still turn out to be a part of a longer one. */
#define PENDING 64
/* That far behind, they do not. */
#define SETTLED 4096
#define CHANCE 2

struct engine {
	struct table *table;
	engine_found found;
	engine_peek peek;
	void *arg;
	uint64_t total;
	/* What bytes are at hand, and where those before them ended. */
	const uint8_t *bytes;
	uint64_t start, end;
	bool alone;
	uint8_t last[ENGINE_BEFORE];
	size_t kept;
	unsigned int nr_pending;
	struct run pending[PENDING];
};

struct engine *engine_new(struct table *table, engine_found found, engine_peek peek,
			  void *arg)
{
	struct engine *engine = locked_new(sizeof(*engine));

	if (!engine)
		return NULL;
	engine->table = table;
	engine->found = found;
	engine->peek = peek;
	engine->arg = arg;
	return engine;
}

void engine_free(struct engine *engine)
{
	if (engine)
		locked_free(engine, sizeof(*engine));
}

bool run_whole(const struct run *run)
{
	return run->length >= run->pattern->whole;
}

static int byte_at(const struct engine *engine, uint64_t address)
{
	if (address >= engine->start && address < engine->end)
		return engine->bytes[address - engine->start];
	return engine->alone ? -1 : engine->peek(engine->arg, address);
}

/* Two that say of the same bytes what they are. */
static bool better(const struct run *a, const struct run *b)
{
	uint32_t longer = a->length > b->length ? a->length - b->length :
						  b->length - a->length;

	/* A byte or two more may have been met by chance. */
	if (longer > CHANCE || (longer && a->pattern->form == b->pattern->form))
		return a->length > b->length;
	if (run_whole(a) != run_whole(b))
		return run_whole(a);
	/* UTF-16 between zeros is both ends first: it is aligned. */
	if (a->pattern->form == b->pattern->form && (a->address ^ b->address) & 1)
		return !(a->address & 1);
	return a->pattern < b->pattern;
}

static bool same_place(const struct run *a, const struct run *b)
{
	uint64_t from = a->address > b->address ? a->address : b->address;
	uint64_t a_end = a->address + a->length, b_end = b->address + b->length;
	uint64_t to = a_end < b_end ? a_end : b_end;
	uint32_t shorter = a->length < b->length ? a->length : b->length;

	return to > from && (to - from) * 2 > shorter;
}

static void settle(struct engine *engine, uint64_t before)
{
	unsigned int i, kept = 0;

	for (i = 0; i < engine->nr_pending; i++) {
		const struct run *run = &engine->pending[i];

		if (run->address + run->length < before)
			engine->found(engine->arg, run);
		else
			engine->pending[kept++] = *run;
	}
	engine->nr_pending = kept;
}

static void add_run(struct engine *engine, const struct run *run)
{
	unsigned int i, kept = 0;

	for (i = 0; i < engine->nr_pending; i++)
		if (same_place(run, &engine->pending[i]) &&
		    !better(run, &engine->pending[i]))
			return;
	for (i = 0; i < engine->nr_pending; i++)
		if (!same_place(run, &engine->pending[i]))
			engine->pending[kept++] = engine->pending[i];
	engine->nr_pending = kept;
	if (kept == PENDING) {
		engine->found(engine->arg, &engine->pending[0]);
		memmove(&engine->pending[0], &engine->pending[1],
			(PENDING - 1) * sizeof(*run));
		engine->nr_pending--;
	}
	engine->pending[engine->nr_pending++] = *run;
}

/* Enough of the secret's, and somewhere in it eight bytes that say something? */
static bool says_enough(const struct table *table, const struct run *run)
{
	const uint8_t *marks = table->marks + run->pattern->start + run->offset;
	uint32_t i, core = 0;
	bool fit = false;

	for (i = 0; i < run->length; i++) {
		core += !!(marks[i] & MARK_CORE);
		if (marks[i] & MARK_FIT && i + SCAN_MIN <= run->length)
			fit = true;
	}
	return fit && core >= run->pattern->need;
}

/* The window at @address is the pattern's at @offset: how far does that go? */
static void follow(struct engine *engine, struct pattern *pattern, uint64_t address,
		   uint32_t offset)
{
	const struct table *table = engine->table;
	uint32_t from = offset, to = offset + WINDOW;
	struct run run;

	if (address < pattern->end && address - offset == pattern->origin)
		return;
	while (from && byte_at(engine, address - offset + from - 1) ==
			       table_byte(table, pattern->start + from - 1))
		from--;
	while (to < pattern->length && byte_at(engine, address - offset + to) ==
					       table_byte(table, pattern->start + to))
		to++;
	pattern->origin = address - offset;
	pattern->end = address - offset + to;
	run = (struct run){ pattern, address - offset + from, from, to - from };
	if (says_enough(table, &run))
		add_run(engine, &run);
}

static struct pattern *pattern_of(struct table *table, uint32_t at)
{
	unsigned int low = 0, high = table->nr_patterns, middle;

	while (high - low > 1) {
		middle = (low + high) / 2;
		if (table->patterns[middle].start <= at)
			low = middle;
		else
			high = middle;
	}
	return &table->patterns[low];
}

/* All places of the table with this hash, and these bytes. */
static void look_up(struct engine *engine, uint64_t address, const uint8_t *window,
		    const struct index *index, const uint32_t *hashes, uint32_t hash)
{
	uint32_t bucket = hash >> (32 - index->bits), i, at, n;
	struct table *table = engine->table;
	struct pattern *pattern;

	for (i = index->buckets[bucket + 1]; i < index->buckets[bucket + 2]; i++) {
		at = index->entries[i];
		if (hashes[at] != hash)
			continue;
		for (n = 0; n < WINDOW && table_byte(table, at + n) == window[n];)
			n++;
		if (n < WINDOW)
			continue;
		if (engine->nr_pending)
			settle(engine, address - SETTLED);
		pattern = pattern_of(table, at);
		follow(engine, pattern, address, at - pattern->start);
	}
}

static void look(struct engine *engine, uint64_t address, const uint8_t *window)
{
	struct table *table = engine->table;
	uint8_t more[LONG_WINDOW];
	int i, byte;

	look_up(engine, address, window, &table->index, table->hashes,
		window_hash(table, window));
	if (!table->long_index.nr)
		return;
	if (engine->end - address < LONG_WINDOW) {
		/* It goes on in what comes next, if at all. */
		for (i = 0; i < LONG_WINDOW; i++) {
			byte = byte_at(engine, address + (unsigned int)i);
			if (byte < 0)
				return;
			more[i] = (uint8_t)byte;
		}
		window = more;
	}
	look_up(engine, address, window, &table->long_index, table->long_hashes,
		long_hash(table, window));
	if (window == more)
		explicit_bzero(more, sizeof(more));
}

/* Every window of @bytes that begins at a multiple of STRIDE, and ends there. */
static void scan(struct engine *engine, uint64_t address, const uint8_t *bytes,
		 size_t length)
{
	size_t i;

	for (i = filter_next(engine->table, bytes, 0, length); i < length;
	     i = filter_next(engine->table, bytes, i + STRIDE, length))
		look(engine, address + i, bytes + i);
}

void engine_feed(struct engine *engine, uint64_t address, uint8_t *bytes, size_t length)
{
	size_t before = 0, keep;

	engine->total += length;
	/* The last window of what came before ends in this. */
	if (address == engine->end && engine->kept) {
		before = engine->kept;
		memcpy(bytes - before, engine->last + sizeof(engine->last) - before,
		       before);
	}
	engine->alone = false;
	engine->bytes = bytes - before;
	engine->start = address - before;
	engine->end = address + length;
	before = before > STRIDE ? STRIDE : before;
	scan(engine, address - before, bytes - before, length + before);
	keep = length < sizeof(engine->last) ? length / STRIDE * STRIDE :
					       sizeof(engine->last);
	memcpy(engine->last + sizeof(engine->last) - keep, bytes + length - keep, keep);
	engine->kept = keep;
}

void engine_feed_alone(struct engine *engine, uint64_t address, uint8_t *bytes,
		       size_t length)
{
	unsigned int i;

	engine_flush(engine);
	for (i = 0; i < engine->table->nr_patterns; i++)
		engine->table->patterns[i].end = 0;
	engine->total += length;
	engine->alone = true;
	engine->bytes = bytes;
	engine->start = address;
	engine->end = address + length;
	engine->kept = 0;
	scan(engine, address, bytes, length);
	engine_flush(engine);
	/* Nothing goes on where this ended. */
	engine->end = 0;
}

void engine_flush(struct engine *engine)
{
	settle(engine, UINT64_MAX);
}

uint64_t engine_bytes(const struct engine *engine)
{
	return engine->total;
}
