// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * After: what porting_openssl_before.c does, with Lethe. libcrypto still encrypts.
 *
 *	cc porting_openssl_after.c -Wl,--no-as-needed -llethe-malloc -Wl,--as-needed \
 *		-llethe -lcrypto
 *
 * It shows that nothing has to be set up or given a size, and that the key and the cipher's
 * context, with all that EVP allocates, are on secret pages. It never has the key anywhere
 * but in the section.
 */
#include <lethe.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const unsigned char text[] = "what is to be sealed";

struct request {
	unsigned char sealed[sizeof(text) + 16];
	int good;
};

static void seal(void *arg)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char key[32], iv[12] = { 0 };
	struct request *r = arg;
	int n, tail;

	r->good = context && read(STDIN_FILENO, key, sizeof(key)) == sizeof(key) &&
		  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
		  EVP_EncryptUpdate(context, r->sealed, &n, text, sizeof(text)) == 1 &&
		  EVP_EncryptFinal_ex(context, r->sealed + n, &tail) == 1 &&
		  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16,
				      r->sealed + sizeof(text)) == 1;
	EVP_CIPHER_CTX_free(context);
}

int main(void)
{
	struct request request = { .good = 0 };
	int err = lethe_do(seal, &request);

	if (err || !request.good) {
		fprintf(stderr, "not sealed: %s\n", err ? strerror(-err) : "libcrypto");
		return 1;
	}
	for (size_t n = 0; n < sizeof(request.sealed); n++)
		printf("%02x", request.sealed[n]);
	putchar('\n');
	return 0;
}
