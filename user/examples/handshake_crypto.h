/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The primitives of WireGuard's white paper, 5.4, for handshake_noise.c. To be called in a
 * secret section, with -llethe-malloc. They never wipe anything: the section does.
 */
#ifndef HANDSHAKE_CRYPTO_H
#define HANDSHAKE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_KEY 32
#define CRYPTO_TAG 16
#define CRYPTO_MAC 16

/* HASH(a || b) */
bool crypto_hash(unsigned char *out, const void *a, size_t a_length, const void *b,
		 size_t b_length);

/* KDF1, KDF2 and KDF3: what is not asked for is NULL. Any may be @key. */
bool crypto_kdf(const unsigned char *key, const void *input, size_t length,
		unsigned char *one, unsigned char *two, unsigned char *three);

/* MAC(HASH(LABEL-MAC1 || public), message) */
bool crypto_mac1(unsigned char *out, const unsigned char *public_key, const void *message,
		 size_t length);

/* DH-GENERATE's second half if @public_key, DH(private, other) if @shared. */
bool crypto_dh(const unsigned char *private_key, unsigned char *public_key,
	       const unsigned char *other, unsigned char *shared);

/* AEAD(key, counter, in, more): @out is CRYPTO_TAG longer, or, if not @seal, shorter. */
bool crypto_aead(bool seal, const unsigned char *key, uint64_t counter, const void *more,
		 size_t more_length, const unsigned char *in, size_t length,
		 unsigned char *out);

#endif /* HANDSHAKE_CRYPTO_H */
