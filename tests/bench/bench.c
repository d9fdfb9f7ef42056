// SPDX-License-Identifier: MIT
/*
 * What sections cost, beside Go's runtime/secret, and guarded buffers, beside libsodium's:
 * every case of both once a round, so that a busy machine slows all of them. Prints one
 * line for each metric.
 *
 *	bench PEER WHY [ROUNDS SLICES]
 *
 * PEER is go/, built; if it is missing, the file WHY says why. Few rounds of few
 * slices show that all works; what they measure is worth nothing.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../selftests/tap.h"
#include "buffer.h"
#include "cases.h"
#include "peer.h"
#include "redirect.h"
#include "stack.h"

#define KIB 1024
/* For a frame of 64 KiB, and what is round it. */
#define ROUND_FRAME (72 * KIB)
#define THREADS_NS 20000000ULL
/* So many that looking at the clock does not count. */
#define AT_A_TIME 500

/* What is measured: ours by these functions, a peer's by name and size of stack. */
struct subject {
	void (*op)(void *);
	way plain, section;
	struct lethe_options options;
	const char *peers;
	unsigned int peers_kib;
	unsigned int slices, ops;
	struct series plainly, in_section, added, percent;
};

#define OPTIONS(f, s)                                                                 \
	{                                                                             \
		.size = sizeof(struct lethe_options), .flags = (f), .stack_size = (s) \
	}
#define SECTION(o, f, s, n, m)                                              \
	{                                                                   \
		.op = (o), .plain = run_plainly, .section = run_in_section, \
		.options = OPTIONS(f, s), .slices = (n), .ops = (m)         \
	}
#define DEEP(f, s, n, m)                                                              \
	{                                                                             \
		.op = do_nothing, .plain = run_deep, .section = run_deep_in_sections, \
		.options = OPTIONS(f, s), .slices = (n), .ops = (m)                   \
	}
#define THREAD(f)                                                           \
	{                                                                   \
		.op = do_nothing, .plain = run_in_thread,                   \
		.section = run_in_thread_section, .options = OPTIONS(f, 0), \
		.slices = 51, .ops = 4                                      \
	}
#define PEER(p, k, n, m)                                                  \
	{                                                                 \
		.peers = (p), .peers_kib = (k), .slices = (n), .ops = (m) \
	}

enum {
	EMPTY_8K,
	EMPTY,
	READ_8K,
	READ,
	EMPTY_DEFAULT_8K,
	EMPTY_DEFAULT,
	DEEP_8K,
	DEEP_256K,
	THREAD_FAST,
	THREAD_DEFAULT,
	TOUCH_8K,
	TOUCH,
	FRAME_72K,
	FRAME,
	EXCHANGE_32K,
	EXCHANGE,
	EXCHANGE_DEFAULT_32K,
	EXCHANGE_DEFAULT,
	GO_EMPTY,
	GO_EMPTY_8K,
	GO_EMPTY_256K,
	GO_DEEP,
	GO_DEEP_256K,
	GO_TOUCH,
	GO_FRAME,
	GO_EXCHANGE,
	SUBJECTS
};

