/* SPDX-License-Identifier: MIT */
/*
 * The search engine: finds copies of needles in a stream of bytes.
 *
 * A copy is a maximal run of at least NEEDLE_MIN consecutive bytes of a needle,
 * at any byte of the stream. The engine knows needles in their masked form
 * alone. It finds plain bytes: a secret that is reversed, split up or
 * recomputed in another form is not found, so a count of 0 is a lower bound.
 */
#ifndef RESIDUE_SEARCH_H
#define RESIDUE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "needle.h"

#define SEARCH_MAX_NEEDLES 64

struct search;

/* One copy: @length bytes at @address, of the @needle-th that was added. */
struct search_copy {
	unsigned int needle;
	unsigned int length;
	uint64_t address;
	bool whole;
};

typedef void (*search_found)(void *arg, const struct search_copy *copy);

/* NULL and errno. */
struct search *search_new(search_found found, void *arg);
/* Wipes what it has seen. */
void search_free(struct search *search);

/*
 * 0, or -EINVAL and why in a few words; -ENOSPC past SEARCH_MAX_NEEDLES. A
 * needle is refused where finding it would prove nothing: eight bytes with
 * fewer than four different values are met by chance, and a needle that says
 * the same eight bytes twice has no single run. Add all before the first feed.
 */
int search_add(struct search *search, const struct needle *needle, const char **why);

/*
 * The bytes at @address. Those of consecutive calls are one stream while their
 * addresses follow on; where they do not, runs end.
 */
void search_feed(struct search *search, uint64_t address, const void *bytes,
		 size_t length);
/* The stream ends: the copies that reach up to here are reported. */
void search_gap(struct search *search);

uint64_t search_bytes(const struct search *search);

#endif /* RESIDUE_SEARCH_H */
