// SPDX-License-Identifier: MIT
/*
 * The main job's cryptography, as short as libcrypto allows: an ephemeral X25519 key,
 * the secret shared with a peer's, a session key by HKDF-SHA256, and a kilobyte
 * sealed by AES-256-GCM. go/exchange.go does the same.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "../selftests/tap.h"
#include "cases.h"

#define KEY_SIZE 32
#define TEXT_SIZE 1024

/* The peer's, of which nothing is secret. */
static EVP_PKEY *peer_key(void)
{
	static EVP_PKEY *peer;

	if (!peer)
		peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	return peer;
}

static bool agree(uint8_t shared[KEY_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t length = KEY_SIZE;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) > 0 &&
		  EVP_PKEY_derive_set_peer(ctx, peer_key()) > 0 &&
		  EVP_PKEY_derive(ctx, shared, &length) > 0;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

static bool derive(uint8_t shared[KEY_SIZE], uint8_t session[KEY_SIZE])
{
	char digest[] = "SHA256", info[] = "lethe bench";
	uint8_t salt[KEY_SIZE] = { 0 };
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, shared, KEY_SIZE),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt,
						  sizeof(salt)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
						  sizeof(info) - 1),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	bool ok = ctx && EVP_KDF_derive(ctx, session, KEY_SIZE, params) > 0;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}

static bool seal(const uint8_t session[KEY_SIZE])
{
	static const uint8_t text[TEXT_SIZE], nonce[12];
	static __thread uint8_t sealed[TEXT_SIZE], tag[16];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int length;
	bool ok = ctx &&
		  EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), session, nonce, NULL) &&
		  EVP_EncryptUpdate(ctx, sealed, &length, text, sizeof(text)) &&
		  EVP_EncryptFinal_ex(ctx, sealed + length, &length) &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag);

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

__attribute__((noinline)) void do_exchange(void *unused)
{
	uint8_t shared[KEY_SIZE], session[KEY_SIZE];

	(void)unused;
	if (!agree(shared) || !derive(shared, session) || !seal(session))
		tap_bail("libcrypto cannot do an exchange");
}
