/* SPDX-License-Identifier: MIT */
/*
 * A needle: a secret to search for, that is not itself a copy of the secret.
 *
 * The code under test makes one of each of its secrets and hands it to the
 * searcher. A needle holds a fresh random mask and the secret XORed with it,
 * never the secret's own bytes, so a search does not find its own needle, and
 * neither does a search of the searcher, of a pipe, or of all memory.
 */
#ifndef RESIDUE_NEEDLE_H
#define RESIDUE_NEEDLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The shortest run that counts as a copy; a shorter one is met by chance. */
#define NEEDLE_MIN 8
#define NEEDLE_MAX 256

/* As it goes over pipes; the fields past @length bytes are zero. */
struct needle {
	char name[32];   /* printable, no blanks, ends in a NUL */
	uint32_t length; /* NEEDLE_MIN to NEEDLE_MAX */
	uint32_t reserved;
	uint8_t mask[NEEDLE_MAX];
	uint8_t masked[NEEDLE_MAX]; /* secret ^ mask */
};

_Static_assert(sizeof(struct needle) == 552, "struct needle goes over pipes");

/* 0, or -EINVAL (a name or length that cannot be), or -errno of getrandom. */
int needle_make(struct needle *needle, const char *name, const void *secret,
		size_t length);

/* Is every field what needle_make() could have written? */
int needle_check(const struct needle *needle);

/* 0 or -errno. */
int needle_write(int fd, const struct needle *needle);
/* 1 and a needle; 0 at the end of the input; -errno (-EBADMSG: no needle). */
int needle_read(int fd, struct needle *needle);

/* The line "NEEDLE name mask masked", in hex, as the host link has it. */
int needle_print(FILE *out, const struct needle *needle);
/* 0, or -EBADMSG; the line may end in a newline. */
int needle_parse(const char *line, struct needle *needle);

#endif /* RESIDUE_NEEDLE_H */
