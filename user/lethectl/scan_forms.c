// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a secret looks like where it was printed, sent, or put into words: every form of
 * its bytes themselves. Decides nothing about what is found.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scan.h"

const char *const form_names[NR_FORMS] = {
	[FORM_PLAIN] = "plain",   [FORM_WORDS] = "words", [FORM_HEX] = "hex",
	[FORM_BASE64] = "base64", [FORM_UTF16] = "utf16", [FORM_LIMBS] = "limbs",
	[FORM_AES] = "aes",       [FORM_SHA] = "sha",     [FORM_CHACHA] = "chacha",
};

/* Of hex, in UTF-16. */
#define LONGEST (4 * SCAN_MAX)

/* What they are made of, and where one is put together. */
struct maker {
	struct table *table;
	const uint8_t *secret;
	size_t length;
	uint8_t *made;
	int err;
};

/* The @made is a form of so many bytes, @per of which say @upon. */
static void put(struct maker *maker, enum form form, const char *what, size_t length,
		unsigned int upon, unsigned int per, size_t need)
{
	struct pattern pattern = {
		.form = form,
		.length = (uint32_t)length,
		.need = (uint32_t)need,
		/* Of words that begin later, some bytes are missing. */
		.whole = upon == per && length < maker->length ? UINT32_MAX :
								 (uint32_t)length,
		.upon = (uint8_t)upon,
		.per = (uint8_t)per,
		/* Separators, and bits of a character, are left over at the ends. */
		.left_over = per == 3  ? 1 :
			     upon == 3 ? 2 :
					 0,
	};

	snprintf(pattern.what, sizeof(pattern.what), "%s", what);
	if (!maker->err)
		maker->err = table_add(maker->table, &pattern, maker->made, 0, length);
}

void swap_words(uint8_t *to, const uint8_t *from, size_t length, size_t word)
{
	size_t i;

	for (i = 0; i < length / word * word; i++)
		to[i] = from[i / word * word + word - 1 - i % word];
}

/* A word may begin at any byte of it, where something else is before it. */
static void words(struct maker *maker)
{
	size_t word, phase, length;
	char what[56];

	for (word = 2; word <= 8; word *= 2) {
		for (phase = 0; phase < word && phase < maker->length; phase++) {
			length = (maker->length - phase) / word * word;
			swap_words(maker->made, maker->secret + phase, length, word);
			snprintf(what, sizeof(what), "words of %zu bytes, swapped", word);
			put(maker, FORM_WORDS, what, length, 1, 1,
			    table_minimum(maker->table));
		}
	}
}

static size_t hex(struct maker *maker, const char *digits, char between)
{
	uint8_t *to = maker->made;
	size_t i;

	for (i = 0; i < maker->length; i++) {
		if (i && between)
			*to++ = (uint8_t)between;
		*to++ = (uint8_t)digits[maker->secret[i] >> 4];
		*to++ = (uint8_t)digits[maker->secret[i] & 15];
	}
	return (size_t)(to - maker->made);
}

static const char *const cases[] = { "0123456789abcdef", "0123456789ABCDEF" };

static void hexes(struct maker *maker)
{
	static const struct {
		char between;
		const char *what;
	} kinds[] = {
		{ 0, "hex" },
		{ ':', "hex, colons between" },
		{ ' ', "hex, blanks between" },
	};
	size_t kind, i, length, minimum = table_minimum(maker->table);

	for (kind = 0; kind < 3; kind++) {
		for (i = 0; i < 2; i++) {
			length = hex(maker, cases[i], kinds[kind].between);
			put(maker, FORM_HEX, kinds[kind].what, length, 1, kind ? 3 : 2,
			    kind ? minimum * 3 - 1 : minimum * 2);
		}
	}
}

static unsigned int bits_at(const struct maker *maker, size_t bit)
{
	unsigned int value = (unsigned int)maker->secret[bit / 8] << 8;

	if (bit / 8 + 1 < maker->length)
		value |= maker->secret[bit / 8 + 1];
	return value >> (10 - bit % 8) & 63;
}

