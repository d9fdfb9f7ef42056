/* SPDX-License-Identifier: MIT */
/*
 * The rows of the table of peers: what the code under protection does with a
 * secret of 32 bytes. The same for every peer.
 *
 * A row stands for code that whoever protects the secret did not write: it leaves
 * what such code leaves, and nothing besides.
 */
#ifndef RESIDUE_ROWS_H
#define RESIDUE_ROWS_H

#include <setjmp.h>
#include <stdint.h>

#define SECRET_SIZE 32

struct row {
	const char *name;
	/* Where, as the searcher calls it, an unprotected run must leave a copy. */
	const char *where;
	const char *title;
	/* Before the protected piece; NULL for nothing. */
	void (*prepare)(void);
	void (*work)(const uint8_t *secret);
};

/* NULL: no such row. */
const struct row *row_named(const char *name);
/* A line each: name, where and title, apart by tabs. */
void rows_print(void);

/* Where the row that does not return goes: the piece sets it. */
extern jmp_buf row_way_out;

/* How the peer has a thread run fn(arg), from its beginning to its end. */
void piece_thread(void (*fn)(void *), void *arg);

/* rows_x86_64.S: says there what they do. */
void row_fill_general(const uint8_t *secret);
void row_clear_registers(void);
void row_stop(void) __attribute__((noreturn));

#endif /* RESIDUE_ROWS_H */
