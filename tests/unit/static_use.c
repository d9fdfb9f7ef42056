// SPDX-License-Identifier: MIT
/*
 * A static program, linked with liblethe-malloc.a and what its .wrap file tells the
 * linker: whatever libc, libstdc++'s callers or libcrypto allocate in a section is
 * secret, and ordinary outside. KTAP on stdout; no library that is loaded.
 */
#include <malloc.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lethe.h"

void free_sized(void *block, size_t size);

static unsigned int tests, failures;

static void result(bool good, const char *sentence)
{
	tests++;
	failures += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", tests, sentence);
}

static bool secret(const void *p)
{
	return lethe_level_of(p) > LETHE_LEVEL_NONE;
}

struct libc_use {
	char *blocks[12];
	bool sorted;
};

#define BLOCKS (sizeof(((struct libc_use *)0)->blocks) / sizeof(char *))

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void use_libc(void *arg)
{
	static int numbers[50000];
	static char text[] = "one line\n";
	struct libc_use *use = arg;
	size_t room = 0, i;
	void *aligned;
	FILE *file;

	memset(use, 0, sizeof(*use));
	use->blocks[0] = malloc(100);
	use->blocks[1] = calloc(10, 10);
	use->blocks[2] = realloc(NULL, 100);
	use->blocks[3] = reallocarray(NULL, 10, 10);
	use->blocks[4] = aligned_alloc(64, 128);
	use->blocks[5] = memalign(64, 100);
	if (!posix_memalign(&aligned, 64, 100))
		use->blocks[6] = aligned;
	use->blocks[7] = valloc(100);
	use->blocks[8] = pvalloc(100);
	use->blocks[9] = strdup("copied");
	if (asprintf(&use->blocks[10], "%0200d", 3) < 0)
		use->blocks[10] = NULL;
	file = fmemopen(text, sizeof(text) - 1, "r");
	if (!file || getline(&use->blocks[11], &room, file) != 9)
		use->blocks[11] = NULL;
	if (file)
		fclose(file);
	for (i = 0; i < 50000; i++)
		numbers[i] = (int)(i * 7919 % 50021);
	qsort(numbers, 50000, sizeof(int), compare);
	use->sorted = true;
	for (i = 1; i < 50000; i++)
		use->sorted = use->sorted && numbers[i - 1] <= numbers[i];
}

static unsigned int secret_blocks(const struct libc_use *use)
{
	unsigned int i, n = 0;

	for (i = 0; i < BLOCKS; i++)
		n += use->blocks[i] && secret(use->blocks[i]);
	return n;
}

/* Out of sections: each is grown where it is, and then freed. */
static bool grow_and_free(struct libc_use *use, bool stay_secret)
{
	bool good = true;
	unsigned int i;
	char *grown;

	for (i = 0; i < BLOCKS; i++) {
		good = good && use->blocks[i] && malloc_usable_size(use->blocks[i]);
		grown = reallocarray(use->blocks[i], 100, 1000);
		good = good && grown && secret(grown) == stay_secret;
		if (i % 2)
			free(grown);
		else
			free_sized(grown, 100000);
	}
	return good;
}

struct crypto {
	EVP_CIPHER_CTX *context;
	unsigned char sealed[64], opened[64], random[32];
	bool good;
};

static void use_crypto(void *arg)
{
	static const unsigned char key[32] = "a key", iv[12] = "a nonce";
	struct crypto *c = arg;
	unsigned char tag[16];
	int n, tail;

	c->context = EVP_CIPHER_CTX_new();
	c->good = c->context && RAND_bytes(c->random, 32) == 1 &&
		  EVP_EncryptInit_ex(c->context, EVP_aes_256_gcm(), NULL, key, iv) &&
		  EVP_EncryptUpdate(c->context, c->sealed, &n, c->random, 32) &&
		  EVP_EncryptFinal_ex(c->context, c->sealed + n, &tail) &&
		  EVP_CIPHER_CTX_ctrl(c->context, EVP_CTRL_GCM_GET_TAG, 16, tag) &&
		  EVP_DecryptInit_ex(c->context, EVP_aes_256_gcm(), NULL, key, iv) &&
		  EVP_DecryptUpdate(c->context, c->opened, &n, c->sealed, 32) &&
		  EVP_CIPHER_CTX_ctrl(c->context, EVP_CTRL_GCM_SET_TAG, 16, tag) &&
		  EVP_DecryptFinal_ex(c->context, c->opened + n, &tail) &&
		  !memcmp(c->opened, c->random, 32);
}

static void *free_context(void *arg)
{
	EVP_CIPHER_CTX_free(arg);
	return NULL;
}

int main(void)
{
	struct crypto cold, outside, warm;
	struct libc_use use;
	pthread_t thread;
	bool ran;

	puts("KTAP version 1");
	ran = !lethe_do(use_crypto, &cold);
	result(ran && cold.good && secret(cold.context),
	       "static: libcrypto's first use is in a section, right, and secret");
	use_crypto(&outside);
	result(outside.good && !secret(outside.context),
	       "static: control: ordinary outside");
	ran = !lethe_do(use_crypto, &warm);
	result(ran && warm.good && secret(warm.context),
	       "static: and secret when it is warm");
	result(!pthread_create(&thread, NULL, free_context, cold.context) &&
		       !pthread_join(thread, NULL),
	       "static: freed on another thread");
	EVP_CIPHER_CTX_free(outside.context);
	EVP_CIPHER_CTX_free(warm.context);

	use_libc(&use);
	result(secret_blocks(&use) == 0 && use.sorted && grow_and_free(&use, false),
	       "static: control: the family and libc's own users are ordinary outside");
	ran = !lethe_do(use_libc, &use);
	result(ran && secret_blocks(&use) == BLOCKS && use.sorted,
	       "static: and secret in a section, every one");
	result(grow_and_free(&use, true),
	       "static: and stay secret, resized and freed outside");
	printf("1..%u\n", tests);
	/* And thousands of blocks of libcrypto's are freed by its exit handler. */
	return failures > 0;
}
