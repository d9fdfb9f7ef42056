// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl check: does this machine keep secret pages out of swap? A process with a
 * secret is pressed until all of its ordinary memory has left; decoys there must be seen
 * leaving, and the secret must not. Changes the machine as little as it can, and leaves
 * it as it was, whatever happens: check_guard.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "check.h"
#include "lethectl.h"
#include "output.h"

#define PAGE 4096
#define MIB_PAGES (1024 * 1024 / PAGE)
/* For each step of the subject's: making the secret on a busy machine takes longest. */
#define STEP_MS 60000
/* Room in swap for each decoy, and for what else of the subject's is ordinary. */
#define ROOM(decoys) (2 * (decoys) + 16 * MIB_PAGES)

enum { KEY_ORDINARY = 256, KEY_SWAP_FILE, KEY_NO_SWAP_FILE, KEY_SECONDS, KEY_SIZE };

static const struct argp_option options[] = {
	{ "backend", 'b', "NAME", 0,
	  "Where the secret is: kmod, memfd_secret or mlock; without it, the best", 0 },
	{ "ordinary", KEY_ORDINARY, NULL, 0,
	  "The control: put the secret in ordinary memory, where it must be seen leaving",
	  0 },
	{ "swap-file", KEY_SWAP_FILE, "DIR", 0,
	  "Where a temporary swap file may be made, if swap has no room", 0 },
	{ "no-swap-file", KEY_NO_SWAP_FILE, NULL, 0, "Make none", 0 },
	{ "seconds", KEY_SECONDS, "N", 0, "Press for so long at most (30)", 0 },
	{ "size", KEY_SIZE, "MIB", 0, "Of decoys (16)", 0 },
	{ "verbose", 'v', NULL, 0, "Say what is done", 0 },
	{ 0 },
};

