/* SPDX-License-Identifier: MIT */
/*
 * The kinds of places that a copy is in.
 */
#ifndef RESIDUE_WHERE_H
#define RESIDUE_WHERE_H

enum where {
	WHERE_STACK, /* a mapping that a thread's stack pointer is in */
	WHERE_HEAP,  /* [heap] */
	WHERE_REGISTER,
	WHERE_LIBRARY,   /* a mapped file, or the bss after it */
	WHERE_SECRET,    /* pages locked and kept out of dumps, or Lethe's */
	WHERE_ANONYMOUS, /* any other memory */
	NR_WHERE,
};

extern const char *const where_names[NR_WHERE];

#endif /* RESIDUE_WHERE_H */
