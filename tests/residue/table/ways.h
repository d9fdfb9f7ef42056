/* SPDX-License-Identifier: MIT */
/*
 * The way out of a section that C has not.
 */
#ifndef RESIDUE_WAYS_H
#define RESIDUE_WAYS_H

#include "row.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The section, in a try block. */
void ways_catch(const struct row *row);
/* Leaves a frame full of the secret by an exception. */
void ways_throw(uint8_t *secret);

#ifdef __cplusplus
}
#endif

#endif /* RESIDUE_WAYS_H */