static struct subject subjects[SUBJECTS] = {
	[EMPTY_8K] = SECTION(do_nothing, LETHE_FAST, 8 * KIB, 101, 512),
	[EMPTY] = SECTION(do_nothing, LETHE_FAST, 0, 101, 32),
	/* Plainly, both times. */
	[READ_8K] = { .op = do_read_8k,
		      .plain = run_plainly,
		      .section = run_plainly,
		      .slices = 101,
		      .ops = 128 },
	[READ] = { .op = do_read_256k,
		   .plain = run_plainly,
		   .section = run_plainly,
		   .slices = 101,
		   .ops = 32 },
	[EMPTY_DEFAULT_8K] = SECTION(do_nothing, 0, 8 * KIB, 101, 64),
	[EMPTY_DEFAULT] = SECTION(do_nothing, 0, 0, 101, 32),
	[DEEP_8K] = DEEP(LETHE_FAST, 8 * KIB, 101, 128),
	[DEEP_256K] = DEEP(LETHE_FAST, 0, 101, 32),
	[THREAD_FAST] = THREAD(LETHE_FAST),
	[THREAD_DEFAULT] = THREAD(0),
	[TOUCH_8K] = SECTION(do_touch, LETHE_FAST, 8 * KIB, 101, 128),
	[TOUCH] = SECTION(do_touch, LETHE_FAST, 0, 101, 32),
	[FRAME_72K] = SECTION(do_frame, LETHE_FAST, ROUND_FRAME, 101, 32),
	[FRAME] = SECTION(do_frame, LETHE_FAST, 0, 101, 32),
	[EXCHANGE_32K] = SECTION(do_exchange, LETHE_FAST, 32 * KIB, 31, 4),
	[EXCHANGE] = SECTION(do_exchange, LETHE_FAST, 0, 31, 4),
	[EXCHANGE_DEFAULT_32K] = SECTION(do_exchange, 0, 32 * KIB, 31, 4),
	[EXCHANGE_DEFAULT] = SECTION(do_exchange, 0, 0, 31, 4),
	[GO_EMPTY] = PEER("empty", 0, 101, 512),
	[GO_EMPTY_8K] = PEER("empty", 8, 101, 512),
	[GO_EMPTY_256K] = PEER("empty", 256, 101, 32),
	[GO_DEEP] = PEER("deep", 0, 101, 64),
	[GO_DEEP_256K] = PEER("deep", 256, 51, 8),
	[GO_TOUCH] = PEER("touch", 0, 101, 128),
	[GO_FRAME] = PEER("frame", 0, 101, 32),
	[GO_EXCHANGE] = PEER("exchange", 0, 31, 4),
};

/* What of a subject is compared. */
#define TIME offsetof(struct subject, in_section)
#define ADDED offsetof(struct subject, added)
#define PERCENT offsetof(struct subject, percent)

static const struct metric {
	const char *name, *unit;
	unsigned int ours, peer;
	const char *peer_name;
	size_t what;
	double goal; /* ours to the peer's, or ours in percent; 0: none */
} metrics[] = {
	{ "empty section, LETHE_FAST, 8 KiB stack", "ns", EMPTY_8K, GO_EMPTY, "secret.Do",
	  TIME, 1 },
	{ "empty section, LETHE_FAST, 8 KiB stack on both", "ns", EMPTY_8K, GO_EMPTY_8K,
	  "secret.Do, 8 KiB", TIME, 1 },
	{ "empty section, LETHE_FAST, 256 KiB stack", "ns", EMPTY, GO_EMPTY, "secret.Do",
	  TIME, 1 },
	{ "empty section, LETHE_FAST, 256 KiB stack on both", "ns", EMPTY, GO_EMPTY_256K,
	  "secret.Do, 256 KiB", TIME, 1 },
	{ "beside it: 8 KiB looked through by memchr()", "ns", READ_8K, GO_EMPTY,
	  "secret.Do", TIME, 0 },
	{ "beside it: 256 KiB looked through by memchr()", "ns", READ, GO_EMPTY_256K,
	  "secret.Do, 256 KiB", TIME, 0 },
	{ "empty section, default, 8 KiB stack", "ns", EMPTY_DEFAULT_8K, GO_EMPTY,
	  "secret.Do", TIME, 0 },
	{ "empty section, default, 256 KiB stack", "ns", EMPTY_DEFAULT, GO_EMPTY_256K,
	  "secret.Do, 256 KiB", TIME, 0 },
	{ "8 deep, LETHE_FAST, 8 KiB stack", "ns", DEEP_8K, GO_DEEP, "secret.Do, 8 deep",
	  TIME, 1 },
	{ "8 deep, LETHE_FAST, 256 KiB stack", "ns", DEEP_256K, GO_DEEP,
	  "secret.Do, 8 deep", TIME, 1 },
	{ "8 deep, LETHE_FAST, 256 KiB stack on both", "ns", DEEP_256K, GO_DEEP_256K,
	  "secret.Do, 256 KiB", TIME, 1 },
	{ "4 KiB of stack touched adds, 8 KiB stack", "ns", TOUCH_8K, GO_TOUCH,
	  "secret.Do", ADDED, 1 },
	{ "4 KiB of stack touched adds, 256 KiB stack", "ns", TOUCH, GO_TOUCH,
	  "secret.Do", ADDED, 1 },
	{ "64 KiB frame, a byte a page, adds, 72 KiB stack", "ns", FRAME_72K, GO_FRAME,
	  "secret.Do", ADDED, 0.5 },
	{ "64 KiB frame, a byte a page, adds, 256 KiB stack", "ns", FRAME, GO_FRAME,
	  "secret.Do", ADDED, 0.5 },
	{ "exchange, LETHE_FAST, 32 KiB stack, adds", "%", EXCHANGE_32K, GO_EXCHANGE,
	  "secret.Do", PERCENT, 1 },
	{ "exchange, LETHE_FAST, 256 KiB stack, adds", "%", EXCHANGE, GO_EXCHANGE,
	  "secret.Do", PERCENT, 1 },
	{ "exchange, default, 32 KiB stack, adds", "%", EXCHANGE_DEFAULT_32K, GO_EXCHANGE,
	  "secret.Do", PERCENT, 1 },
	{ "exchange, default, 256 KiB stack, adds", "%", EXCHANGE_DEFAULT, GO_EXCHANGE,
	  "secret.Do", PERCENT, 1 },
};

