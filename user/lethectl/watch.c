// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl watch: the probes live. A line an event, a total, and at the end a verdict;
 * here is what it is asked for, and what is opened and closed. Whatever way it ends,
 * the probes end with it: they are its descriptors, and nothing else holds them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hook.h"
#include "layout.h"
#include "lethectl.h"
#include "output.h"
#include "watch.h"

enum { KEY_METRICS = 256, KEY_SECONDS, KEY_INTERVAL, KEY_ONLY };

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "Watch the pages of this process alone, until it is gone",
	  0 },
	{ "metrics", KEY_METRICS, "FILE", 0,
	  "Keep the counts in FILE, for the textfile collector of node_exporter", 0 },
	{ "seconds", KEY_SECONDS, "N", 0, "End after N seconds", 0 },
	{ "interval", KEY_INTERVAL, "S", 0,
	  "Seconds from one total, and FILE, to the next (1)", 0 },
	{ "only", KEY_ONLY, "LIST", 0, "Of swap,access,leaving watch these", 0 },
	{ "verbose", 'v', NULL, 0,
	  "Tell of processes that come to hold secret pages, or hold none any more", 0 },
	{ 0 },
};

/* The largest pid that there can be, and as many seconds as anybody means. */
#define PID_LARGEST 4194304
#define SECONDS_MOST 1e8

static double parse_seconds(struct argp_state *state, const char *name, const char *text,
			    double least)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds < least ||
	    seconds > SECONDS_MOST)
		argp_error(state, "--%s \"%s\": not a number of seconds from %g to %g",
			   name, text, least, SECONDS_MOST);
	return seconds;
}

static pid_t parse_pid(struct argp_state *state, const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno || end == text || *end || pid < 1 || pid > PID_LARGEST)
		argp_error(state, "--pid \"%s\": not a pid", text);
	return (pid_t)pid;
}

