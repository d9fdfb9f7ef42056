// SPDX-License-Identifier: MIT
/*
 * libcrypto's random bytes, drawn for the first time in the process: what is left of that
 * is the generator, for as long as the process lives, and whoever has its state has every
 * byte that it gives out from then on.
 *
 * The state is no part of libcrypto's interface. It is told by what it does: of the blocks
 * that libcrypto has allocated, as CRYPTO_set_mem_functions(3) lets a program see, it is
 * the one whose bytes foretell the next draw. So nothing is assumed of how it is laid out,
 * but that SP 800-90A's CTR_DRBG has its V behind its Key.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"
#include "rows_crypto.h"

#define BLOCKS 16384
#define KEY 32
#define BLOCK 16
#define STATE (KEY + BLOCK)
/* It may stand behind an int. */
#define STEP sizeof(int)

/* Addresses and sizes of what libcrypto has allocated: not what is in it. */
static struct {
	uint8_t *start;
	size_t length;
} blocks[BLOCKS];
static size_t nr_blocks;

static void *allocate(size_t length, const char *file, int line)
{
	uint8_t *start = malloc(length);

	(void)file;
	(void)line;
	if (!start || nr_blocks == BLOCKS)
		return start;
	blocks[nr_blocks].start = start;
	blocks[nr_blocks++].length = length;
	return start;
}

static void give_back(void *start, const char *file, int line)
{
	(void)file;
	(void)line;
	for (size_t i = nr_blocks; start && i-- > 0;) {
		if (blocks[i].start != start)
			continue;
		blocks[i] = blocks[--nr_blocks];
		break;
	}
	free(start);
}

static void *resize(void *start, size_t length, const char *file, int line)
{
	uint8_t *fresh;

	for (size_t i = nr_blocks; start && i-- > 0;) {
		if (blocks[i].start != start)
			continue;
		fresh = realloc(start, length);
		if (fresh) {
			blocks[i].start = fresh;
			blocks[i].length = length;
		}
		return fresh;
	}
	return start ? realloc(start, length) : allocate(length, file, line);
}

/* Nothing of libcrypto may be there yet: it is the first draw that is asked about. */
void random_watch(void)
{
	if (!CRYPTO_set_mem_functions(allocate, resize, give_back))
		row_die("libcrypto is in use already");
}

/* What this state would make next. Its counter is big-endian. */
static void foretell(EVP_CIPHER_CTX *aes, const uint8_t state[STATE], uint8_t made[BLOCK])
{
	uint8_t counter[BLOCK];
	int i, length;

	memcpy(counter, state + KEY, BLOCK);
	for (i = BLOCK - 1; i >= 0 && !++counter[i]; i--)
		;
	if (EVP_EncryptInit_ex(aes, NULL, NULL, state, NULL) != 1 ||
	    EVP_EncryptUpdate(aes, made, &length, counter, BLOCK) != 1 || length != BLOCK)
		row_die("AES-256");
}

/* Each place of a block that a state may begin at. */
struct walk {
	size_t block, at;
};

static const uint8_t *next_place(struct walk *walk, size_t nr)
{
	for (; walk->block < nr; walk->block++, walk->at = 0) {
		if (walk->at + STATE > blocks[walk->block].length)
			continue;
		walk->at += STEP;
		return blocks[walk->block].start + walk->at - STEP;
	}
	return NULL;
}

/* Of the state that made @drawn the successor is there now. */
static const uint8_t *find_state(uint8_t drawn[BLOCK])
{
	EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
	const size_t nr = nr_blocks;
	struct walk walk = { 0 };
	const uint8_t *place;
	uint8_t(*foretold)[BLOCK];
	size_t places = 0, i = 0;

	while (next_place(&walk, nr))
		places++;
	foretold = malloc(places * BLOCK);
	if (!aes || !foretold ||
	    EVP_EncryptInit_ex(aes, EVP_aes_256_ecb(), NULL, NULL, NULL) != 1)
		row_die("AES-256");
	for (walk = (struct walk){ 0 }; (place = next_place(&walk, nr));)
		foretell(aes, place, foretold[i++]);
	if (RAND_bytes(drawn, BLOCK) != 1)
		row_die("RAND_bytes");
	walk = (struct walk){ 0 };
	for (i = 0; (place = next_place(&walk, nr)); i++)
		if (!memcmp(foretold[i], drawn, BLOCK))
			break;
	free(foretold);
	EVP_CIPHER_CTX_free(aes);
	return place;
}

void random_bytes(uint8_t *secret)
{
	uint8_t key[ROW_SECRET], drawn[BLOCK];
	const uint8_t *state;

	(void)secret;
	if (RAND_bytes(key, sizeof(key)) != 1)
		row_die("RAND_bytes");
	state = find_state(drawn);
	if (!state)
		row_die("none of libcrypto's blocks is the generator's state");
	row_reveal(key, sizeof(key));
	row_reveal(state, KEY);
	row_scrub(key, sizeof(key));
	row_scrub(drawn, sizeof(drawn));
}
