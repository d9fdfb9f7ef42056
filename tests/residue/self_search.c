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
#include <unistd.h>

#include "peer.h"
#include "process.h"

struct tally {
	struct note *note;
	enum secret secrets[NR_SECRETS]; /* by the engine's number */
};

static void found(void *arg, const struct search_copy *copy)
{
	struct tally *tally = arg;

	tally->note->copies[tally->secrets[copy->needle]]++;
}

static int search_mappings(const struct process *self, struct search *search)
{
	for (size_t i = 0; i < self->nr_mappings; i++) {
		const struct mapping *mapping = &self->mappings[i];

		/* Whole, in place: no page of it is copied to a buffer. */
		if (mapping->where == WHERE_SECRET && mapping->readable)
			search_feed(search, mapping->start, (const void *)mapping->start,
				    mapping->end - mapping->start);
	}
	search_gap(search);
	return 0;
}

int search_secret_pages(const struct needle *needles, const bool *known,
			struct note *note)
{
	struct process self = { .pid = getpid(), .memory = -1, .pagemap = -1 };
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
		err = memory_open(&self);
	if (!err)
		err = search_mappings(&self, search);
	if (!err)
		note->bytes = search_bytes(search);
	memory_close(&self);
	search_free(search);
	return err;
}
