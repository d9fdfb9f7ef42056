/* SPDX-License-Identifier: MIT */
/*
 * The module's tracepoints, read from an instance of tracefs that is made for it and
 * gone with the program. It judges nothing. Included after door.h.
 */
#ifndef LETHE_TESTS_TRACE_H
#define LETHE_TESTS_TRACE_H

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "door.h"
#include "knobs.h"

#define TRACEFS "/sys/kernel/tracing"
#define TRACEFS_TYPE 0x74726163
#define EVENTS TRACEFS "/events/lethe"
#define INSTANCE TRACEFS "/instances/lethe_selftest"
#define MAX_EVENTS 20000

static bool mounted;

enum kind {
	WIPE,
	BLOCK_ADD,
	BLOCK_REMOVE,
	REGION_CREATE,
	REGION_DESTROY,
	REGION_FRAMES,
	KINDS
};

static const struct {
	const char *name, *fields;
} kinds[KINDS] = {
	[WIPE] = { "wipe", "tid flags length wiped skipped dropped err" },
	[BLOCK_ADD] = { "block_add", "first pages node small" },
	[BLOCK_REMOVE] = { "block_remove", "first pages node small" },
	[REGION_CREATE] = { "region_create", "region pages pid" },
	[REGION_DESTROY] = { "region_destroy", "region pages pid revoked" },
	[REGION_FRAMES] = { "region_frames", "region first count added" },
};

static struct event {
	enum kind kind;
	char text[192];
} events[MAX_EVENTS];
static size_t nr_events;

/* On every way out, a failed one too. */
UNUSED static void clean_up(void)
{
	rmdir(INSTANCE);
	if (mounted)
		umount(TRACEFS);
	mounted = false;
}

UNUSED static bool find_tracefs(void)
{
	struct statfs st;

	if (!statfs(TRACEFS, &st) && st.f_type == TRACEFS_TYPE)
		return true;
	mounted = !mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	return mounted;
}

UNUSED static void make_instance(void)
{
	atexit(clean_up);
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700))
		tap_bail(INSTANCE ": %s", strerror(errno));
	set(INSTANCE "/buffer_size_kb", "2048");
	/* One order for all CPUs. */
	set(INSTANCE "/trace_clock", "counter");
	set(INSTANCE "/events/lethe/enable", "1");
}

UNUSED static void forget_events(void)
{
	int fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		tap_bail(INSTANCE "/trace: %s", strerror(errno));
	close(fd);
}

UNUSED static void note_event(const char *line)
{
	char mark[32];
	const char *at;

	for (enum kind kind = 0; kind < KINDS; kind++) {
		snprintf(mark, sizeof(mark), ": %s: ", kinds[kind].name);
		at = strstr(line, mark);
		if (!at)
			continue;
		if (nr_events == MAX_EVENTS)
			tap_bail("more than %d events", MAX_EVENTS);
		events[nr_events].kind = kind;
		/* From the blank on, so that each word has one before it. */
		snprintf(events[nr_events++].text, sizeof(events->text), "%s",
			 at + strlen(mark) - 1);
	}
}

/* All since forget_events(), the earliest first; false if some were lost. */
UNUSED static bool read_events(void)
{
	FILE *file = fopen(INSTANCE "/trace", "r");
	unsigned long kept = 0, written = 1;
	const char *header;
	char line[512];

	if (!file)
		tap_bail(INSTANCE "/trace: %s", strerror(errno));
	nr_events = 0;
	while (fgets(line, sizeof(line), file)) {
		header = strstr(line, "entries-written: ");
		if (line[0] != '#')
			note_event(line);
		else if (header)
			sscanf(header, "entries-written: %lu/%lu", &kept, &written);
	}
	fclose(file);
	return kept == written;
}

UNUSED static uint64_t value(const struct event *event, const char *word)
{
	char mark[32];
	const char *at;

	snprintf(mark, sizeof(mark), " %s=", word);
	at = strstr(event->text, mark);
	return at ? strtoull(at + strlen(mark), NULL, 0) : UINT64_MAX;
}

/* How many of a kind there are, and the first of them. */
UNUSED static size_t count(enum kind kind, const struct event **first)
{
	size_t nr = 0;

	for (size_t i = nr_events; i--;)
		if (events[i].kind == kind) {
			*first = &events[i];
			nr++;
		}
	return nr;
}

#endif /* LETHE_TESTS_TRACE_H */
