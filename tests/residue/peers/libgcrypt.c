// SPDX-License-Identifier: MIT
/*
 * libgcrypt's secure memory, for what asks for it by name: locked, and wiped when it
 * is freed.
 */
#include <gcrypt.h>
#include <stdlib.h>

#include "piece.h"

const char piece_promises[] = "own";

const char *piece_start(void)
{
	if (!gcry_check_version(NULL) || gcry_control(GCRYCTL_INIT_SECMEM, 32768, 0) ||
	    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0))
		return "libgcrypt does not start";
	return NULL;
}

void piece_run(void (*work)(const uint8_t *secret))
{
	uint8_t *volatile secret = gcry_malloc_secure(SECRET_SIZE);

	if (!secret || !gcry_is_secure(secret))
		abort();
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
	gcry_free(secret);
}
