// SPDX-License-Identifier: MIT
/*
 * What no other process can read, a process searches itself: its secret pages.
 *
 * While the exchange runs, this is the control of the searches with Lethe: the
 * secrets are there, so the needles are right, and 0 copies elsewhere means
 * something. After it, it shows that the pages were erased and are not only out
 * of sight.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer.h"
#include "search.h"
#include "secret_pages.h"

struct tally {
	struct note *note;
	enum secret secrets[NR_SECRETS]; /* by the engine's number */
};

static void found(void *arg, const struct search_copy *copy)
{
	struct tally *tally = arg;

	tally->note->copies[tally->secrets[copy->needle]]++;
}

/* Whole, in place: no page of it is copied to a buffer. */
static void search_pages(const struct secret_pages *pages, struct search *search)
{
	for (size_t i = 0; i < pages->nr; i++) {
		const struct secret_range *range = &pages->range[i];

		if (range->readable)
			search_feed(search, range->start, (const void *)range->start,
				    range->end - range->start);
	}
	search_gap(search);
}

int search_secret_pages(const struct needle *needles, const bool *known,
			struct note *note)
{
	struct secret_pages pages = { 0 };
	struct tally tally = { .note = note };
	struct search *search = search_new(found, &tally);
	unsigned int n = 0;
	int err = search ? 0 : -errno;

	for (int i = 0; !err && i < NR_SECRETS; i++) {
		if (!known[i])
			continue;
		err = search_add(search, &needles[i], NULL);
		tally.secrets[n++] = i;
	}
	if (!err)
		err = secret_pages_read(&pages, getpid());
	if (!err) {
		search_pages(&pages, search);
		note->bytes = search_bytes(search);
	}
	free(pages.range);
	search_free(search);
	return err;
}
