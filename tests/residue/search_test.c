// SPDX-License-Identifier: MIT
/*
 * The search engine finds what was planted, all of it and nothing else; needles
 * survive their two forms; AES round keys are what FIPS 197 says they are.
 */
#include <malloc.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "aes_schedule.h"
#include "needle.h"
#include "search.h"

#define HAY (256 * 1024)
#define MAX_COPIES 1024

static struct search_copy copies[MAX_COPIES];
static unsigned int nr_copies;
static uint8_t hay[HAY];

static void found(void *arg, const struct search_copy *copy)
{
	(void)arg;
	if (nr_copies < MAX_COPIES)
		copies[nr_copies] = *copy;
	nr_copies++;
}

static void fill_random(void *to, size_t length)
{
	uint8_t *bytes = to;

	for (size_t n; length; bytes += n, length -= n) {
		n = length < 256 ? length : 256;
		if (getrandom(bytes, n, 0) != (ssize_t)n)
			tap_bail("getrandom");
	}
}

static struct search *search_for(const char *name, const void *secret, size_t length)
{
	struct search *search = search_new(found, NULL);
	struct needle needle;

	nr_copies = 0;
	if (!search || needle_make(&needle, name, secret, length) ||
	    search_add(search, &needle, NULL))
		tap_bail("a search cannot be set up");
	return search;
}

/* Feeds all of the hay, in pieces of @piece bytes, and ends. */
static void feed_hay(struct search *search, size_t piece)
{
	for (size_t at = 0; at < HAY; at += piece)
		search_feed(search, at, hay + at, HAY - at < piece ? HAY - at : piece);
	search_gap(search);
}

static bool one_copy(uint64_t address, unsigned int length, bool whole)
{
	return nr_copies == 1 && copies[0].address == address &&
	       copies[0].length == length && copies[0].whole == whole;
}

static void test_offsets(void)
{
	uint8_t secret[32];
	bool good = true;

	fill_random(secret, sizeof(secret));
	for (size_t at = 0; at < 600; at++) {
		struct search *search = search_for("key", secret, 32);

		fill_random(hay, 1024);
		memcpy(hay + at, secret, 32);
		search_feed(search, 0, hay, 1024);
		search_gap(search);
		good &= one_copy(at, 32, true);
		search_free(search);
	}
	tap_ok(good, "a whole copy is found once, at every byte offset");

	good = true;
	for (size_t at = 1024 - 32; at < 1024 - 8; at++) {
		struct search *search = search_for("key", secret, 32);

		fill_random(hay, 1024);
		memcpy(hay + at, secret, 1024 - at < 32 ? 1024 - at : 32);
		search_feed(search, 0, hay, 1024);
		search_gap(search);
		good &= one_copy(at, 1024 - at, 1024 - at == 32);
		search_free(search);
	}
	tap_ok(good, "a copy that the end of memory cuts off is found for what it is");
}

static void test_seams(void)
{
	static const size_t pieces[] = { 1,   3,   7,   8,   9,   31,   32,   100,
					 254, 255, 256, 257, 511, 4096, 65536 };
	uint8_t secret[256];
	bool good = true;

	fill_random(secret, sizeof(secret));
	fill_random(hay, HAY);
	memcpy(hay + 65536 - 100, secret, 256);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct search *search = search_for("long", secret, 256);

		feed_hay(search, pieces[i]);
		if (!one_copy(65536 - 100, 256, true) || search_bytes(search) != HAY) {
			tap_note("in pieces of %zu: %u copies", pieces[i], nr_copies);
			good = false;
		}
		search_free(search);
	}
	tap_ok(good,
	       "a copy across seams of the stream is one whole copy, in pieces of any size");
}

static void test_gap(void)
{
	uint8_t secret[32];
	struct search *search;

	fill_random(secret, sizeof(secret));
	search = search_for("key", secret, 32);
	search_feed(search, 0x1000, secret, 16);
	search_feed(search, 0x3000, secret + 16, 16);
	search_gap(search);
	tap_ok(nr_copies == 2 && copies[0].address == 0x1000 &&
		       copies[1].address == 0x3000 && copies[0].length == 16 &&
		       copies[1].length == 16 && !copies[0].whole,
	       "halves with a hole between them are two copies, neither whole");
	search_free(search);
}

