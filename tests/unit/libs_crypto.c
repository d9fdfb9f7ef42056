// SPDX-License-Identifier: MIT
/* libcrypto: random bytes, AES-256-GCM, HKDF, X25519, Ed25519 and RSA. */
#include "libs.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

static const unsigned char text[] = "a text of more than one block of sixteen bytes";

static bool seal(EVP_CIPHER_CTX *context, unsigned char *sealed)
{
	static const unsigned char key[32] = "not much of a key", iv[12] = "nor an iv";
	unsigned char tag[16], opened[sizeof(text)];
	int n, tail;

	return EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
	       EVP_EncryptUpdate(context, sealed, &n, text, sizeof(text)) == 1 &&
	       EVP_EncryptFinal_ex(context, sealed + n, &tail) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1 &&
	       EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
	       EVP_DecryptUpdate(context, opened, &n, sealed, sizeof(text)) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1 &&
	       EVP_DecryptFinal_ex(context, opened + n, &tail) == 1 &&
	       !memcmp(opened, text, sizeof(text));
}

static bool agree(EVP_PKEY *one, EVP_PKEY *other, unsigned char secret_of[32])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(one, NULL);
	size_t length = 32;
	bool good = context && EVP_PKEY_derive_init(context) == 1 &&
		    EVP_PKEY_derive_set_peer(context, other) == 1 &&
		    EVP_PKEY_derive(context, secret_of, &length) == 1 && length == 32;

	EVP_PKEY_CTX_free(context);
	return good;
}

static bool exchange(void)
{
	EVP_PKEY *a = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	EVP_PKEY *b = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	unsigned char one[32], other[32] = { 1 };
	bool good = a && b && agree(a, b, one) && agree(b, a, other) &&
		    !memcmp(one, other, 32);

	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	return good;
}

static bool derive(unsigned char *out)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t length = 32;
	bool good = context && EVP_PKEY_derive_init(context) == 1 &&
		    EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1 &&
		    EVP_PKEY_CTX_set1_hkdf_key(context, text, 32) == 1 &&
		    EVP_PKEY_CTX_add1_hkdf_info(context, text, 8) == 1 &&
		    EVP_PKEY_derive(context, out, &length) == 1;

	EVP_PKEY_CTX_free(context);
	return good;
}

/* With Ed25519 the hash is its own. */
static bool sign(EVP_PKEY *key, const EVP_MD *hash)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[256];
	size_t length = sizeof(signature);
	bool good = context && key &&
		    EVP_DigestSignInit(context, NULL, hash, NULL, key) == 1 &&
		    EVP_DigestSign(context, signature, &length, text, sizeof(text)) == 1;

	EVP_MD_CTX_free(context);
	context = EVP_MD_CTX_new();
	good = good && EVP_DigestVerifyInit(context, NULL, hash, NULL, key) == 1 &&
	       EVP_DigestVerify(context, signature, length, text, sizeof(text)) == 1;
	signature[3] ^= 1;
	good = good &&
	       EVP_DigestVerify(context, signature, length, text, sizeof(text)) != 1;
	EVP_MD_CTX_free(context);
	return good;
}

static void use_crypto(struct use *use)
{
	unsigned char random[2][32];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *rsa = EVP_RSA_gen(2048);

	use->good = RAND_bytes(random[0], 32) == 1 && RAND_bytes(random[1], 32) == 1 &&
		    memcmp(random[0], random[1], 32) != 0 && context &&
		    seal(context, use->result) && derive(use->result + 64) &&
		    exchange() && sign(ed25519, NULL) && sign(rsa, EVP_sha256());
	use->objects[0] = context;
	use->objects[1] = ed25519;
	use->objects[2] = rsa;
}

static void free_crypto(struct use *use)
{
	EVP_CIPHER_CTX_free(use->objects[0]);
	EVP_PKEY_free(use->objects[1]);
	EVP_PKEY_free(use->objects[2]);
}

Test(libs, libcrypto)
{
	check_library(&(struct library){ "libcrypto", use_crypto, free_crypto });
}

static void use_random(struct use *use)
{
	use->good = RAND_bytes(use->result, 32) == 1;
	memset(use->result, 0, 32);
}

static void free_nothing(struct use *use)
{
	(void)use;
}

Test(libs, libcrypto_random)
{
	check_library(&(struct library){ "libcrypto, one RAND_bytes()", use_random,
					 free_nothing });
}
