// SPDX-License-Identifier: MIT
/*
 * Plain C, which wipes the secret when it is done. It says that the compiler does
 * not take this away, and no more. Built with -fzero-call-used-regs=all, with the
 * rows, it is the peer gcc.
 */
#include <string.h>

#include "piece.h"

static uint8_t secret[SECRET_SIZE];

#ifdef ZERO_CALL_USED_REGS
const char piece_promises[] = "own general vector";
#else
const char piece_promises[] = "own";
#endif

const char *piece_start(void)
{
	return NULL;
}

void piece_run(void (*work)(const uint8_t *secret))
{
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
	explicit_bzero(secret, sizeof(secret));
}