static unsigned int slices_at_most = SLICES_MAX;

static void measure(struct subject *subject, struct peer *peer, unsigned int round)
{
	unsigned int nr = subject->slices;
	struct taken taken;

	if (nr > slices_at_most)
		nr = slices_at_most;
	if (!subject->peers)
		taken = take(subject->op, subject->plain, subject->section,
			     &subject->options, nr, subject->ops);
	else if (!peer->missing)
		taken = peer_ask(peer, subject->peers, subject->peers_kib, nr,
				 subject->ops);
	else
		return;
	subject->plainly.at[round] = taken.plain;
	subject->in_section.at[round] = taken.section;
	subject->added.at[round] = taken.added;
	subject->percent.at[round] = taken.added / taken.plain * 100;
}

static const struct series *series_of(const struct subject *subject, size_t what)
{
	return (const struct series *)((const char *)subject + what);
}

static void print_metric(const struct metric *metric, const struct peer *peer)
{
	const struct series *ours = series_of(&subjects[metric->ours], metric->what);
	const struct series *peers = series_of(&subjects[metric->peer], metric->what);
	double ratio = median(ours) / median(peers);
	bool percent = metric->what == PERCENT;
	const char *met = "-";
	char goal[32] = "-", missing[300];

	if (metric->goal) {
		snprintf(goal, sizeof(goal), percent ? "<= %g %%" : "<= %g",
			 metric->goal);
		if (percent || !peer->missing)
			met = (percent ? median(ours) : ratio) <= metric->goal ? "yes" :
										 "no";
	}
	if (peer->missing) {
		snprintf(missing, sizeof(missing), "%s missing: %s", metric->peer_name,
			 peer->missing);
		row_alone(metric->name, metric->unit, ours, missing, goal, met);
	} else {
		row(metric->name, metric->unit, ours, peers, metric->peer_name, ratio,
		    goal, met);
	}
}

/* Ours is what the section adds, in microseconds; the peer, the thread without. */
static void print_thread(const char *name, const struct subject *subject)
{
	struct series ours = subject->added, peer = subject->plainly;

	for (unsigned int round = 0; round < rounds; round++) {
		ours.at[round] /= 1000;
		peer.at[round] /= 1000;
	}
	row(name, "us", &ours, &peer, "the thread without", median(&ours) / median(&peer),
	    "< 50 us", median(&ours) < 50 ? "yes" : "no");
}

