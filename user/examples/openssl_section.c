// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A program that encrypts in a secret section, with libcrypto's part of the heap on
 * secret pages too, and without liblethe-malloc:
 *
 *	cc openssl_section.c openssl_memory.c -llethe -lcrypto
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lethe.h"
#include "openssl_memory.h"

struct request {
	unsigned char text[64], iv[12], sealed[64], tag[16];
	enum lethe_level level;
	bool good;
};

/* The key exists here, on the section's stack and heap, and nowhere else. */
static void seal(void *arg)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	struct request *r = arg;
	unsigned char key[32];
	int n, tail;

	r->good = context && RAND_bytes(key, sizeof(key)) == 1 &&
		  RAND_bytes(r->iv, sizeof(r->iv)) == 1 &&
		  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, r->iv) == 1 &&
		  EVP_EncryptUpdate(context, r->sealed, &n, r->text, sizeof(r->text)) ==
			  1 &&
		  EVP_EncryptFinal_ex(context, r->sealed + n, &tail) == 1 &&
		  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, r->tag) == 1;
	r->level = lethe_level_of(context);
	EVP_CIPHER_CTX_free(context);
}

int main(void)
{
	static const char *const levels[] = { "ordinary", "locked", "unmapped" };
	struct request request = { .text = "what is to be sealed" };
	int err;

	if (openssl_memory_install()) {
		fprintf(stderr, "libcrypto has allocated before\n");
		return 1;
	}
	err = lethe_do(seal, &request);
	if (err || !request.good) {
		fprintf(stderr, "not sealed: %s\n", err ? strerror(-err) : "libcrypto");
		return 1;
	}
	printf("sealed; the cipher's context was in %s memory\n", levels[request.level]);
	return 0;
}
