// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Before: a program that seals a message by a key of 32 bytes from stdin, the key on
 * OpenSSL's secure heap. porting_openssl_after.c is the same with Lethe; porting.md says
 * what else is different.
 *
 *	cc porting_openssl_before.c -lcrypto
 *
 * It shows how far that heap reaches: the key is on it, and the cipher's context, with the
 * key's schedule, is not. It never clears what EVP leaves in registers and on the stack.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

static const unsigned char text[] = "what is to be sealed";

static int seal(const unsigned char *key, unsigned char *sealed, unsigned char *tag)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char iv[12] = { 0 };
	int n, tail;
	int good = context &&
		   EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
		   EVP_EncryptUpdate(context, sealed, &n, text, sizeof(text)) == 1 &&
		   EVP_EncryptFinal_ex(context, sealed + n, &tail) == 1 &&
		   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1;

	EVP_CIPHER_CTX_free(context);
	return good ? 0 : -1;
}

int main(void)
{
	unsigned char sealed[sizeof(text) + 16];
	unsigned char *key;

	/* 2: nothing could be locked, and it goes on all the same. */
	if (CRYPTO_secure_malloc_init(65536, 32) != 1)
		return 1;
	key = OPENSSL_secure_malloc(32);
	if (!key || read(STDIN_FILENO, key, 32) != 32 ||
	    seal(key, sealed, sealed + sizeof(text)))
		return 1;
	OPENSSL_secure_clear_free(key, 32);
	CRYPTO_secure_malloc_done();
	for (size_t n = 0; n < sizeof(sealed); n++)
		printf("%02x", sealed[n]);
	putchar('\n');
	return 0;
}