static void test_runs(void)
{
	bool eight = true, seven = true, cut = true;
	uint8_t secret[32];

	fill_random(secret, sizeof(secret));
	for (size_t from = 0; from + 8 <= 32; from++) {
		struct search *search = search_for("key", secret, 32);

		fill_random(hay, HAY / 16);
		memcpy(hay + 5000, secret + from, 8);
		/* Nothing beside it may go on by chance. */
		hay[4999] = from ? ~secret[from - 1] : hay[4999];
		hay[5008] = from + 8 < 32 ? ~secret[from + 8] : hay[5008];
		search_feed(search, 0, hay, HAY / 16);
		search_gap(search);
		eight &= one_copy(5000, 8, false);

		nr_copies = 0;
		hay[5007] = ~secret[from + 7];
		search_feed(search, 0, hay, HAY / 16);
		search_gap(search);
		seven &= nr_copies == 0;

		nr_copies = 0;
		memcpy(hay + 5000, secret, 32);
		hay[5000 + from] ^= 1;
		search_feed(search, 0, hay, HAY / 16);
		search_gap(search);
		/* What is left of the flipped bit, and what is right of it. */
		cut &= nr_copies == (unsigned int)(from >= 8) + (31 - from >= 8);
		search_free(search);
	}
	tap_ok(eight, "a run of 8 bytes from anywhere in the secret is a copy");
	tap_ok(seven, "a run of 7 bytes is none");
	tap_ok(cut, "a bit that differs ends a run, and what follows is another");
}

static void test_many(void)
{
	unsigned int whole = 0, in_order = 0;
	struct search *search;
	uint8_t secret[48];
	size_t at[500];

	fill_random(secret, sizeof(secret));
	fill_random(hay, HAY);
	for (size_t i = 0; i < 500; i++) {
		/* Apart by 501 to 523: every alignment, and seams too. */
		at[i] = i * 511 + i * 7 % 13;
		memcpy(hay + at[i], secret, sizeof(secret));
	}
	search = search_for("key", secret, sizeof(secret));
	feed_hay(search, 4096);
	for (unsigned int i = 0; i < nr_copies && i < 500; i++) {
		whole += copies[i].whole;
		in_order += copies[i].address == at[i];
	}
	tap_ok(nr_copies == 500 && whole == 500 && in_order == 500,
	       "of 500 copies, 500 are found, where they are (%u)", nr_copies);
	search_free(search);

	fill_random(secret, sizeof(secret));
	search = search_for("never", secret, sizeof(secret));
	feed_hay(search, 4096);
	tap_ok(nr_copies == 0, "a secret that was never there is not found");
	search_free(search);
}

static void test_overlaps(void)
{
	uint8_t schedule[AES256_SCHEDULE_SIZE], key[AES256_KEY_SIZE], xyz[48];
	struct needle needle;
	struct search *search;

	fill_random(key, sizeof(key));
	aes256_expand(key, schedule);
	search = search_for("session", key, sizeof(key));
	needle_make(&needle, "rounds", schedule + 32, sizeof(schedule) - 32);
	search_add(search, &needle, NULL);
	fill_random(hay, HAY);
	memcpy(hay + 777, schedule, sizeof(schedule));
	feed_hay(search, 1000);
	tap_ok(nr_copies == 2 && copies[0].needle == 0 && copies[0].whole &&
		       copies[1].needle == 1 && copies[1].whole &&
		       copies[1].address == 777 + 32,
	       "a key schedule is one copy of the key and one of the other round keys");
	search_free(search);

	fill_random(xyz, sizeof(xyz));
	search = search_for("xy", xyz, 32);
	needle_make(&needle, "yz", xyz + 16, 32);
	search_add(search, &needle, NULL);
	fill_random(hay, HAY);
	memcpy(hay + 4090, xyz, sizeof(xyz));
	feed_hay(search, 4096);
	tap_ok(nr_copies == 2 && copies[0].whole && copies[1].whole &&
		       copies[0].needle != copies[1].needle,
	       "secrets that overlap are found one by one, both whole");
	search_free(search);
}

static bool refused(const char *what, const void *secret, size_t length)
{
	struct search *search = search_new(found, NULL);
	struct needle needle;
	const char *why = NULL;
	bool good;

	if (!search || needle_make(&needle, what, secret, length))
		tap_bail("a search cannot be set up");
	good = search_add(search, &needle, &why) && why;
	tap_note("%s %s", what, why ?: "was taken");
	search_free(search);
	return good;
}

