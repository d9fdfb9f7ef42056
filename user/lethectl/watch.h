/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of lethectl watch know of each other: the probes in one shape, what
 * is made of an event, where lines go, and the verdict.
 */
#ifndef LETHECTL_WATCH_H
#define LETHECTL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "event.h"
#include "frames.h"

enum watch_probe { WATCH_SWAP, WATCH_ACCESS, WATCH_LEAVING, WATCH_PROBES };
#define WATCH_WAYS 8

/**
 * struct watch_counts - what a probe counted, whichever it is
 * @all: pages that left, attempts, or calls that give a buffer away
 * @marked: of them: secret pages; attempts that were refused; calls on secret pages
 * @unjudged: of them, of which that is not known
 * @lost: events for which there was no room
 */
struct watch_counts {
	unsigned long long all[WATCH_WAYS], marked[WATCH_WAYS], unjudged[WATCH_WAYS],
		lost;
};

/**
 * struct watch_kind - one of the probes
 * @name: as --only has it
 * @ways: how many it tells apart
 * @way_names: of them
 * @open: all as the functions of its header
 */
struct watch_kind {
	const char *name;
	size_t ways;
	const char *const *way_names;
	int (*open)(void **probe, struct frames *frames, const char **why);
	const struct hook *(*hooks)(const void *probe, size_t *nr);
	int (*counts)(const void *probe, struct watch_counts *counts);
	int (*ring)(const void *probe);
	void (*close)(void *probe);
};

/* watch_probe.c */
extern const struct watch_kind watch_kinds[WATCH_PROBES];

/**
 * enum watch_judgement - what an event is, to who watches
 * @WATCH_OTHERS: not of whom is watched: not told
 * @WATCH_NOTED: told, and no violation
 * @WATCH_DOUBT: something that was not refused, and what it took is not seen
 * @WATCH_VIOLATION: secret bytes are, or may be, where they must not
 */
enum watch_judgement { WATCH_OTHERS, WATCH_NOTED, WATCH_DOUBT, WATCH_VIOLATION };

/**
 * struct watch - a run of it
 * @pid: whose pages alone are of interest; 0 is everybody's
 * @metrics: file for the collector, or NULL
 * @seconds: after which it ends; 0 is never
 * @interval: seconds between two totals
 * @json: objects, not lines
 * @verbose: tells of holders that come and go
 * @wanted: a bit for each probe that was asked for
 * @frames: the set of secret frames
 * @probes: those that are open, else NULL
 * @why_not: why one is not
 * @counts: as they were last read
 * @frames_total: likewise
 * @told: events by probe and way that were of interest
 * @left: of them, secret pages that left
 * @granted: of them, accesses that were not refused
 * @doubts: of them
 * @outdated: pages in @counts that were taken for secret, and were so no longer
 * @unreadable: most processes at a time that could not be looked into
 * @failed: a probe could not be had, or was lost
 * @metrics_failed: a file of metrics was not written
 * @output_failed: lines did not arrive
 * @clock: what makes CLOCK_REALTIME of CLOCK_MONOTONIC, ns
 * @began: CLOCK_MONOTONIC, ns
 */
struct watch {
	pid_t pid;
	const char *metrics;
	double seconds, interval;
	bool json, verbose;
	unsigned int wanted;
	struct frames *frames;
	void *probes[WATCH_PROBES];
	char *why_not[WATCH_PROBES];
	struct watch_counts counts[WATCH_PROBES];
	struct frames_total frames_total;
	unsigned long long told[WATCH_PROBES][WATCH_WAYS];
	unsigned long long left, granted, doubts, outdated;
	unsigned int unreadable;
	bool failed, metrics_failed, output_failed;
	long long clock;
	unsigned long long began;
};

unsigned long long watch_now(void);
/* Which probe says it; WATCH_PROBES: none. */
enum watch_probe watch_probe_of(const struct event *event);
const char *watch_way(const struct event *event);

/* watch_verdict.c: judges an event, and counts it. */
enum watch_judgement watch_judge(struct watch *watch, const struct event *event);
/* Of an access: did the kernel refuse it, or it come to nothing? */
bool watch_refused(const struct event *event);
/* Reads the counts of all that is open anew. */
void watch_count(struct watch *watch);
/* enum status; and why, clauses separated by "; ", in @why where it is not clean. */
int watch_verdict(const struct watch *watch, char *why, size_t room);
/* "0 of 48,211 pages that left were secret; ..." */
void watch_total(const struct watch *watch, char *room, size_t length);
/* A number as people read it, in one of a few buffers that are used in turn. */
const char *watch_number(unsigned long long number);

/* watch_process.c: who a pid is, and what an address in it is; of what is remembered
 * of a few processes. "" where it is not known. */
const char *watch_command(pid_t pid);
/* The mapping that @address is in, and where in its file; or NULL. */
const char *watch_mapping(pid_t pid, unsigned long long address,
			  unsigned long long *offset);
void watch_forget(void);

/* watch_line.c: the event as a line, with its newline, in @line. How long it is. */
#define WATCH_LINE 8192
size_t watch_line(const struct watch *watch, const struct event *event,
		  enum watch_judgement judgement, char *line);

/* watch_out.c: stdout, which never makes the probes wait. */
int watch_out_open(bool json);
bool watch_out_terminal(void);
/* False: a terminal has had enough of its like, and it is counted. */
bool watch_out_wants(const struct event *event);
void watch_out_text(const char *text, size_t length);
void watch_out_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last line of a terminal; and before something else is written there. */
void watch_out_total(const char *text);
void watch_out_erase(void);
/* Once an interval: says how many of each kind were left out. */
void watch_out_tick(void);
/* Is there something to be written; is there so much that nothing more should come? */
bool watch_out_pending(void);
bool watch_out_full(void);
int watch_out_fd(void);
/* Writes what can be without waiting. 0, or -errno for good. */
int watch_out_flush(void);
/* Writes all, waiting for it as long as @ms. 0 or -errno. */
int watch_out_close(int ms);

/* watch_metrics.c: 0, or -errno; nothing is left but the file, old or new. */
int watch_metrics(const struct watch *watch, bool running);
/* Is it one that a new file may be put in place of? 0 or -errno. */
int watch_metrics_check(const char *path);

/* watch_target.c: a descriptor of the process that becomes readable as it ends; or
 * -errno, and it was complained of. */
int watch_target(pid_t pid);

/* watch_loop.c: until it ends. Why it did: */
enum watch_end {
	WATCH_ASKED = 1, /* by a signal: the usual end */
	WATCH_TIME,      /* --seconds */
	WATCH_GONE,      /* the process of --pid */
	WATCH_HANGUP,    /* the terminal */
	WATCH_OUTPUT,    /* nobody reads, or there is no room */
	WATCH_FAILED,
};
/* A descriptor of the signals that end it, or -1: from here on they wait. */
int watch_signals(void);
void watch_signals_end(int signals);
enum watch_end watch_loop(struct watch *watch, int signals, int target);
void watch_save_metrics(struct watch *watch, bool running);

/* watch_said.c: what is said beside events. */
void watch_say_hooks(const struct watch *watch);
void watch_say_holders(const struct watch *watch);
void watch_say_verdict(const struct watch *watch, enum watch_end end, int status,
		       const char *why);

#endif /* LETHECTL_WATCH_H */
