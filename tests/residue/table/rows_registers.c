// SPDX-License-Identifier: MIT
/*
 * Rows: what is in registers as a section's function returns. Each fills one class of
 * them, and nothing else.
 */
#include "row.h"

void fill_general(const uint8_t *secret);

static void general(uint8_t *secret)
{
	fill_general(secret);
}

const struct row rows_registers[] = {
	{ .name = "general registers", .where = "register r", .inside = general },
	{ .name = NULL },
};