/* Those characters that the secret alone makes, @before bytes of something else. */
static void base64(struct maker *maker, const char *digits, const char *what,
		   size_t before)
{
	size_t bit, length = 0, minimum = table_minimum(maker->table);

	for (bit = (6 - before * 8 % 6) % 6; bit + 6 <= maker->length * 8; bit += 6)
		maker->made[length++] = (uint8_t)digits[bits_at(maker, bit)];
	put(maker, FORM_BASE64, what, length, 3, 4, (minimum * 8 - 4) / 6);
}

static void base64s(struct maker *maker)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char of_urls[sizeof(digits)];
	size_t before;

	memcpy(of_urls, digits, sizeof(digits));
	of_urls[62] = '-';
	of_urls[63] = '_';
	for (before = 0; before < 3; before++)
		base64(maker, digits, "base64", before);
	for (before = 0; before < 3; before++)
		base64(maker, of_urls, "base64url", before);
}

static void put_unit(uint8_t *to, unsigned int unit, bool big)
{
	to[big] = (uint8_t)unit;
	to[!big] = (uint8_t)(unit >> 8);
}

/* A character of UTF-8 at @from: its length; 0 if it is none. */
static size_t character(const uint8_t *from, size_t left, unsigned int *value)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *from < 0x80 ? 1 : *from >> 5 == 6 ? 2 : *from >> 4 == 14 ? 3 : 4, i;

	if (*from >= 0xf8 || *from >> 6 == 2 || n > left || !*from)
		return 0;
	*value = n == 1 ? *from : *from & (0x7fU >> n);
	for (i = 1; i < n; i++) {
		if (from[i] >> 6 != 2)
			return 0;
		*value = *value << 6 | (from[i] & 0x3f);
	}
	return *value < least[n] || *value > 0x10ffff || *value >> 11 == 0x1b ? 0 : n;
}

/* The text as UTF-16; 0 if it is no text. */
static size_t utf16(struct maker *maker, bool big)
{
	size_t at, n, length = 0;
	unsigned int value;

	for (at = 0; at < maker->length; at += n) {
		n = character(maker->secret + at, maker->length - at, &value);
		if (!n)
			return 0;
		if (value >= 0x10000) {
			put_unit(maker->made + length, 0xd7c0 + (value >> 10), big);
			length += 2;
			value = 0xdc00 | (value & 0x3ff);
		}
		put_unit(maker->made + length, value, big);
		length += 2;
	}
	return length;
}

/* In place, from the last. */
static size_t widen(struct maker *maker, size_t length, bool big)
{
	size_t i;

	for (i = length; i-- > 0;)
		put_unit(maker->made + 2 * i, maker->made[i], big);
	return 2 * length;
}

static void utf16s(struct maker *maker)
{
	size_t i, length, minimum = table_minimum(maker->table);
	int big;

	for (big = 0; big < 2; big++) {
		length = utf16(maker, big);
		put(maker, FORM_UTF16, big ? "UTF-16, big end first" : "UTF-16", length,
		    1, 2, minimum * 2);
		for (i = 0; i < 2; i++) {
			length = widen(maker, hex(maker, cases[i], 0), big);
			put(maker, FORM_UTF16,
			    big ? "hex in UTF-16, big end first" : "hex in UTF-16",
			    length, 1, 4, minimum * 4);
		}
	}
}

int forms_add(struct table *table, unsigned int wanted, const uint8_t *secret,
	      size_t length)
{
	struct maker maker = { .table = table, .secret = secret, .length = length };
	size_t minimum = table_minimum(table), i;

	maker.made = locked_new(LONGEST);
	if (!maker.made)
		return -errno;
	if (wanted & 1U << FORM_PLAIN) {
		memcpy(maker.made, secret, length);
		put(&maker, FORM_PLAIN, "plain", length, 1, 1, minimum);
	}
	if (wanted & 1U << FORM_WORDS)
		words(&maker);
	if (wanted & 1U << FORM_HEX)
		hexes(&maker);
	if (wanted & 1U << FORM_BASE64)
		base64s(&maker);
	if (wanted & 1U << FORM_UTF16)
		utf16s(&maker);
	if (wanted & 1U << FORM_LIMBS) {
		for (i = 0; i < length; i++)
			maker.made[i] = secret[length - 1 - i];
		put(&maker, FORM_LIMBS, "a number, least first", length, 1, 1, minimum);
	}
	locked_free(maker.made, LONGEST);
	return maker.err;
}
