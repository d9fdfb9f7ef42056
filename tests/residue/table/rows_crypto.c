// SPDX-License-Identifier: MIT
/*
 * The rows of libraries that encrypt, as their manuals have them used, and as a careful
 * program does: each result is checked, each object freed by the library's own call, each
 * buffer of the program's own wiped. Here libcrypto's; the others have files of their own.
 */
#include <cpuid.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "row.h"
#include "rows_crypto.h"

#define X25519_SIZE 32
#define RSA_SIZE (2048 / 8)

#define IN_USE "the cipher is in use, and what is merely locked can be read"

static EVP_CIPHER_CTX *kept;

/*
 * The context outlives the section, as a connection's does from one record to the next:
 * the round keys are in it. (When it is freed, libcrypto wipes them: nothing is left then,
 * plainly neither.)
 */
static void gcm(uint8_t *secret)
{
	static const uint8_t iv[12] = "nor an iv", text[64] = "a record";
	uint8_t sealed[sizeof(text)], tag[16];
	int length, tail;

	kept = EVP_CIPHER_CTX_new();
	if (!kept || EVP_EncryptInit_ex(kept, EVP_aes_256_gcm(), NULL, secret, iv) != 1 ||
	    EVP_EncryptUpdate(kept, sealed, &length, text, sizeof(text)) != 1 ||
	    EVP_EncryptFinal_ex(kept, sealed + length, &tail) != 1 ||
	    EVP_CIPHER_CTX_ctrl(kept, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) != 1)
		row_die("AES-256-GCM");
}

static EVP_PKEY *x25519_new(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	if (!key)
		row_die("X25519");
	return key;
}

static void agree(EVP_PKEY *key, EVP_PKEY *peer, uint8_t shared[X25519_SIZE])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t length = X25519_SIZE;

	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, shared, &length) != 1 || length != X25519_SIZE)
		row_die("agreeing on a shared secret");
	EVP_PKEY_CTX_free(ctx);
}

/* As a file would have it. What the encoder has of it on its way, it does not wipe. */
static void encode(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int length = i2d_PrivateKey(key, &der);

	if (length <= 0)
		row_die("encoding a private key");
	OPENSSL_clear_free(der, (size_t)length);
}

static void reveal_private(EVP_PKEY *key)
{
	uint8_t private[X25519_SIZE];
	size_t length;

	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PRIV_KEY, private,
					     sizeof(private), &length) ||
	    length != sizeof(private))
		row_die("the private key");
	row_reveal(private, sizeof(private));
	row_scrub(private, sizeof(private));
}

static void x25519_private(uint8_t *secret)
{
	EVP_PKEY *key = x25519_new(), *peer = x25519_new();
	uint8_t shared[X25519_SIZE];

	(void)secret;
	reveal_private(key);
	agree(key, peer, shared);
	row_scrub(shared, sizeof(shared));
	encode(key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(peer);
}

/*
 * Its code for these processors leaves what it computed on the stack; that for older ones
 * does not, and then there is no control.
 */
static const char *no_adx(void)
{
	unsigned int a, b = 0, c, d;

	__get_cpuid_count(7, 0, &a, &b, &c, &d);
	return b & bit_ADX && b & bit_BMI2 ?
		       NULL :
		       "without ADX and BMI2 libcrypto leaves no shared secret";
}

static void x25519_shared(uint8_t *secret)
{
	EVP_PKEY *key = x25519_new(), *peer = x25519_new();
	uint8_t shared[X25519_SIZE];

	(void)secret;
	agree(key, peer, shared);
	row_reveal(shared, sizeof(shared));
	row_scrub(shared, sizeof(shared));
	EVP_PKEY_free(key);
	EVP_PKEY_free(peer);
}

static void reveal_number(EVP_PKEY *key, const char *which, size_t length)
{
	uint8_t bytes[RSA_SIZE];
	BIGNUM *number = NULL;

	if (!EVP_PKEY_get_bn_param(key, which, &number) ||
	    BN_bn2binpad(number, bytes, (int)length) != (int)length)
		row_die("a number of the RSA key");
	BN_clear_free(number);
	row_reveal(bytes, length);
	row_scrub(bytes, length);
}

static void rsa(uint8_t *secret)
{
	EVP_PKEY *key = EVP_RSA_gen(RSA_SIZE * 8);

	(void)secret;
	if (!key)
		row_die("RSA");
	reveal_number(key, OSSL_PKEY_PARAM_RSA_FACTOR1, RSA_SIZE / 2);
	reveal_number(key, OSSL_PKEY_PARAM_RSA_FACTOR2, RSA_SIZE / 2);
	reveal_number(key, OSSL_PKEY_PARAM_RSA_D, RSA_SIZE);
	encode(key);
	EVP_PKEY_free(key);
}

const struct row rows_crypto[] = {
	{ .name = "libcrypto AES-GCM key schedule",
	  .where = "heap",
	  .inside = gcm,
	  .clause = ROW_ON_MLOCK(IN_USE) },
	{ .name = "X25519 private key",
	  .where = "heap",
	  .inside = x25519_private,
	  .source = ROW_MADE },
	{ .name = "X25519 shared secret",
	  .where = "stack",
	  .inside = x25519_shared,
	  .source = ROW_MADE,
	  .cannot = no_adx },
	{ .name = "RSA key generation",
	  .where = "heap",
	  .inside = rsa,
	  .source = ROW_MADE },
	{ .name = "cold RAND_bytes",
	  .where = "heap",
	  .inside = random_bytes,
	  .before = random_watch,
	  .source = ROW_MADE,
	  .clause = ROW_ON_MLOCK(
		  "the generator lives on, and what is merely locked can be read") },
	{ .name = "TLS handshake",
	  .where = "heap",
	  .inside = tls_handshake,
	  .source = ROW_MADE },
	{ .name = "libsodium argon2id",
	  .where = "stack",
	  .inside = sodium_argon2id,
	  .before = sodium_start,
	  .source = ROW_MADE },
	{ .name = "libsodium secretbox",
	  .where = "stack",
	  .inside = sodium_secretbox,
	  .before = sodium_start,
	  .source = ROW_MADE },
	{ .name = "libgcrypt AES-GCM",
	  .where = "heap",
	  .inside = gcrypt_gcm,
	  .before = gcrypt_start,
	  .clause = ROW_ON_MLOCK(IN_USE) },
	{ .name = NULL },
};
