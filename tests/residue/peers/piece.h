/* SPDX-License-Identifier: MIT */
/*
 * What each peer says: how it protects a piece of code, as its manual has it.
 */
#ifndef RESIDUE_PIECE_H
#define RESIDUE_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rows.h"

/*
 * The names of the rows that the peer is made to cover, apart by blanks: that it
 * leaves residue in another is no fault of its own.
 */
extern const char piece_promises[];

/* Once, before the piece. NULL, or why the peer cannot be had here. */
const char *piece_start(void);

/*
 * Takes the secret from piece_read(), has work() do its part with it, and then does
 * all that the peer offers to be rid of it. Also when work() went another way out.
 */
void piece_run(void (*work)(const uint8_t *secret));

/* The secret, from stdin straight to where it shall be. Ends the process on error. */
void piece_read(uint8_t secret[SECRET_SIZE]);

#endif /* RESIDUE_PIECE_H */