static unsigned int number_in(const char *text, unsigned int most,
			      const struct argp_state *state, const char *option)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || !number || number > most)
		argp_error(state, "%s takes a number from 1 to %u, not \"%s\"", option,
			   most, text);
	return (unsigned int)number;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct check *check = state->input;

	switch (key) {
	case 'b':
		check->backend = arg;
		break;
	case KEY_ORDINARY:
		check->ordinary = true;
		break;
	case KEY_SWAP_FILE:
		check->directory = arg;
		break;
	case KEY_NO_SWAP_FILE:
		check->no_file = true;
		break;
	case KEY_SECONDS:
		check->seconds = number_in(arg, 3600, state, "--seconds");
		break;
	case KEY_SIZE:
		check->decoys = number_in(arg, 4096, state, "--size") * MIB_PAGES;
		break;
	case 'v':
		check->verbose = true;
		break;
	case ARGP_KEY_END:
		if (check->directory && check->no_file)
			argp_error(state,
				   "--swap-file and --no-swap-file exclude each other");
		if (check->backend && check->ordinary)
			argp_error(state, "--backend and --ordinary exclude each other");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void tell(const struct check *check, const char *what)
{
	if (check->verbose)
		complain("%s", what);
	else
		progress("%s", what);
}

/* What watches. It is there before anything is done that it could see. */
struct probes {
	struct layout layout;
	struct frames *frames;
	struct swap_probe *swap;
};

static int open_probes(struct check *check, struct probes *probes)
{
	const char *why = NULL;
	int err;

	tell(check, "attaching the probe");
	err = hook_possible(&why);
	if (!err)
		err = layout_learn(&probes->layout, &why);
	if (!err)
		err = frames_open(&probes->frames, &probes->layout, &why);
	if (!err)
		err = swap_probe_open(&probes->swap, probes->frames, &why);
	if (err)
		return output_error("what leaves memory cannot be watched: %s",
				    why ? why : strerror(-err));
	check->hooks = swap_probe_hooks(probes->swap, &check->nr_hooks);
	return 0;
}

static void close_probes(struct probes *probes)
{
	swap_probe_close(probes->swap);
	frames_close(probes->frames);
}

/* There is room in swap, or is made. */
static int have_swap(struct check *check)
{
	char why[256];
	size_t i;

	if (swap_room() < ROOM(check->decoys)) {
		if (check->no_file)
			return output_error(
				"there is no swap, or no room in it, and --no-swap-file "
				"forbids to make any");
		tell(check, "making a temporary swap file");
		if (swap_file_make(check->guarded, check->directory,
				   ROOM(check->decoys) * PAGE, why, sizeof(why)))
			return output_error(
				"there is no swap with room, and none can be made: "
				"%s",
				why);
	}
	check->nr_areas = swap_areas(check->areas);
	for (i = 0; i < check->nr_areas; i++)
		check->areas[i].temporary = !strcmp(check->areas[i].name,
						    check->guarded->swap);
	check->compressed = kernel_number("/proc/meminfo", "Zswapped:");
	return 0;
}

/* What came to each area since have_swap(). */
static void count_areas(struct check *check)
{
	unsigned long long compressed = kernel_number("/proc/meminfo", "Zswapped:");
	static struct area now[AREAS_MAX];
	size_t nr = swap_areas(now), i, k;

	for (i = 0; i < check->nr_areas; i++)
		for (k = 0; k < nr; k++)
			if (!strcmp(check->areas[i].name, now[k].name))
				check->areas[i].used =
					now[k].used > check->areas[i].used ?
						now[k].used - check->areas[i].used :
						0;
	check->compressed = compressed > check->compressed ?
				    (compressed - check->compressed) * 1024 / PAGE :
				    0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many pages of the secret's are in the set of secret frames: it has as many mapped,
 * and as many frames are in the set. (It has a few more than those that are filled.)
 */
static size_t watched(const struct frames *frames, const struct subject *subject)
{
	struct frames_holder *holders = NULL;
	int nr = frames_holders(frames, &holders), i;
	struct frames_total total;
	size_t pages = 0;

	frames_total(frames, &total);
	for (i = 0; i < nr; i++)
		if (holders[i].pid == subject->pid)
			pages = smaller(holders[i].pages[0], total.kmod) +
				smaller(holders[i].pages[1], total.memfd) +
				smaller(holders[i].pages[2], total.locked);
	free(holders);
	return smaller(pages, subject->secret_pages);
}

/* Of a page that was locked only once, the set may not know yet that it no longer is. */
static int confirm(void *probe, void *event, size_t size)
{
	(void)size;
	swap_probe_confirm(probe, event);
	return 0;
}

static int count_pages(struct check *check, struct probes *probes)
{
	struct ring_buffer *ring = ring_buffer__new(swap_probe_ring(probes->swap),
						    confirm, probes->swap, NULL);
	int err = ring ? ring_buffer__consume(ring) : -errno;

	if (err >= 0)
		err = swap_probe_counts(probes->swap, &check->counts);
	ring_buffer__free(ring);
	return err;
}

static int step(struct check *check, enum subject_step step, const char *what)
{
	tell(check, what);
	if (!subject_step(check, step, STEP_MS))
		return 0;
	return output_error("%s", check->subject->failed);
}

static int run(struct check *check, struct probes *probes)
{
	int err;

	cgroup_make(&check->pressure, check->guarded);
	check->subject = subject_start(check, probes->frames);
	if (!check->subject)
		return output_error("no process for the secret: %s", strerror(errno));
	if (step(check, SUBJECT_FILL, "making a secret and decoys"))
		return STATUS_UNKNOWN;
	if (!check->ordinary) {
		err = frames_refresh(probes->frames, check->subject->pid);
		if (err)
			return output_error("the secret's frames cannot be found: %s",
					    strerror(-err));
		check->watched = watched(probes->frames, check->subject);
	}
	if (step(check, SUBJECT_MARK, "marking the decoys"))
		return STATUS_UNKNOWN;
	if (check->ordinary)
		check->watched = check->subject->marked - check->subject->decoys;

	if (check->subject->level == LETHE_LEVEL_UNMAPPED) {
		tell(check, "asking what the kernel can read");
		check_directmap(check, probes->frames);
	}
	tell(check, "pressing memory");
	err = press(check);
	if (err && err != -ETIMEDOUT)
		return output_error("what has left cannot be seen: %s", strerror(-err));
	count_areas(check);
	if (step(check, SUBJECT_VERIFY, "reading all of it again"))
		return STATUS_UNKNOWN;
	err = count_pages(check, probes);
	if (err)
		return output_error("the probe does not say what it counted: %s",
				    strerror(-err));
	return 0;
}

static int guarded_run(struct check *check, struct probes *probes)
{
	enum status status;

	if (have_swap(check) || run(check, probes))
		return STATUS_UNKNOWN;
	status = check_verdict(check);
	check_print(check, status);
	return status;
}

int check_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Does this machine keep secret pages out of swap? Tried, in less than a minute.\v"
		       "A process with a secret in secret pages and decoys in ordinary ones is pressed, in "
		       "a memory cgroup of its own, until all of its ordinary pages have left. The exit "
		       "status is 0 if the decoys were seen leaving and the secret was not; 1 if the secret "
		       "was; 2 if it could not be told.",
	};
	struct check check = { .seconds = 30, .decoys = 16 * MIB_PAGES };
	struct probes probes = { 0 };
	int status;

	output_parse(&argp, argc, argv, &check);
	output_begin("check");
	/* Where it mounts something, the guard has to see that. */
	cgroup_find(&check.pressure);
	check.guarded = guard_start();
	if (!check.guarded)
		return output_end(
			output_error("there can be no guard, so nothing is done: %s",
				     strerror(errno)));
	status = open_probes(&check, &probes);
	if (!status)
		status = guarded_run(&check, &probes);
	subject_end(&check);
	close_probes(&probes);
	tell(&check, "undoing it");
	if (!guard_end())
		status = output_error("not all could be undone");
	return output_end(status);
}
