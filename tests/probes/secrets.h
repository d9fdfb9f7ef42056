/* SPDX-License-Identifier: MIT */
/*
 * Secret pages of each backend, made by system calls alone, and ordinary ones: what the
 * tests of the probes look for. No section is run.
 */
#ifndef LETHE_PROBES_SECRETS_H
#define LETHE_PROBES_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE 4096UL

enum backend { KMOD, MEMFD, LOCKED, BACKENDS };

extern const char *const backend_names[BACKENDS];

/**
 * struct pages - pages that this process has
 * @at: the first; NULL where there are none
 * @nr: how many
 * @fd: to be closed with them; -1 is none
 * @backend: whose they are; BACKENDS of ordinary ones
 */
struct pages {
	char *at;
	size_t nr;
	int fd;
	enum backend backend;
};

/* False where this machine has no such backend; ends the test where it fails. */
bool secret_make(struct pages *pages, enum backend backend, size_t nr);
/* Ordinary pages, each written to, none of them zero or part of a large one. */
void ordinary_make(struct pages *pages, size_t nr);
void pages_touch(const struct pages *pages);
void pages_drop(struct pages *pages);

/* Of its entry of pagemap. */
bool page_is_swapped(const void *address);
/* Ends the test where there is no page. */
unsigned long long page_frame(const void *address);

/* Of each of them. */
void pages_frames(const struct pages *pages, unsigned long long *frame);

/*
 * What is unmapped may stay in the processors' lists for a while, and is not free until
 * that is full: fills them.
 */
void drain_lists(void);

#endif /* LETHE_PROBES_SECRETS_H */
