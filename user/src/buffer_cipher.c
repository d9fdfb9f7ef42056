// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ChaCha20-Poly1305 as RFC 8439 has it, so that sealing needs no library: that would
 * have to be trusted with the key, and allocate. No table, no branch and no address
 * depends on a secret. Wipes nothing: what it leaves is the section's.
 */
#include <string.h>

#include "buffer.h"

static uint32_t load32(const unsigned char *p)
{
	uint32_t v;

	/* x86-64 alone: little-endian, as the RFC is. */
	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static inline void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

void chacha20_block(unsigned char out[CIPHER_BLOCK], const unsigned char *key,
		    uint32_t counter, const unsigned char *nonce)
{
	/* "expand 32-byte k" */
	uint32_t s[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	uint32_t x[16];
	size_t i;

	for (i = 0; i < 8; i++)
		s[4 + i] = load32(key + 4 * i);
	s[12] = counter;
	for (i = 0; i < 3; i++)
		s[13 + i] = load32(nonce + 4 * i);
	memcpy(x, s, sizeof(x));
	for (i = 0; i < 10; i++) {
		quarter_round(&x[0], &x[4], &x[8], &x[12]);
		quarter_round(&x[1], &x[5], &x[9], &x[13]);
		quarter_round(&x[2], &x[6], &x[10], &x[14]);
		quarter_round(&x[3], &x[7], &x[11], &x[15]);
		quarter_round(&x[0], &x[5], &x[10], &x[15]);
		quarter_round(&x[1], &x[6], &x[11], &x[12]);
		quarter_round(&x[2], &x[7], &x[8], &x[13]);
		quarter_round(&x[3], &x[4], &x[9], &x[14]);
	}
	for (i = 0; i < 16; i++)
		x[i] += s[i];
	memcpy(out, x, sizeof(x));
}

/* Block 0 is Poly1305's key. */
static void chacha20(const struct cipher *cipher, unsigned char *out,
		     const unsigned char *in)
{
	unsigned char block[CIPHER_BLOCK];
	uint32_t counter = 1;
	size_t i, n, left;

	for (left = cipher->length; left; left -= n, in += n, out += n) {
		n = left < CIPHER_BLOCK ? left : CIPHER_BLOCK;
		chacha20_block(block, cipher->key, counter++, cipher->nonce);
		for (i = 0; i < n; i++)
			out[i] = in[i] ^ block[i];
	}
}

/* Numbers modulo 2^130 - 5, in limbs of 44, 44 and 42 bits. */
#define LIMB ((1ULL << 44) - 1)
#define LAST_LIMB ((1ULL << 42) - 1)

typedef unsigned __int128 u128;

void poly1305_begin(struct poly1305 *poly, const unsigned char key[32])
{
	uint64_t low = load64(key), high = load64(key + 8);

	/* With the bits clear that the RFC wants clear. */
	poly->r[0] = low & 0xffc0fffffff;
	poly->r[1] = (low >> 44 | high << 20) & 0xfffffc0ffff;
	poly->r[2] = high >> 24 & 0x00ffffffc0f;
	memset(poly->h, 0, sizeof(poly->h));
	poly->pad[0] = load64(key + 16);
	poly->pad[1] = load64(key + 24);
}

static void add_block(struct poly1305 *poly, const unsigned char block[16])
{
	const uint64_t low = load64(block), high = load64(block + 8);
	const uint64_t r0 = poly->r[0], r1 = poly->r[1], r2 = poly->r[2];
	/* What goes past 2^130 comes back times 5; the limbs end at 2^132. */
	const uint64_t s1 = r1 * 20, s2 = r2 * 20;
	uint64_t h0, h1, h2, carry;
	u128 d0, d1, d2;

	h0 = poly->h[0] + (low & LIMB);
	h1 = poly->h[1] + ((low >> 44 | high << 20) & LIMB);
	h2 = poly->h[2] + (high >> 24 | 1ULL << 40);

	d0 = (u128)h0 * r0 + (u128)h1 * s2 + (u128)h2 * s1;
	d1 = (u128)h0 * r1 + (u128)h1 * r0 + (u128)h2 * s2;
	d2 = (u128)h0 * r2 + (u128)h1 * r1 + (u128)h2 * r0;

	d1 += (uint64_t)(d0 >> 44);
	d2 += (uint64_t)(d1 >> 44);
	carry = (uint64_t)(d2 >> 42);
	h0 = ((uint64_t)d0 & LIMB) + carry * 5;
	poly->h[0] = h0 & LIMB;
	poly->h[1] = ((uint64_t)d1 & LIMB) + (h0 >> 44);
	poly->h[2] = (uint64_t)d2 & LAST_LIMB;
}

void poly1305_add(struct poly1305 *poly, const void *data, size_t length)
{
	const unsigned char *p = data;
	unsigned char last[16] = { 0 };

	for (; length >= 16; length -= 16, p += 16)
		add_block(poly, p);
	if (length) {
		memcpy(last, p, length);
		add_block(poly, last);
	}
}

static void carry(uint64_t h[3])
{
	h[1] += h[0] >> 44;
	h[0] &= LIMB;
	h[2] += h[1] >> 44;
	h[1] &= LIMB;
	h[0] += (h[2] >> 42) * 5;
	h[2] &= LAST_LIMB;
}

void poly1305_end(struct poly1305 *poly, unsigned char tag[16])
{
	uint64_t h[3] = { poly->h[0], poly->h[1], poly->h[2] }, g[3], keep, out[2];
	size_t i;

	carry(h);
	carry(h);
	carry(h);
	/* Less the modulus, if that is not negative. */
	g[0] = h[0] + 5;
	g[1] = h[1] + (g[0] >> 44);
	g[0] &= LIMB;
	g[2] = h[2] + (g[1] >> 44) - (1ULL << 42);
	g[1] &= LIMB;
	keep = -(g[2] >> 63);
	for (i = 0; i < 3; i++)
		h[i] = (h[i] & keep) | (g[i] & ~keep);

	out[0] = h[0] | h[1] << 44;
	out[1] = h[1] >> 20 | h[2] << 24;
	out[1] += poly->pad[1] + __builtin_add_overflow(out[0], poly->pad[0], &out[0]);
	memcpy(tag, out, sizeof(out));
}

static void tag_of(const struct cipher *cipher, unsigned char tag[CIPHER_TAG_SIZE])
{
	uint64_t lengths[2] = { cipher->known_length, cipher->length };
	unsigned char key[CIPHER_BLOCK];
	struct poly1305 poly;

	chacha20_block(key, cipher->key, 0, cipher->nonce);
	poly1305_begin(&poly, key);
	poly1305_add(&poly, cipher->known, cipher->known_length);
	poly1305_add(&poly, cipher->text, cipher->length);
	poly1305_add(&poly, lengths, sizeof(lengths));
	poly1305_end(&poly, tag);
}

void cipher_encrypt(const struct cipher *cipher)
{
	chacha20(cipher, cipher->text, cipher->plain);
	tag_of(cipher, cipher->text + cipher->length);
}

bool cipher_decrypt(const struct cipher *cipher)
{
	unsigned char tag[CIPHER_TAG_SIZE];

	tag_of(cipher, tag);
	if (!lethe_equal(tag, cipher->text + cipher->length, sizeof(tag)))
		return false;
	chacha20(cipher, cipher->plain, cipher->text);
	return true;
}
