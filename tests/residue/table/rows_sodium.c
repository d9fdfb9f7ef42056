// SPDX-License-Identifier: MIT
/*
 * libsodium's rows: a passphrase made into a key, and a message sealed.
 */
#include <sodium.h>

#include "row.h"
#include "rows_crypto.h"

#define PASSPHRASE 32
/* The least that argon2id takes is 8 KiB; of this it has several segments to walk. */
#define ARGON2_MEMORY (1024 * 1024)
#define ARGON2_PASSES 2

void sodium_start(void)
{
	if (sodium_init() < 0)
		row_die("libsodium");
}

void sodium_argon2id(uint8_t *secret)
{
	uint8_t salt[crypto_pwhash_SALTBYTES], key[crypto_secretbox_KEYBYTES];
	char passphrase[PASSPHRASE];

	(void)secret;
	randombytes_buf(passphrase, sizeof(passphrase));
	randombytes_buf(salt, sizeof(salt));
	row_reveal(passphrase, sizeof(passphrase));
	if (crypto_pwhash(key, sizeof(key), passphrase, sizeof(passphrase), salt,
			  ARGON2_PASSES, ARGON2_MEMORY, crypto_pwhash_ALG_ARGON2ID13))
		row_die("argon2id");
	row_reveal(key, sizeof(key));
	row_scrub(key, sizeof(key));
	row_scrub(passphrase, sizeof(passphrase));
}

/* A key that is sent, or stored, under another: the message is as secret as what seals it. */
void sodium_secretbox(uint8_t *secret)
{
	uint8_t key[crypto_secretbox_KEYBYTES], nonce[crypto_secretbox_NONCEBYTES];
	uint8_t sent[ROW_SECRET], got[ROW_SECRET];
	uint8_t sealed[ROW_SECRET + crypto_secretbox_MACBYTES];

	(void)secret;
	crypto_secretbox_keygen(key);
	randombytes_buf(nonce, sizeof(nonce));
	randombytes_buf(sent, sizeof(sent));
	if (crypto_secretbox_easy(sealed, sent, sizeof(sent), nonce, key) ||
	    crypto_secretbox_open_easy(got, sealed, sizeof(sealed), nonce, key))
		row_die("secretbox");
	row_reveal(key, sizeof(key));
	row_reveal(got, sizeof(got));
	row_scrub(key, sizeof(key));
	row_scrub(sent, sizeof(sent));
	row_scrub(got, sizeof(got));
}
