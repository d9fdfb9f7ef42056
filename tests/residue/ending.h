/* SPDX-License-Identifier: MIT */
/*
 * What the programs that bring a machine to its end have in common: a region, and
 * secrets whose needles the host is told.
 */
#ifndef RESIDUE_ENDING_H
#define RESIDUE_ENDING_H

#include <stddef.h>

#include "needle.h"

#define ENDING_PAGE ((size_t)4096)
#define ENDING_PAGES ((size_t)64) /* of a region */

/* A region's descriptor, or -1 and errno; and its mapping, or MAP_FAILED. */
int ending_region(void);
unsigned char *ending_map(int region);

/*
 * A new secret at the start of each of @pages, written there byte by byte: there is
 * never a copy on a stack. Ends the test if it cannot.
 */
void ending_plant(struct needle *needle, const char *name, volatile unsigned char *at,
		  size_t pages);

/* 0 or -errno. */
int ending_write(const char *path, const char *text);

#endif /* RESIDUE_ENDING_H */
