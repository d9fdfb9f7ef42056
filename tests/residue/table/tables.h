/* SPDX-License-Identifier: MIT */
/*
 * Which rows a program has: tables_process.c, tables_library.c. Two programs, since what
 * a library maps is searched with each row, and most rows need none.
 */
#ifndef RESIDUE_TABLES_H
#define RESIDUE_TABLES_H

#include "row.h"

/* The last is NULL. */
extern const struct row *const row_tables[];

#endif /* RESIDUE_TABLES_H */