static const struct lethe_options small = OPTIONS(LETHE_FAST, 8 * KIB);
static const struct lethe_options usual = OPTIONS(LETHE_FAST, 0);

static void some_small(void)
{
	for (unsigned int i = 0; i < AT_A_TIME; i++)
		run_in_section(do_nothing, &small);
}

static void some_usual(void)
{
	for (unsigned int i = 0; i < AT_A_TIME; i++)
		run_in_section(do_nothing, &usual);
}

static void some_default(void)
{
	for (unsigned int i = 0; i < AT_A_TIME; i++)
		run_in_section(do_nothing, NULL);
}

/* What two CPUs of this machine are worth, where nothing is shared. */
static void some_plain(void)
{
	for (unsigned int i = 0; i < 20 * AT_A_TIME; i++)
		run_plainly(do_nothing, NULL);
}

static struct in_threads {
	const char *name;
	void (*work)(void);
	double goal, each;
	struct series one, two, ratio;
} in_threads[] = {
	{ .name = "2 threads, LETHE_FAST, 8 KiB stack", some_small, 1.9, AT_A_TIME },
	{ .name = "2 threads, LETHE_FAST, 256 KiB stack", some_usual, 1.9, AT_A_TIME },
	{ .name = "2 threads, default", some_default, 1.9, AT_A_TIME },
	{ .name = "2 threads that call a function", some_plain, 0, 20 * AT_A_TIME },
};

#define IN_THREADS (sizeof(in_threads) / sizeof(in_threads[0]))

static void measure_threads(struct in_threads *t, unsigned int round)
{
	t->one.at[round] = throughput(t->work, 1, THREADS_NS) * t->each;
	t->two.at[round] = throughput(t->work, 2, THREADS_NS) * t->each;
	t->ratio.at[round] = t->two.at[round] / t->one.at[round];
}

static void print_threads(const struct in_threads *t)
{
	double ratio = median(&t->ratio);

	if (t->goal)
		at_least(t->name, "a second", &t->two, &t->one, "1 thread", ratio,
			 t->goal);
	else
		row(t->name, "a second", &t->two, &t->one, "1 thread", ratio, "-", "-");
}

int main(int argc, char **argv)
{
	struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };
	struct peer peer;
	size_t i;

	if (argc != 3 && argc != 5)
		tap_bail("usage: bench PEER WHY [ROUNDS SLICES]");
	rounds = argc == 5 ? strtoul(argv[3], NULL, 10) : 21;
	if (argc == 5)
		slices_at_most = strtoul(argv[4], NULL, 10);
	if (!rounds || rounds > ROUNDS_MAX || !slices_at_most ||
	    slices_at_most > SLICES_MAX)
		tap_bail("1 to %d rounds, 1 to %d slices", ROUNDS_MAX, SLICES_MAX);
	/* Where it may be raised; what is needed is less than the usual limit. */
	setrlimit(RLIMIT_MEMLOCK, &locked);

	peer = peer_start(argv[1], argv[2]);
	for (unsigned int round = 0; round < rounds; round++) {
		for (i = 0; i < SUBJECTS; i++)
			measure(&subjects[i], &peer, round);
		for (i = 0; i < IN_THREADS; i++)
			measure_threads(&in_threads[i], round);
		measure_stacks(round);
		measure_redirect(round, slices_at_most < 51 ? slices_at_most : 51);
		measure_buffers(round, slices_at_most);
	}
	print_header();
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(&metrics[i], &peer);
	print_thread("first section of a thread, LETHE_FAST, adds",
		     &subjects[THREAD_FAST]);
	print_thread("first section of a thread, default, adds",
		     &subjects[THREAD_DEFAULT]);
	for (i = 0; i < IN_THREADS; i++)
		print_threads(&in_threads[i]);
	print_stacks();
	print_redirect();
	print_buffers();
	peer_end(&peer);
	return 0;
}
