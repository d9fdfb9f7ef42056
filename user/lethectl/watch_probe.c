// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The three probes that watch, in one shape, so that whoever asks them need not know
 * which is which. Decides nothing.
 */
#include <string.h>
#include <time.h>

#include "access.h"
#include "leaving.h"
#include "swap.h"
#include "watch.h"

_Static_assert(SWAP_WAYS <= WATCH_WAYS && ACCESS_WAYS <= WATCH_WAYS &&
		       LEAVING_WAYS <= WATCH_WAYS,
	       "room for every way");

static int swap_open(void **probe, struct frames *frames, const char **why)
{
	return swap_probe_open((struct swap_probe **)probe, frames, why);
}

static const struct hook *swap_hooks(const void *probe, size_t *nr)
{
	return swap_probe_hooks(probe, nr);
}

static int swap_counts_of(const void *probe, struct watch_counts *to)
{
	struct swap_counts from;
	int i, err = swap_probe_counts(probe, &from);

	for (i = 0; !err && i < SWAP_WAYS; i++) {
		to->all[i] = from.way[i].pages;
		to->marked[i] = from.way[i].secret;
		to->unjudged[i] = from.way[i].unjudged;
	}
	if (!err)
		to->lost = from.lost;
	return err;
}

static int swap_ring(const void *probe)
{
	return swap_probe_ring(probe);
}

static void swap_close(void *probe)
{
	swap_probe_close(probe);
}

static int access_open(void **probe, struct frames *frames, const char **why)
{
	return access_probe_open((struct access_probe **)probe, frames, why);
}

static const struct hook *access_hooks(const void *probe, size_t *nr)
{
	return access_probe_hooks(probe, nr);
}

static int access_counts_of(const void *probe, struct watch_counts *to)
{
	struct access_counts from;
	int err = access_probe_counts(probe, &from);

	if (err)
		return err;
	memcpy(to->all, from.tried, sizeof(from.tried));
	memcpy(to->marked, from.refused, sizeof(from.refused));
	to->lost = from.lost;
	return 0;
}

static int access_ring(const void *probe)
{
	return access_probe_ring(probe);
}

static void access_close(void *probe)
{
	access_probe_close(probe);
}

static int leaving_open(void **probe, struct frames *frames, const char **why)
{
	return leaving_probe_open((struct leaving_probe **)probe, frames, why);
}

static const struct hook *leaving_hooks(const void *probe, size_t *nr)
{
	return leaving_probe_hooks(probe, nr);
}

static int leaving_counts_of(const void *probe, struct watch_counts *to)
{
	struct leaving_counts from;
	int err = leaving_probe_counts(probe, &from);

	if (err)
		return err;
	memcpy(to->all, from.calls, sizeof(from.calls));
	memcpy(to->marked, from.secret, sizeof(from.secret));
	memcpy(to->unjudged, from.unjudged, sizeof(from.unjudged));
	to->lost = from.lost;
	return 0;
}

static int leaving_ring(const void *probe)
{
	return leaving_probe_ring(probe);
}

static void leaving_close(void *probe)
{
	leaving_probe_close(probe);
}

const struct watch_kind watch_kinds[WATCH_PROBES] = {
	[WATCH_SWAP] = { "swap", SWAP_WAYS, swap_way_names, swap_open, swap_hooks,
			 swap_counts_of, swap_ring, swap_close },
	[WATCH_ACCESS] = { "access", ACCESS_WAYS, access_way_names, access_open,
			   access_hooks, access_counts_of, access_ring, access_close },
	[WATCH_LEAVING] = { "leaving", LEAVING_WAYS, leaving_way_names, leaving_open,
			    leaving_hooks, leaving_counts_of, leaving_ring,
			    leaving_close },
};

unsigned long long watch_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * 1000000000 +
	       (unsigned long long)now.tv_nsec;
}

enum watch_probe watch_probe_of(const struct event *event)
{
	switch (event->what) {
	case EVENT_SWAP:
		return WATCH_SWAP;
	case EVENT_ACCESS:
		return WATCH_ACCESS;
	case EVENT_LEAVING:
		return WATCH_LEAVING;
	default:
		return WATCH_PROBES;
	}
}

const char *watch_way(const struct event *event)
{
	const struct watch_kind *kind = &watch_kinds[watch_probe_of(event)];

	return event->how < kind->ways ? kind->way_names[event->how] : "?";
}
