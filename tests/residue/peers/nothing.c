// SPDX-License-Identifier: MIT
/*
 * Nothing done: the control of every row. The secret is not even wiped.
 */
#include "piece.h"

static uint8_t secret[SECRET_SIZE];

const char piece_promises[] = "";

const char *piece_start(void)
{
	return NULL;
}

void piece_run(void (*work)(const uint8_t *secret))
{
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
}
