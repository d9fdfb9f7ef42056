// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a secret looks like where a cipher or a hash works with it as its key: the round
 * keys of AES, the message schedules of SHA-2 and HMAC, the state of ChaCha. These are
 * computed in locked pages alone, never for encrypting anything.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scan.h"

#define AES_MAX 240 /* AES-256: fifteen round keys */

/* All that is computed with; in locked pages. */
struct work {
	uint8_t sbox[256];
	uint8_t schedule[AES_MAX], inverse[AES_MAX], swapped[AES_MAX];
	uint8_t block[128];
	uint64_t words[80];
	uint8_t bytes[640];
	struct table *table;
	int err;
};

static void put(struct work *work, enum form form, const char *what, const uint8_t *bytes,
		size_t length, size_t core, size_t core_length)
{
	struct pattern pattern = {
		.form = form,
		.length = (uint32_t)length,
		.need = (uint32_t)table_minimum(work->table),
		.whole = (uint32_t)length,
		.upon = 1,
		.per = 1,
	};

	snprintf(pattern.what, sizeof(pattern.what), "%s", what);
	if (!work->err)
		work->err = table_add(work->table, &pattern, bytes, core, core_length);
}

static uint8_t twice(uint8_t a)
{
	return (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1, a = twice(a))
		if (b & 1)
			product ^= a;
	return product;
}

static uint8_t turn(uint8_t a, int by)
{
	return (uint8_t)(a << by | a >> (8 - by));
}

/* By walking the field with a generator, and its inverse the other way. */
static void make_sbox(uint8_t *sbox)
{
	uint8_t p = 1, q = 1;

	do {
		p ^= twice(p);
		q ^= (uint8_t)(q << 1);
		q ^= (uint8_t)(q << 2);
		q ^= (uint8_t)(q << 4);
		q ^= q & 0x80 ? 0x09 : 0;
		sbox[p] = q ^ turn(q, 1) ^ turn(q, 2) ^ turn(q, 3) ^ turn(q, 4) ^ 0x63;
	} while (p != 1);
	sbox[0] = 0x63;
}

/* Round keys for encryption, in FIPS 197's order. How many bytes. */
static size_t expand(struct work *work, const uint8_t *key, size_t key_length)
{
	size_t length = key_length * 4 + 112, i, j;
	uint8_t *w = work->schedule, round = 1, word[4];

	memcpy(w, key, key_length);
	for (i = key_length; i < length; i += 4) {
		memcpy(word, w + i - 4, 4);
		if (i % key_length == 0) {
			uint8_t first = word[0];

			word[0] = work->sbox[word[1]] ^ round;
			word[1] = work->sbox[word[2]];
			word[2] = work->sbox[word[3]];
			word[3] = work->sbox[first];
			round = twice(round);
		} else if (key_length == 32 && i % 32 == 16) {
			for (j = 0; j < 4; j++)
				word[j] = work->sbox[word[j]];
		}
		for (j = 0; j < 4; j++)
			w[i + j] = w[i + j - key_length] ^ word[j];
	}
	explicit_bzero(word, sizeof(word));
	return length;
}

/* Of the equivalent inverse cipher: the last first, those between mixed. */
static void invert(struct work *work, size_t length)
{
	static const uint8_t by[4] = { 14, 11, 13, 9 };
	size_t at, i, j;

	for (at = 0; at < length; at += 4) {
		const uint8_t *from = work->schedule + (length - 16 - at / 16 * 16) +
				      at % 16;
		uint8_t *to = work->inverse + at;

		if (at < 16 || at >= length - 16) {
			memcpy(to, from, 4);
			continue;
		}
		for (i = 0; i < 4; i++) {
			to[i] = 0;
			for (j = 0; j < 4; j++)
				to[i] ^= times(from[j], by[(j + 4 - i) % 4]);
		}
	}
}

static void aes(struct work *work, const uint8_t *key, size_t key_length,
		const char *which)
{
	size_t length = expand(work, key, key_length);
	char what[56];
	int inverse;

	invert(work, length);
	for (inverse = 0; inverse < 2; inverse++) {
		uint8_t *keys = inverse ? work->inverse : work->schedule;

		snprintf(what, sizeof(what), "AES-%zu round keys%s%s", key_length * 8,
			 inverse ? ", to decrypt" : "", which);
		put(work, FORM_AES, what, keys, length, 0, length);
		snprintf(what, sizeof(what), "AES-%zu round keys%s, swapped%s",
			 key_length * 8, inverse ? ", to decrypt" : "", which);
		swap_words(work->swapped, keys, length, 4);
		put(work, FORM_AES, what, work->swapped, length, 0, length);
	}
}

