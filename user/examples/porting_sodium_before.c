// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Before: a program that seals a message by a key of 32 bytes from stdin, with libsodium's
 * guarded memory. porting_sodium_after.c is the same with Lethe; porting.md says what else
 * is different.
 *
 *	cc porting_sodium_before.c -lsodium
 *
 * It shows what its author has to know: that crypto_secretbox_easy() leaves copies on the
 * stack, and how deep. It never learns whether sodium_malloc() could lock its page.
 */
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

static const unsigned char text[] = "what is to be sealed";

static int seal(unsigned char *key, unsigned char *sealed)
{
	unsigned char nonce[crypto_secretbox_NONCEBYTES] = { 0 };
	int err;

	if (sodium_mprotect_readonly(key))
		return -1;
	err = crypto_secretbox_easy(sealed, text, sizeof(text), nonce, key);
	sodium_mprotect_noaccess(key);
	return err;
}

int main(void)
{
	unsigned char sealed[sizeof(text) + crypto_secretbox_MACBYTES];
	unsigned char *key;

	if (sodium_init() < 0)
		return 1;
	key = sodium_malloc(crypto_secretbox_KEYBYTES);
	if (!key)
		return 1;
	if (read(STDIN_FILENO, key, crypto_secretbox_KEYBYTES) !=
		    crypto_secretbox_KEYBYTES ||
	    seal(key, sealed))
		return 1;
	sodium_stackzero(16 * 1024);
	sodium_free(key);
	for (size_t n = 0; n < sizeof(sealed); n++)
		printf("%02x", sealed[n]);
	putchar('\n');
	return 0;
}
