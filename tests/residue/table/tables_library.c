// SPDX-License-Identifier: MIT
/*
 * residue-row-library: what needs the libraries that encrypt.
 */
#include "tables.h"

const struct row *const row_tables[] = { rows_crypto, NULL };
