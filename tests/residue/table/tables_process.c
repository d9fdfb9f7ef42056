// SPDX-License-Identifier: MIT
/*
 * residue-row: what needs no library but libc.
 */
#include "tables.h"

const struct row *const row_tables[] = { rows_registers, rows_stack, rows_ways,
					 rows_heap,      rows_text,  NULL };
