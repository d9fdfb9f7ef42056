// SPDX-License-Identifier: MIT
/*
 * One row, with one peer: takes a secret from stdin, has the peer protect the code
 * that works with it, and then stands still for a search.
 *
 *	residue-peer-NAME ROW < secret
 *	residue-peer-NAME --rows		the rows, for whoever makes the table
 *	residue-peer-NAME --promises		those that the peer is made to cover
 *
 * Exit status: 77 and why on stderr, where this cannot be asked; 1 an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../../selftests/registers.h"
#include "piece.h"

#define CANNOT_BE_ASKED 77

void piece_read(uint8_t secret[SECRET_SIZE])
{
	if (read(STDIN_FILENO, secret, SECRET_SIZE) != SECRET_SIZE)
		_exit(1);
}

int main(int argc, char **argv)
{
	const struct row *row = argc == 2 ? row_named(argv[1]) : NULL;
	const char *why;

	if (argc == 2 && !strcmp(argv[1], "--rows")) {
		rows_print();
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--promises")) {
		puts(piece_promises);
		return 0;
	}
	if (!row) {
		fprintf(stderr, "usage: %s ROW < secret\n", argv[0]);
		return 1;
	}
	why = piece_start();
	if (why) {
		fprintf(stderr, "%s\n", why);
		return CANNOT_BE_ASKED;
	}
	/* Where Yama lets only a parent attach, the searcher is none. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	registers_look();
	if (row->prepare)
		row->prepare();
	piece_run(row->work);
	row_stop();
}
