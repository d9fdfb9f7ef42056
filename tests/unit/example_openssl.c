// SPDX-License-Identifier: MIT
/*
 * user/examples/openssl_memory.c, held to what it says: AES's round keys, looked for in
 * all of the process's memory, are in secret pages while libcrypto has them in a
 * section, and in ordinary ones outside; blocks of either kind are resized and freed
 * everywhere, in a fork's child too. KTAP on stdout.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/examples/openssl_memory.h"
#include "../residue/aes_schedule.h"
#include "lethe.h"

static unsigned int tests, failures;

static void result(bool good, const char *sentence)
{
	tests++;
	failures += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", tests, sentence);
	fflush(stdout);
}

static bool secret(const void *p)
{
	return lethe_level_of(p) > LETHE_LEVEL_NONE;
}

/* Some of the round keys: not the first, which are the key itself. */
#define PART 64
#define PART_AT 96
static uint8_t schedule[AES256_SCHEDULE_SIZE];

struct found {
	unsigned int secret, ordinary;
};

static void search_range(const char *start, const char *end, struct found *found)
{
	const char *at = start;

	while ((at = memmem(at, (size_t)(end - at), schedule + PART_AT, PART))) {
		if (at != (const char *)schedule + PART_AT) {
			found->secret += secret(at);
			found->ordinary += !secret(at);
		}
		at++;
	}
}

/* All that can be read and written. Without a copy: nor has the search one. */
static struct found search(void)
{
	struct found found = { 0, 0 };
	unsigned long start, end;
	char line[512], access;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx r%c", &start, &end, &access) == 3 &&
		    access == 'w' && !strstr(line, "[v"))
			search_range((const char *)start, (const char *)end, &found);
	if (maps)
		fclose(maps);
	return found;
}

struct cipher {
	EVP_CIPHER_CTX *context;
	bool good;
};

static const uint8_t key[AES256_KEY_SIZE] = "not a key that anybody else has";

static void start(void *arg)
{
	static const unsigned char iv[12] = "an iv", text[32] = "a text";
	unsigned char sealed[32];
	struct cipher *c = arg;
	int n;

	c->context = EVP_CIPHER_CTX_new();
	c->good = c->context &&
		  EVP_EncryptInit_ex(c->context, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
		  EVP_EncryptUpdate(c->context, sealed, &n, text, 32) == 1;
}

static void check_schedule(void)
{
	struct cipher inside = { .good = false }, outside = inside;
	struct found in_use, after, control;
	bool ran;

	aes256_expand(key, schedule);
	start(&outside);
	control = search();
	printf("# outside: %u copies secret, %u ordinary\n", control.secret,
	       control.ordinary);
	result(outside.good && !control.secret && control.ordinary,
	       "example: control: outside, AES's round keys are in ordinary memory");
	EVP_CIPHER_CTX_free(outside.context);

	after = search();
	result(!after.secret && !after.ordinary, "example: and gone when it is freed");
	ran = !lethe_do(start, &inside);
	in_use = search();
	printf("# in a section: %u copies secret, %u ordinary\n", in_use.secret,
	       in_use.ordinary);
	result(ran && inside.good && in_use.secret && !in_use.ordinary,
	       "example: in a section they are in secret memory, and nowhere else");
	EVP_CIPHER_CTX_free(inside.context);
	after = search();
	result(!after.secret && !after.ordinary, "example: and gone when that is freed");
}

struct blocks {
	char *from_outside, *from_inside, *both;
	bool secret_inside;
};

static void make(void *arg)
{
	struct blocks *b = arg;

	b->from_inside = OPENSSL_malloc(100);
	memset(b->from_inside, 'i', 100);
	b->secret_inside = secret(b->from_inside);
	/* Of the other kind: it moves in, and only if it has to is it said here. */
	b->from_outside = OPENSSL_realloc(b->from_outside, 5000);
	b->both = OPENSSL_clear_realloc(b->both, 100, 3000);
}

static void check_kinds(void)
{
	struct blocks b = { .from_outside = OPENSSL_malloc(100),
			    .both = OPENSSL_zalloc(100) };
	bool good = !secret(b.from_outside) && !secret(b.both);

	memset(b.from_outside, 'o', 100);
	memset(b.both, 'b', 100);
	good = !lethe_do(make, &b) && good && b.secret_inside;
	result(good && secret(b.from_outside) && b.from_outside[99] == 'o' &&
		       secret(b.both) && b.both[99] == 'b',
	       "example: an ordinary block that is resized in a section moves to the secret heap");
	b.from_inside = OPENSSL_realloc(b.from_inside, 50000);
	result(secret(b.from_inside) && b.from_inside[99] == 'i',
	       "example: a secret one that is resized outside stays there");
	OPENSSL_free(b.from_outside);
	OPENSSL_free(b.both);
	b.from_inside = OPENSSL_realloc(b.from_inside, 0);
	result(!b.from_inside, "example: to nothing, it is freed");
}

static bool passes_in_child(bool (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(!fn());
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static bool is_too_late(void)
{
	OPENSSL_free(OPENSSL_malloc(10));
	return openssl_memory_install() == -1;
}

static struct blocks parents;

/* It has none of it, and cannot read it; libcrypto must not need it. */
static bool frees_parents(void)
{
	bool known = secret(parents.from_inside);

	OPENSSL_free(parents.from_inside);
	OPENSSL_free(parents.from_outside);
	return !known;
}

static void check_fork(void)
{
	parents.from_outside = OPENSSL_malloc(100);
	result(!lethe_do(make, &parents) && passes_in_child(frees_parents),
	       "example: a fork's child may free what it has not");
}

static void first_use(void *arg)
{
	unsigned char random[32];

	*(bool *)arg = RAND_bytes(random, 32) == 1;
}

int main(void)
{
	bool random = false;

	puts("KTAP version 1");
	result(passes_in_child(is_too_late),
	       "example: once libcrypto has allocated it is too late, and that is an error");
	result(!openssl_memory_install(), "example: libcrypto takes the functions");
	result(!lethe_do(first_use, &random) && random,
	       "example: libcrypto's first use is in a section");
	check_schedule();
	check_kinds();
	check_fork();
	printf("1..%u\n", tests);
	fflush(stdout);
	return failures > 0;
}
