// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * After: what porting_sodium_before.c does, with Lethe. libsodium still encrypts.
 *
 *	cc porting_sodium_after.c -Wl,--no-as-needed -llethe-malloc -Wl,--as-needed \
 *		-llethe -lsodium
 *
 * It shows a guarded buffer, and the section that takes the place of sodium_stackzero(). It
 * never guesses a depth, never goes on where pages could not be had, and reads the key into
 * its page without a copy.
 */
#include <lethe.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const unsigned char text[] = "what is to be sealed";

struct request {
	struct lethe_buffer *key;
	unsigned char sealed[sizeof(text) + crypto_secretbox_MACBYTES];
	int err;
};

static void seal(void *arg)
{
	unsigned char nonce[crypto_secretbox_NONCEBYTES] = { 0 };
	struct request *request = arg;

	request->err = lethe_buffer_open(request->key, LETHE_ACCESS_READ);
	if (request->err)
		return;
	request->err = crypto_secretbox_easy(request->sealed, text, sizeof(text), nonce,
					     lethe_buffer_data(request->key));
	lethe_buffer_close(request->key);
}

int main(void)
{
	struct request request = { .err = 0 };
	int err;

	if (sodium_init() < 0)
		return 1;
	request.key = lethe_buffer_new(crypto_secretbox_KEYBYTES, 0);
	if (!request.key) {
		perror("no guarded buffer");
		return 1;
	}
	err = lethe_buffer_read_exactly(request.key, 0, STDIN_FILENO,
					crypto_secretbox_KEYBYTES);
	if (!err)
		err = lethe_buffer_protect(request.key, LETHE_ACCESS_NONE);
	if (!err)
		err = lethe_do(seal, &request);
	lethe_buffer_free(request.key);
	if (err || request.err) {
		fprintf(stderr, "not sealed: %s\n", err ? strerror(-err) : "libsodium");
		return 1;
	}
	for (size_t n = 0; n < sizeof(request.sealed); n++)
		printf("%02x", request.sealed[n]);
	putchar('\n');
	return 0;
}
