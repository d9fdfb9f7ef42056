// SPDX-License-Identifier: MIT
/*
 * OpenSSL's secure heap, for what asks for it by name: locked, and out of core dumps.
 * libcrypto itself puts private keys there, and no cipher's key schedule.
 */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "piece.h"

const char piece_promises[] = "own";

const char *piece_start(void)
{
	return CRYPTO_secure_malloc_init(64 * 1024, 32) == 1 ?
		       NULL :
		       "OpenSSL's secure heap cannot be made: RLIMIT_MEMLOCK?";
}

void piece_run(void (*work)(const uint8_t *secret))
{
	uint8_t *volatile secret = OPENSSL_secure_malloc(SECRET_SIZE);

	if (!secret)
		abort();
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
	OPENSSL_cleanse(secret, SECRET_SIZE);
	OPENSSL_secure_clear_free(secret, SECRET_SIZE);
}
