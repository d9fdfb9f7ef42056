// SPDX-License-Identifier: MIT
/*
 * The probes' double, as lethectl is linked with it: what the headers of bpf/ declare,
 * answered by what double.c was told. There is no secret frame in any of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "double.h"
#include "layout.h"
#include "leaving.h"
#include "swap.h"

static struct frames {
	const struct layout *layout;
} the_frames;
static unsigned int refreshed;

const char *const swap_way_names[SWAP_WAYS] = { "reclaim", "out", "device", "block",
						"image" };
const char *const access_way_names[ACCESS_WAYS] = { "pin",        "ptrace",   "attach",
						    "process_vm", "proc_mem", "core",
						    "perf",       "bpf" };
const char *const leaving_way_names[LEAVING_WAYS] = { "write", "send", "splice",
						      "uring" };

int layout_learn(struct layout *layout, const char **why)
{
	(void)why;
	memset(layout, 0, sizeof(*layout));
	return 0;
}

int frames_open(struct frames **frames, const struct layout *layout, const char **why)
{
	int err = double_open(why);

	if (err)
		return err;
	the_frames.layout = layout;
	*frames = &the_frames;
	return 0;
}

int frames_refresh(struct frames *frames, pid_t pid)
{
	(void)frames;
	(void)pid;
	refreshed++;
	return 0;
}

int frames_settle(struct frames *frames)
{
	(void)frames;
	return 0;
}

bool frames_confirm(const struct frames *frames, unsigned long long frame,
		    unsigned int kind)
{
	(void)frames;
	(void)frame;
	(void)kind;
	return true;
}

unsigned int frames_kind(const struct frames *frames, unsigned long long frame)
{
	(void)frames;
	(void)frame;
	return 0;
}

int frames_mark(struct frames *frames, const void *address, unsigned int bits)
{
	(void)frames;
	(void)address;
	(void)bits;
	return -ENODATA;
}

int frames_unmark(struct frames *frames, unsigned long long frame, unsigned int bits)
{
	(void)frames;
	(void)frame;
	(void)bits;
	return 0;
}

pid_t frames_owner(const struct frames *frames, unsigned long long frame,
		   unsigned long long *address)
{
	(void)frames;
	(void)frame;
	*address = 0;
	return 0;
}

/* How often it was looked: told as frames of mlock, so that a test can see it. */
void frames_total(const struct frames *frames, struct frames_total *total)
{
	(void)frames;
	memset(total, 0, sizeof(*total));
	total->memfd = double_holder.pages[1];
	total->locked = refreshed;
	total->processes = double_holder.pages[1] > 0;
	total->unreadable = double_unreadable;
}

int frames_holders(const struct frames *frames, struct frames_holder **holders)
{
	(void)frames;
	*holders = malloc(sizeof(double_holder));
	if (!*holders)
		return -ENOMEM;
	**holders = double_holder;
	return double_holder.pages[1] > 0;
}

unsigned int frames_at(const struct frames *frames, pid_t pid, unsigned long long address,
		       unsigned long long length)
{
	(void)frames;
	(void)pid;
	(void)address;
	(void)length;
	return 0;
}

int frames_map_fd(const struct frames *frames)
{
	(void)frames;
	return -1;
}

int frames_holders_fd(const struct frames *frames)
{
	(void)frames;
	return -1;
}

const struct layout *frames_layout(const struct frames *frames)
{
	return frames->layout;
}

static const struct hook hooks[] = {
	{ .name = "double_there",
	  .sees = "what is told",
	  .unseen = "",
	  .attached = true },
	{ .name = "double_not_there",
	  .sees = "what is not",
	  .unseen = "what the double does not tell",
	  .why_not = "it is a double" },
};

const struct hook *frames_hooks(const struct frames *frames, size_t *nr)
{
	(void)frames;
	*nr = 0;
	return hooks;
}

void frames_close(struct frames *frames)
{
	(void)frames;
}

static int open_probe(void **probe, int which, const char **why)
{
	const char *absent = getenv("LETHE_DOUBLE_ABSENT");

	if (absent && strstr(absent, double_names[which])) {
		*why = "the double does not have it";
		return -ENOENT;
	}
	*probe = &double_probes[which];
	return 0;
}

/* What the three headers declare, each with its own type for the same. */
#define DOUBLE(which, name)                                                       \
	int name##_probe_open(struct name##_probe **probe, struct frames *frames, \
			      const char **why)                                   \
	{                                                                         \
		(void)frames;                                                     \
		return open_probe((void **)probe, which, why);                    \
	}                                                                         \
	const struct hook *name##_probe_hooks(const struct name##_probe *probe,   \
					      size_t *nr)                         \
	{                                                                         \
		(void)probe;                                                      \
		*nr = 2;                                                          \
		return hooks;                                                     \
	}                                                                         \
	int name##_probe_ring(const struct name##_probe *probe)                   \
	{                                                                         \
		return ((const struct double_probe *)(const void *)probe)->ring;  \
	}                                                                         \
	void name##_probe_close(struct name##_probe *probe)                       \
	{                                                                         \
		(void)probe;                                                      \
	}

DOUBLE(0, swap)
DOUBLE(1, access)
DOUBLE(2, leaving)

int swap_probe_counts(const struct swap_probe *probe, struct swap_counts *counts)
{
	int i;

	(void)probe;
	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < SWAP_WAYS; i++) {
		counts->way[i].pages = double_probes[0].counts[i][0];
		counts->way[i].secret = double_probes[0].counts[i][1];
		counts->way[i].unjudged = double_probes[0].counts[i][2];
	}
	counts->lost = double_probes[0].lost;
	return double_probes[0].failed ? -EIO : 0;
}

int access_probe_counts(const struct access_probe *probe, struct access_counts *counts)
{
	int i;

	(void)probe;
	for (i = 0; i < ACCESS_WAYS; i++) {
		counts->tried[i] = double_probes[1].counts[i][0];
		counts->refused[i] = double_probes[1].counts[i][1];
	}
	counts->lost = double_probes[1].lost;
	return double_probes[1].failed ? -EIO : 0;
}

int leaving_probe_counts(const struct leaving_probe *probe, struct leaving_counts *counts)
{
	int i;

	(void)probe;
	for (i = 0; i < LEAVING_WAYS; i++) {
		counts->calls[i] = double_probes[2].counts[i][0];
		counts->secret[i] = double_probes[2].counts[i][1];
		counts->unjudged[i] = double_probes[2].counts[i][2];
	}
	counts->lost = double_probes[2].lost;
	return double_probes[2].failed ? -EIO : 0;
}

/* Frame 1 is one that was secret and is so no longer. */
bool swap_probe_confirm(struct swap_probe *probe, const struct event *event)
{
	(void)probe;
	if (event->frame != 1)
		return true;
	double_probes[0].counts[event->how][1]--;
	return false;
}
