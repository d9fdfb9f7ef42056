// SPDX-License-Identifier: MIT
/*
 * Six stops and two searchers, brought down to what a person asks: how much of a
 * secret was found while it was needed, and how much when it no longer was.
 */
#include "report.h"

static void keep_larger(uint64_t *kept, uint64_t count)
{
	if (count > *kept)
		*kept = count;
}

struct summary summarize(const struct run *run, enum secret secret)
{
	struct summary summary = { 0 };

	for (unsigned int stop = 0; stop < NR_STOPS; stop++) {
		const struct tally *tally = &run->tally[stop];
		bool over = stop >= stop_after(secret_steps[secret]);
		struct found *found = over ? &summary.after : &summary.in_use;

		for (int i = 0; i < NR_WHERE; i++)
			keep_larger(&found->places[i], tally->copies[secret][i]);
		keep_larger(&found->own, tally->own[secret]);
		keep_larger(&found->ram_secret, tally->ram_secret[secret]);
		keep_larger(&found->ram_elsewhere, tally->ram_elsewhere[secret]);
	}
	return summary;
}

static void add(struct found *sum, const struct found *found)
{
	for (int i = 0; i < NR_WHERE; i++)
		sum->places[i] += found->places[i];
	sum->own += found->own;
	sum->ram_secret += found->ram_secret;
	sum->ram_elsewhere += found->ram_elsewhere;
}

struct summary summarize_all(const struct run *run)
{
	struct summary all = { 0 };

	for (int i = 0; i < NR_SECRETS; i++) {
		struct summary one = summarize(run, i);

		add(&all.in_use, &one.in_use);
		add(&all.after, &one.after);
	}
	return all;
}

uint64_t found_all(const struct found *found)
{
	uint64_t copies = 0;

	for (int i = 0; i < NR_WHERE; i++)
		copies += found->places[i];
	return copies;
}

uint64_t found_memory(const struct found *found)
{
	return found_all(found) - found->places[WHERE_REGISTER];
}
