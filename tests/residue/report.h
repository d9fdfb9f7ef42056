/* SPDX-License-Identifier: MIT */
/*
 * What the main job shows (report.c), and whether it holds (verdict.c).
 */
#ifndef RESIDUE_REPORT_H
#define RESIDUE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "run.h"

/* The runs of one main job; those in RAM only where a host can search it. */
struct runs {
	const char *path;
	struct run plain, lethe;
	bool has_ram;
	struct run ram_plain, ram_lethe;
	double seconds;
	/* On somebody's machine, whose libraries may leave nothing by themselves. */
	bool anywhere;
};

/* Everything above the verdict; with a word on the backend if it may run anywhere. */
void report_print(const struct runs *runs);

extern const char *const report_titles[NR_SECRETS];

/* "\033[31m" and the like where stdout is a terminal, else "". */
enum colour { PLAIN, RED, GREEN, BOLD };
const char *report_colour(enum colour colour);

/* Says what does not hold, if anything, a line each; true if all of it does. */
bool verdict(const struct runs *runs);

/* Who keeps a mapping from being read? */
enum keeper { KEEPER_LETHE, KEEPER_KERNEL, KEEPER_UNKNOWN };
enum keeper verdict_keeper(const struct unreadable *unreadable);

/*
 * What was found of one secret in a run, or of all of them: while it was in use,
 * and, of all the stops after it was given up, the one with the most.
 */
struct found {
	uint64_t places[NR_WHERE];
	uint64_t own;
	uint64_t ram_secret, ram_elsewhere;
};

struct summary {
	struct found in_use, after;
};

struct summary summarize(const struct run *run, enum secret secret);
struct summary summarize_all(const struct run *run);

/* Copies that ptrace reads: everywhere; and all but registers. */
uint64_t found_all(const struct found *found);
uint64_t found_memory(const struct found *found);

#endif /* RESIDUE_REPORT_H */
