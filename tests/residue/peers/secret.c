// SPDX-License-Identifier: MIT
/*
 * A secret and what to search for, made where nobody searches: the 32 bytes, then the
 * needles (needle.h) of it, of its hex text and of its AES round keys, to stdout.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../aes_schedule.h"
#include "../search.h"
#include "rows.h"

static void ignore(void *arg, const struct search_copy *copy)
{
	(void)arg;
	(void)copy;
}

struct secret {
	uint8_t key[SECRET_SIZE];
	char hex[2 * SECRET_SIZE + 1];
	uint8_t schedule[AES256_SCHEDULE_SIZE];
	struct needle needles[3];
};

static int make(struct secret *secret)
{
	if (getrandom(secret->key, SECRET_SIZE, 0) != SECRET_SIZE)
		return -1;
	for (int i = 0; i < SECRET_SIZE; i++)
		sprintf(secret->hex + 2 * i, "%02x", secret->key[i]);
	aes256_expand(secret->key, secret->schedule);
	/* The first two round keys are the key, which is counted already. */
	return needle_make(&secret->needles[0], "key", secret->key, SECRET_SIZE) ||
	       needle_make(&secret->needles[1], "hex", secret->hex, 2 * SECRET_SIZE) ||
	       needle_make(&secret->needles[2], "round-keys",
			   secret->schedule + AES256_KEY_SIZE,
			   AES256_SCHEDULE_SIZE - AES256_KEY_SIZE);
}

/* Hex has few values: now and then too few of them, eight in a row. */
static bool can_be_searched(const struct secret *secret)
{
	struct search *search = search_new(ignore, NULL);
	const char *why;
	bool good = search;

	for (int i = 0; good && i < 3; i++)
		good = !search_add(search, &secret->needles[i], &why);
	if (search)
		search_free(search);
	return good;
}

int main(void)
{
	struct secret secret;

	do {
		if (make(&secret)) {
			fprintf(stderr, "residue-secret: no secret\n");
			return 1;
		}
	} while (!can_be_searched(&secret));
	if (write(STDOUT_FILENO, secret.key, SECRET_SIZE) != SECRET_SIZE)
		return 1;
	for (int i = 0; i < 3; i++) {
		if (needle_write(STDOUT_FILENO, &secret.needles[i]))
			return 1;
	}
	return 0;
}
