// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What WireGuard asks of a library, by libcrypto. Each function allocates what is secret
 * and leaves what is secret in registers and on the stack: they are to be called in a
 * secret section, and wipe nothing themselves.
 */
#include "handshake_crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <string.h>

bool crypto_hash(unsigned char *out, const void *a, size_t a_length, const void *b,
		 size_t b_length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_blake2s256(), NULL) == 1 &&
		    EVP_DigestUpdate(context, a, a_length) == 1 &&
		    EVP_DigestUpdate(context, b, b_length) == 1 &&
		    EVP_DigestFinal_ex(context, out, NULL) == 1;

	EVP_MD_CTX_free(context);
	return good;
}

bool crypto_kdf(const unsigned char *key, const void *input, size_t length,
		unsigned char *one, unsigned char *two, unsigned char *three)
{
	unsigned char *const outs[] = { one, two, three };
	unsigned char extracted[CRYPTO_KEY], block[CRYPTO_KEY + 1];
	size_t before = 0;

	/* Not NULL, which would be no data at all rather than none. */
	if (!HMAC(EVP_blake2s256(), key, CRYPTO_KEY, length ? input : "", length,
		  extracted, NULL))
		return false;
	for (int i = 0; i < 3 && outs[i]; i++) {
		block[before] = i + 1;
		if (!HMAC(EVP_blake2s256(), extracted, CRYPTO_KEY, block, before + 1,
			  outs[i], NULL))
			return false;
		memcpy(block, outs[i], CRYPTO_KEY);
		before = CRYPTO_KEY;
	}
	return true;
}

static const char label_mac1[] = "mac1----";

bool crypto_mac1(unsigned char *out, const unsigned char *public_key, const void *message,
		 size_t length)
{
	size_t size = 16;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t("size", &size),
				OSSL_PARAM_construct_end() };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
	unsigned char key[CRYPTO_KEY];
	bool good = context &&
		    crypto_hash(key, label_mac1, strlen(label_mac1), public_key,
				CRYPTO_KEY) &&
		    EVP_MAC_init(context, key, sizeof(key), params) == 1 &&
		    EVP_MAC_update(context, message, length) == 1 &&
		    EVP_MAC_final(context, out, &size, 16) == 1;

	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
	return good;
}

bool crypto_dh(const unsigned char *private_key, unsigned char *public_key,
	       const unsigned char *other, unsigned char *shared)
{
	EVP_PKEY *ours = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key,
						      CRYPTO_KEY);
	EVP_PKEY *theirs = other ? EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL,
							       other, CRYPTO_KEY) :
				   NULL;
	EVP_PKEY_CTX *context = ours && theirs ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
	size_t length = CRYPTO_KEY, shared_length = CRYPTO_KEY;
	bool good = ours &&
		    (!public_key ||
		     EVP_PKEY_get_raw_public_key(ours, public_key, &length) == 1) &&
		    (!other || (context && EVP_PKEY_derive_init(context) == 1 &&
				EVP_PKEY_derive_set_peer(context, theirs) == 1 &&
				EVP_PKEY_derive(context, shared, &shared_length) == 1));

	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return good;
}

bool crypto_aead(bool seal, const unsigned char *key, uint64_t counter, const void *more,
		 size_t more_length, const unsigned char *in, size_t length,
		 unsigned char *out)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char nonce[12] = { 0 };
	int n = 0, tail = 0;
	bool good;

	memcpy(nonce + 4, &counter, sizeof(counter));
	length -= seal ? 0 : CRYPTO_TAG;
	good = context &&
	       EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, key, nonce,
				 seal) == 1 &&
	       (seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG,
					    (void *)(in + length)) == 1) &&
	       (!more_length ||
		EVP_CipherUpdate(context, NULL, &n, more, more_length) == 1) &&
	       (!length || EVP_CipherUpdate(context, out, &n, in, length) == 1) &&
	       EVP_CipherFinal_ex(context, out + length, &tail) == 1 &&
	       (!seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG,
					     out + length) == 1);
	EVP_CIPHER_CTX_free(context);
	return good;
}
