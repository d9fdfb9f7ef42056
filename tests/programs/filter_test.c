// SPDX-License-Identifier: MIT
/*
 * The filter that lethectl scan has memory go through: zeros, of which most memory is, pass
 * it for no secret and by no keys; and windows of the secret always do.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../selftests/tap.h"
#include "scan_table.h"

#define TABLES 1500
#define SECRET 32

static uint8_t memory[4096 + 8];

static struct table *random_table(uint8_t *secret)
{
	struct table *table = table_new(SECRET, SCAN_MIN);

	if (getrandom(secret, SECRET, 0) != SECRET || !table ||
	    forms_add(table, ~0U, secret, SECRET) ||
	    cipher_forms_add(table, ~0U, secret, SECRET) || table_finish(table))
		tap_bail("no table");
	return table;
}

int main(void)
{
	unsigned int i, zeros = 0, there = 0;
	uint8_t secret[SECRET];

	tap_plan(2);
	for (i = 0; i < TABLES; i++) {
		struct table *table = random_table(secret);

		memset(memory, 0, sizeof(memory));
		zeros += filter_next(table, memory, 0, 4096) != 4096;
		memcpy(memory + 1000, secret, SECRET);
		there += filter_next(table, memory, 996, 4096) <= 1000 + SCAN_MIN;
		table_free(table);
	}
	tap_ok(!zeros, "of %d tables %u look at each word of zeros", TABLES, zeros);
	tap_ok(there == TABLES, "control: %u find the secret among them", there);
	return tap_end();
}