static unsigned int parse_only(struct argp_state *state, const char *text)
{
	unsigned int wanted = 0;
	size_t length;
	int i;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		for (i = 0; i < WATCH_PROBES; i++)
			if (strlen(watch_kinds[i].name) == length &&
			    !strncmp(watch_kinds[i].name, text, length))
				break;
		if (i == WATCH_PROBES)
			argp_error(state,
				   "--only: \"%.*s\" is none of swap, access, leaving",
				   (int)length, text);
		wanted |= 1U << i;
		if (!text[length])
			return wanted;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct watch *watch = state->input;

	switch (key) {
	case 'p':
		watch->pid = parse_pid(state, arg);
		break;
	case KEY_METRICS:
		watch->metrics = arg;
		break;
	case KEY_SECONDS:
		watch->seconds = parse_seconds(state, "seconds", arg, 0.001);
		break;
	case KEY_INTERVAL:
		watch->interval = parse_seconds(state, "interval", arg, 0.05);
		break;
	case KEY_ONLY:
		watch->wanted = parse_only(state, arg);
		break;
	case 'v':
		watch->verbose = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/*
 * Who empties a buffer that others fill has to run before they fill it again: on two
 * busy processors 4 of 4 runs at 100,000 events a second lost some without, 1 with.
 */
#define NICE (-10)

static void set_clock(struct watch *watch)
{
	struct timespec real;

	watch->began = watch_now();
	clock_gettime(CLOCK_REALTIME, &real);
	watch->clock = real.tv_sec * 1000000000LL + real.tv_nsec - (long long)watch_now();
}

/* 0, or it was said why not. */
static int open_frames(struct watch *watch, struct layout *layout)
{
	const char *why = NULL;
	int err = hook_possible(&why);

	if (!err)
		err = layout_learn(layout, &why);
	if (!err)
		err = frames_open(&watch->frames, layout, &why);
	if (err)
		output_error("not watched: %s", why ? why : strerror(-err));
	return err;
}

/* Those that can be had. 0, or it was said that there is none. */
static int open_probes(struct watch *watch)
{
	const char *why;
	int i, err, any = 0;

	for (i = 0; i < WATCH_PROBES; i++) {
		if (!(watch->wanted & 1U << i))
			continue;
		why = NULL;
		err = watch_kinds[i].open(&watch->probes[i], watch->frames, &why);
		if (err)
			watch->probes[i] = NULL;
		else
			any++;
		if (err)
			watch->why_not[i] = strdup(why ? why : strerror(-err));
	}
	if (any)
		return 0;
	for (i = 0; i < WATCH_PROBES; i++)
		if (watch->wanted & 1U << i)
			output_error("%s: not watched: %s", watch_kinds[i].name,
				     watch->why_not[i] ?: strerror(ENOMEM));
	return -ENOENT;
}

static void close_all(struct watch *watch)
{
	int i;

	for (i = 0; i < WATCH_PROBES; i++) {
		if (watch->probes[i])
			watch_kinds[i].close(watch->probes[i]);
		free(watch->why_not[i]);
	}
	if (watch->frames)
		frames_close(watch->frames);
	watch_forget();
}

/* Before anything is attached: what of the files and processes that it is given. */
static int check(const struct watch *watch, int *target)
{
	int err = watch->metrics ? watch_metrics_check(watch->metrics) : 0;

	if (err) {
		output_error("--metrics %s: %s", watch->metrics,
			     err == -EINVAL ? "is no plain file" : strerror(-err));
		return err;
	}
	*target = watch->pid ? watch_target(watch->pid) : -1;
	return watch->pid && *target < 0 ? *target : 0;
}

/* Watches; then says the verdict. */
static int run(struct watch *watch, int signals, int target)
{
	unsigned long long offset;
	char why[1024];
	enum watch_end end;
	int status, err;

	err = watch_out_open(watch->json);
	if (err)
		return output_error("%s", strerror(-err));
	watch_say_hooks(watch);
	watch_say_holders(watch);
	/* What it has mapped can be told of one that ends at once, too. */
	watch_mapping(watch->pid, 0, &offset);
	setpriority(PRIO_PROCESS, 0, NICE);
	end = watch_loop(watch, signals, target);
	if (end == WATCH_FAILED)
		watch->failed = true;
	if (end == WATCH_HANGUP || end == WATCH_OUTPUT)
		watch->output_failed = true;
	watch_save_metrics(watch, false);
	status = watch_verdict(watch, why, sizeof(why));
	watch_say_verdict(watch, end, status, why);
	err = watch_out_close(5000);
	/* Who does not take it in all that time does not keep this from its end. */
	watch_signals_end(signals);
	if (!err)
		return status;
	if (end != WATCH_HANGUP)
		output_error("the output is not complete: %s", strerror(-err));
	return STATUS_UNKNOWN;
}

int watch_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "See secret pages leave, attempts to get at them, and calls that give them away, as it happens.\v"
		       "It ends when it is asked to (Ctrl-C), with the process of --pid, or after --seconds. "
		       "The exit status is 0 if no secret page left and no access to one was let through, "
		       "1 if one was, 2 if that could not be told. With --json each line is an object.",
	};
	struct watch watch = { .interval = 1, .wanted = (1U << WATCH_PROBES) - 1 };
	int signals, target = -1, status = STATUS_UNKNOWN;
	struct layout layout;

	output_parse(&argp, argc, argv, &watch);
	output_begin("watch");
	output_lines();
	watch.json = output_object() != NULL;
	set_clock(&watch);
	if (check(&watch, &target))
		return output_end(STATUS_UNKNOWN);
	signals = watch_signals();
	if (signals < 0)
		output_error("signals: %s", strerror(errno));
	else if (!open_frames(&watch, &layout) && !open_probes(&watch))
		status = run(&watch, signals, target);
	close_all(&watch);
	if (target >= 0)
		close(target);
	return output_end(status);
}
