// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Whether the kernel could read the secret by its direct map, for lethectl check: asked
 * of the secret's frames, and of the decoys', where it must be able to. What is read is
 * thrown away in the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* As many of each as are asked of. */
#define MOST (8 * DIRECTMAP_FRAMES)
#define UNMAPPED (FRAME_KMOD | FRAME_MEMFD)

/* Frames of one kind. */
struct list {
	unsigned long long frame[MOST];
	unsigned char readable[MOST];
	size_t nr;
};

/* A region's frames are in the set, but not whose they are: all of them count then. */
static bool is_wanted(const struct frames *frames, unsigned long long frame,
		      unsigned int bits, pid_t pid)
{
	unsigned int kind = frames_kind(frames, frame) & bits;
	unsigned long long address;

	return kind && (kind & (FRAME_KMOD | FRAME_DECOY) ||
			frames_owner(frames, frame, &address) == pid);
}

static void collect(struct list *list, const struct frames *frames, unsigned int bits,
		    pid_t pid)
{
	unsigned long long frame, end = frames_layout(frames)->frames;

	for (frame = 0; frame < end && list->nr < MOST; frame++)
		if (is_wanted(frames, frame, bits, pid))
			list->frame[list->nr++] = frame;
}

/* Of what was there all the time: 0 or -errno, and how many can be read. */
static int ask(struct directmap_probe *probe, struct list *list,
	       const struct frames *frames, unsigned int bits, size_t *readable)
{
	size_t at, nr, i;
	int err = 0;

	for (at = 0; at < list->nr && !err; at += nr) {
		nr = list->nr - at < DIRECTMAP_FRAMES ? list->nr - at : DIRECTMAP_FRAMES;
		err = directmap_probe_ask(probe, list->frame + at, list->readable + at,
					  nr);
	}
	/* One that was given back meanwhile is mapped again, and rightly. */
	for (i = 0, *readable = 0; i < list->nr; i++)
		*readable += list->readable[i] &&
			     frames_kind(frames, list->frame[i]) & bits;
	return err;
}

void check_directmap(struct check *check, const struct frames *frames)
{
	struct list *secret = calloc(2, sizeof(*secret)), *decoys = secret + 1;
	struct directmap_answers *answers = &check->directmap;
	struct directmap_probe *probe = NULL;
	const char *why = "no memory";
	int err = -1;

	if (secret)
		err = directmap_probe_open(&probe, frames_layout(frames), &why);
	if (!err) {
		collect(secret, frames, UNMAPPED, check->subject->pid);
		collect(decoys, frames, FRAME_DECOY, 0);
		answers->secret = secret->nr;
		answers->decoys = decoys->nr;
		err = ask(probe, secret, frames, UNMAPPED, &answers->secret_readable);
		why = "the probe has no answer";
	}
	if (!err)
		err = ask(probe, decoys, frames, FRAME_DECOY, &answers->decoys_readable);
	answers->asked = !err;
	if (err)
		snprintf(answers->why_not, sizeof(answers->why_not), "%s", why);
	directmap_probe_close(probe);
	free(secret);
}
