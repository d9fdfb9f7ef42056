// SPDX-License-Identifier: MIT
/*
 * See ram.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../selftests/tap.h"
#include "frames.h"
#include "lethe.h"
#include "ram.h"
#include "record.h"

static uint64_t searched;

bool ram_on_module(void)
{
	return !strcmp(lethe_backend(), "kmod");
}

void ram_search(const char *label, const struct needle *needle,
		struct hostlink_found *found)
{
	uint64_t *frames = NULL;
	size_t n = 0;
	int err;

	err = secret_frames(&frames, &n);
	if (err && ram_on_module())
		tap_bail("the module does not tell its frames: %s", strerror(-err));
	err = hostlink_search(label, needle, 1, frames, n, found, &searched);
	free(frames);
	if (err)
		tap_bail("the host's search: %s", strerror(-err));
	tap_note(
		"%s: %llu copies in secret frames, %llu elsewhere, longest %llu of %u, in %llu MiB",
		label, (unsigned long long)found->in_frames,
		(unsigned long long)found->elsewhere, (unsigned long long)found->longest,
		needle->length, (unsigned long long)searched >> 20);
}

void ram_record(const char *row, const struct hostlink_found *control,
		const struct hostlink_found *found, const char *why)
{
	residue_record(row, lethe_backend(), control->copies, found->copies, searched,
		       found->copies && !ram_on_module() ? why : "");
}
