/* SPDX-License-Identifier: MIT */
/*
 * One cell of the residue table: a row program started, stopped where its row says, and
 * searched by the engine of lethectl scan.
 */
#ifndef RESIDUE_MEASURE_H
#define RESIDUE_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "row.h"

/* What a row program says of a row by --rows. */
struct known {
	const char *program;
	char *name, *where, *clause[ROW_BACKENDS], *cannot;
	enum row_source source;
	enum row_seen seen;
	enum row_kind kind;
};

/**
 * struct cell - what was found
 * @copies: of all secrets of the row
 * @there: of these, in a place that is what the row is of
 * @searched: bytes of memory and registers
 * @where: the first of them, in words
 */
struct cell {
	uint64_t copies, there, searched;
	char where[512];
};

/* A cell that is being measured, in a process of its own: they are so at once. */
struct measuring {
	pid_t pid;
	int from;
};

/**
 * measure_begin() - run a row once
 * @backend: LETHE_BACKEND there; NULL: plainly
 * @hollow: what is preloaded, or NULL
 */
void measure_begin(struct measuring *measuring, const struct known *row,
		   const char *backend, const char *hollow);
/**
 * measure_end() - wait for it
 * @why: what went wrong
 *
 * Return: true, and @cell; else it could not be measured, which is never a clean cell.
 */
bool measure_end(struct measuring *measuring, struct cell *cell, char *why, size_t room);

#endif /* RESIDUE_MEASURE_H */
