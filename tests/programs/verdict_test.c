// SPDX-License-Identifier: MIT
/*
 * What lethectl check makes of what it found: each thing that keeps it from being
 * clean, alone, and that nothing else does.
 */
#include <string.h>

#include "../selftests/tap.h"
#include "check.h"

static struct subject subject;
static struct check check;
static struct hook hooks[SWAP_WAYS];

/* All is well: by two of the ways, as it is with a tracepoint and a device. */
static void all_is_well(void)
{
	subject = (struct subject){
		.level = LETHE_LEVEL_UNMAPPED,
		.secret_pages = 320,
		.decoys = 4096,
		.secret_intact = true,
		.decoys_intact = 4096,
	};
	check = (struct check){
		.subject = &subject,
		.watched = 320,
		.left = 4096,
		.hooks = hooks,
		.nr_hooks = SWAP_WAYS,
		.directmap = { .asked = true,
			       .secret = 320,
			       .decoys = 4096,
			       .decoys_readable = 4096 },
	};
	check.counts.way[SWAP_RECLAIM].pages = 4200;
	check.counts.way[SWAP_RECLAIM].decoys = 4096;
	check.counts.way[SWAP_BLOCK].pages = 9000;
	check.counts.way[SWAP_BLOCK].decoys = 4000;
}

static void expect(enum status status, const char *word, const char *sentence)
{
	enum status got = check_verdict(&check);

	if (!tap_ok(got == status && strstr(check.reason, word), "%s", sentence))
		tap_note("%d: %s", got, check.reason);
	all_is_well();
}

int main(void)
{
	tap_plan(15);
	all_is_well();
	expect(STATUS_CLEAN, "0 of the secret's 320 pages",
	       "all decoys seen, no secret: clean");
	check.directmap = (struct directmap_answers){ .why_not = "no" };
	expect(STATUS_CLEAN, "4096 of 4096", "so without an answer of the direct map");
	check.stayed = 3;
	expect(STATUS_CLEAN, "of 9000 in all", "so if other pages stayed");

	check.counts.way[SWAP_IMAGE].secret = 1;
	expect(STATUS_FOUND, "1 page", "one page of a secret by one way: a violation");
	check.counts.way[SWAP_BLOCK].secret = 2;
	check.counts.lost = 1;
	expect(STATUS_FOUND, "2 pages", "so if events were lost as well");
	check.directmap.secret_readable = 1;
	expect(STATUS_FOUND, "direct map",
	       "a secret page in the direct map: a violation");
	subject.secret_intact = false;
	expect(STATUS_FOUND, "not what it was", "a damaged secret: a violation");

	check.watched = 319;
	expect(STATUS_UNKNOWN, "319",
	       "a page of the secret that was not watched: unknown");
	check.counts.lost = 1;
	expect(STATUS_UNKNOWN, "lost", "a lost event: unknown");
	check.counts.way[SWAP_DEVICE].unjudged = 1;
	expect(STATUS_UNKNOWN, "not known", "a page that could not be judged: unknown");
	check.left = 4095;
	expect(STATUS_UNKNOWN, "4095", "a decoy that did not leave: unknown");
	check.counts.way[SWAP_RECLAIM].decoys = 4095;
	expect(STATUS_UNKNOWN, "blind", "a decoy that left unseen: unknown");
	check.directmap.decoys_readable = 4095;
	expect(STATUS_UNKNOWN, "blind",
	       "a decoy that the direct map does not have: unknown");
	subject.decoys_intact = 4095;
	expect(STATUS_UNKNOWN, "something else",
	       "a decoy that came back damaged: unknown");
	memset(&check.counts, 0, sizeof(check.counts));
	expect(STATUS_UNKNOWN, "blind", "nothing seen at all: unknown");
	return tap_end();
}