static void test_refusals(void)
{
	uint8_t zeros[32] = { 0 }, mixed[64], few[] = "abcabcab";
	struct needle needle;

	fill_random(mixed, sizeof(mixed));
	tap_ok(refused("zeros", zeros, 32) && refused("few", few, 8) &&
		       (memset(mixed + 20, 0x5a, 8), refused("blank-inside", mixed, 32)),
	       "a secret with a stretch that is met by chance is refused, and why is said");
	fill_random(mixed, 32);
	memcpy(mixed + 32, mixed, 32);
	tap_ok(refused("twice", mixed, 64),
	       "a secret that repeats itself is refused, and why is said");
	tap_ok(needle_make(&needle, "short", mixed, 7) &&
		       needle_make(&needle, "long", mixed, NEEDLE_MAX + 1) &&
		       needle_make(&needle, "a name", mixed, 16) &&
		       needle_make(&needle, "", mixed, 16) &&
		       needle_make(&needle, "thirty-two-characters-of-a-name-x", mixed,
				   16),
	       "no needle is made of fewer than 8 bytes, of more than 256, or without a fit name");
}

static void test_masked(void)
{
	struct search *engine, *judge;
	struct needle needle;
	uint8_t secret[64];

	fill_random(secret, sizeof(secret));
	engine = search_for("key", secret, sizeof(secret));
	judge = search_for("key", secret, sizeof(secret));
	needle_make(&needle, "key", secret, sizeof(secret));
	search_feed(judge, 0, &needle, sizeof(needle));
	search_gap(judge);
	search_feed(judge, 0, engine, malloc_usable_size(engine));
	search_gap(judge);
	tap_ok(nr_copies == 0, "neither a needle nor the engine's memory is a copy");
	search_feed(judge, 0, secret, sizeof(secret));
	search_gap(judge);
	tap_ok(nr_copies == 1, "where the secret itself, searched the same way, is");
	search_free(engine);
	search_free(judge);
}

static void test_forms(void)
{
	struct needle needle, back;
	uint8_t secret[200];
	char *line = NULL;
	size_t room = 0;
	int ends[2];
	FILE *out;

	fill_random(secret, sizeof(secret));
	needle_make(&needle, "some-key", secret, sizeof(secret));
	out = open_memstream(&line, &room);
	if (!out || needle_print(out, &needle) || fclose(out) || pipe(ends))
		tap_bail("a needle cannot be printed");
	tap_ok(!needle_parse(line, &back) && !memcmp(&needle, &back, sizeof(needle)),
	       "a needle survives its line of text");
	line[strlen(line) - 2] = 'x';
	tap_ok(needle_parse(line, &back) && needle_parse("NEEDLE a 00 0", &back) &&
		       needle_parse("NEEDLE a 0011223344556677", &back) &&
		       needle_parse("NEEDLE a 0011223344556677 001122334455", &back),
	       "a malformed line is no needle");
	free(line);

	needle_write(ends[1], &needle);
	if (write(ends[1], &needle, sizeof(needle) - 1) < 0)
		tap_bail("write");
	close(ends[1]);
	tap_ok(needle_read(ends[0], &back) == 1 &&
		       !memcmp(&needle, &back, sizeof(needle)),
	       "a needle survives a pipe");
	tap_ok(needle_read(ends[0], &back) < 0 && needle_read(ends[0], &back) == 0,
	       "half a needle is an error, and the end of the pipe is none");
	close(ends[0]);
}

/* FIPS 197, appendix A.3. */
static void test_schedule(void)
{
	static const uint8_t key[32] =
		"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81"
		"\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4";
	static const uint8_t w8[16] =
		"\x9b\xa3\x54\x11\x8e\x69\x25\xaf\xa5\x1a\x8b\x5f\x20\x67\xfc\xde";
	static const uint8_t w12[16] =
		"\xa8\xb0\x9c\x1a\x93\xd1\x94\xcd\xbe\x49\x84\x6e\xb7\x5d\x5b\x9a";
	static const uint8_t w56[16] =
		"\xfe\x48\x90\xd1\xe6\x18\x8d\x0b\x04\x6d\xf3\x44\x70\x6c\x63\x1e";
	uint8_t schedule[AES256_SCHEDULE_SIZE];

	aes256_expand(key, schedule);
	tap_ok(!memcmp(schedule, key, 32) && !memcmp(schedule + 32, w8, 16) &&
		       !memcmp(schedule + 48, w12, 16) &&
		       !memcmp(schedule + 224, w56, 16),
	       "AES-256's round keys are those of FIPS 197, appendix A.3");
}

int main(void)
{
	tap_plan(21);
	test_offsets();
	test_seams();
	test_gap();
	test_runs();
	test_many();
	test_overlaps();
	test_refusals();
	test_masked();
	test_forms();
	test_schedule();
	return tap_end();
}
