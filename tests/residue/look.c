// SPDX-License-Identifier: MIT
/*
 * The two ways to look for what a peer has left: residue-search, a process that
 * attaches with ptrace; and, in the virtual machine, the host, which has all of
 * the guest's memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../vm/hostlink.h"
#include "ask.h"
#include "frames.h"
#include "run.h"

int look_at_process(struct run *run, pid_t pid, struct tally *tally)
{
	struct needle needles[NR_SECRETS];
	enum secret which[NR_SECRETS];
	struct answer answer;
	unsigned int nr = 0;
	char why[320];

	for (int i = 0; i < NR_SECRETS; i++) {
		/* Not known yet: it comes to be in a later step. */
		if (!run->needles[i].length)
			continue;
		needles[nr] = run->needles[i];
		which[nr++] = i;
	}
	if (ask_searcher(pid, needles, nr, &answer, why, sizeof(why)))
		return run_failed(run, "%s", why);
	for (unsigned int i = 0; i < nr; i++)
		for (int where = 0; where < NR_WHERE; where++)
			tally->copies[which[i]][where] += answer.copies[i][where];
	for (unsigned int i = 0; i < answer.nr_unreadable; i++)
		if (unreadable_add(tally->unreadable, &tally->nr_unreadable,
				   answer.unreadable[i].name, answer.unreadable[i].bytes))
			return run_failed(run, "too many mappings are unreadable");
	tally->bytes += answer.bytes;
	return 0;
}

bool look_has_ram(void)
{
	return hostlink_open() == 0;
}

int look_at_ram(struct run *run, unsigned int stop)
{
	struct needle needles[NR_SECRETS];
	struct hostlink_found found[NR_SECRETS];
	struct tally *tally = &run->tally[stop];
	enum secret which[NR_SECRETS];
	uint64_t *frames = NULL;
	size_t nr_frames = 0, n = 0;
	char label[64];
	int err = 0;

	for (int i = 0; i < NR_SECRETS; i++) {
		/* Not known yet: it comes to be in a later step. */
		if (!run->needles[i].length)
			continue;
		needles[n] = run->needles[i];
		which[n++] = i;
	}
	if (run->lethe && !strcmp(run->backend, "kmod"))
		err = secret_frames(&frames, &nr_frames);
	if (err)
		return run_failed(run, "the module does not tell its frames: %s",
				  strerror(-err));

	snprintf(label, sizeof(label), "%s, %s step %u",
		 run->lethe ? "with Lethe" : "plainly", stop % 2 ? "after" : "within",
		 stop / 2 + 1);
	err = hostlink_search(label, needles, n, frames, nr_frames, found,
			      &tally->ram_bytes);
	free(frames);
	if (err)
		return run_failed(run, "the host could not search: %s", strerror(-err));
	for (size_t i = 0; i < n; i++) {
		tally->ram_secret[which[i]] = found[i].in_frames;
		tally->ram_elsewhere[which[i]] = found[i].elsewhere;
	}
	return 0;
}
