/* SPDX-License-Identifier: MIT */
/*
 * All of the virtual machine's memory, searched by the host, for a secret that may lie
 * in the module's frames; and the row that it gives on the backend in use.
 */
#ifndef RESIDUE_RAM_H
#define RESIDUE_RAM_H

#include <stdbool.h>
#include <stdint.h>

#include "../vm/hostlink.h"
#include "needle.h"

/* Ends the test where it cannot be searched. @found is added up on a line. */
void ram_search(const char *label, const struct needle *needle,
		struct hostlink_found *found);

/*
 * A row, of the last search. @why: for a backend that does not keep to it, in a clause;
 * where there is nothing to excuse it is left out.
 */
void ram_record(const char *row, const struct hostlink_found *control,
		const struct hostlink_found *found, const char *why);

/* Is it the module that this process has its secret pages from? */
bool ram_on_module(void);

#endif /* RESIDUE_RAM_H */