static uint64_t ror(uint64_t word, unsigned int by, unsigned int bits)
{
	return word >> by | word << (bits - by);
}

/* The schedule of the block, of words of 32 or 64 bits, as this machine keeps words. */
static void sha(struct work *work, unsigned int bits, const char *what)
{
	static const unsigned int turns[2][6] = { { 7, 18, 3, 17, 19, 10 },
						  { 1, 8, 7, 19, 61, 6 } };
	const unsigned int *t = turns[bits == 64], n = bits == 64 ? 80 : 64;
	const uint64_t all = bits == 64 ? UINT64_MAX : UINT32_MAX;
	uint64_t *w = work->words, a, b;
	char words[56];
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (i < 16) {
			memcpy(&w[i], work->block + i * bits / 8, bits / 8);
			w[i] = bits == 64 ? be64toh(w[i]) : be32toh((uint32_t)w[i]);
		} else {
			a = w[i - 15];
			b = w[i - 2];
			a = (ror(a, t[0], bits) ^ ror(a, t[1], bits) ^ a >> t[2]) & all;
			b = (ror(b, t[3], bits) ^ ror(b, t[4], bits) ^ b >> t[5]) & all;
			w[i] = (b + w[i - 7] + a + w[i - 16]) & all;
		}
		memcpy(work->bytes + i * bits / 8, &w[i], bits / 8);
	}
	snprintf(words, sizeof(words), "SHA-%u schedule of %s", bits * 8, what);
	/* In the block's own words are padding and its length, which all have. */
	put(work, FORM_SHA, words, work->bytes, n * bits / 8, bits * 2,
	    (n - 16) * bits / 8);
}

/* The first block of a message that begins with it; the last, too, if it is all. */
static void message(struct work *work, const uint8_t *secret, size_t length,
		    unsigned int bits)
{
	size_t block = bits * 2, room = block - bits / 4;
	uint64_t count = htobe64(length * 8);

	memset(work->block, 0, sizeof(work->block));
	memcpy(work->block, secret, length < block ? length : block);
	if (length < block)
		work->block[length] = 0x80;
	if (length < room)
		memcpy(work->block + block - 8, &count, 8);
	sha(work, bits, "it");
}

static void hmac(struct work *work, const uint8_t *secret, size_t length,
		 unsigned int bits)
{
	size_t block = bits * 2, i;
	int outer;

	if (length > block)
		return;
	for (outer = 0; outer < 2; outer++) {
		for (i = 0; i < block; i++)
			work->block[i] = (i < length ? secret[i] : 0) ^
					 (outer ? 0x5c : 0x36);
		put(work, FORM_SHA, outer ? "HMAC's outer pad" : "HMAC's inner pad",
		    work->block, length, 0, length);
		swap_words(work->bytes, work->block, length, bits / 8);
		put(work, FORM_SHA,
		    outer ? "HMAC's outer pad, swapped" : "HMAC's inner pad, swapped",
		    work->bytes, length / (bits / 8) * (bits / 8), 0,
		    length / (bits / 8) * (bits / 8));
		sha(work, bits, outer ? "HMAC's outer pad" : "HMAC's inner pad");
	}
}

static void chacha(struct work *work, const uint8_t *secret, size_t length)
{
	if (length != 32 && length != 16)
		return;
	memcpy(work->block, length == 32 ? "expand 32-byte k" : "expand 16-byte k", 16);
	memcpy(work->block + 16, secret, length);
	memcpy(work->block + 48 - length, secret, length);
	put(work, FORM_CHACHA, "ChaCha state", work->block, 48, 16, 32);
}

static void aes_keys(struct work *work, const uint8_t *secret, size_t length)
{
	make_sbox(work->sbox);
	if (length == 16 || length == 24 || length == 32)
		aes(work, secret, length, "");
	/* XTS has a key of two. */
	if (length == 32 || length == 64) {
		aes(work, secret, length / 2, ", first half");
		aes(work, secret + length / 2, length / 2, ", second half");
	}
}

int cipher_forms_add(struct table *table, unsigned int wanted, const uint8_t *secret,
		     size_t length)
{
	struct work *work = locked_new(sizeof(*work));
	int err;

	if (!work)
		return -errno;
	work->table = table;
	if (wanted & 1U << FORM_AES)
		aes_keys(work, secret, length);
	if (wanted & 1U << FORM_SHA) {
		message(work, secret, length, 32);
		message(work, secret, length, 64);
		hmac(work, secret, length, 32);
		hmac(work, secret, length, 64);
	}
	if (wanted & 1U << FORM_CHACHA)
		chacha(work, secret, length);
	err = work->err;
	locked_free(work, sizeof(*work));
	return err;
}
