// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What an event is, and what all of them together are: clean, a violation, or not to
 * be told. Nothing is called clean of which something was not seen.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "lethectl.h"
#include "swap.h"
#include "watch.h"

/*
 * The kernel refuses page by page: of what it lets nobody have, a call that returned
 * less than it asked for got none. What is only locked it may have got.
 */
bool watch_refused(const struct event *event)
{
	if (event->result < 0)
		return true;
	return event->kind & (FRAME_KMOD | FRAME_MEMFD) &&
	       (unsigned long long)event->result < event->length &&
	       event->how != ACCESS_BPF && event->how != ACCESS_PTRACE;
}

static enum watch_judgement judge_access(const struct event *event)
{
	bool own = event->target && event->target == event->pid;

	if (watch_refused(event))
		return WATCH_NOTED;
	switch (event->how) {
	case ACCESS_ATTACH:
	case ACCESS_PERF:
		/*
		 * Who attached to a process, sampled its stack or had its core was given
		 * registers and a hold on it; which bytes that was no probe sees.
		 */
		return own ? WATCH_NOTED : WATCH_DOUBT;
	case ACCESS_CORE:
		/* In whose stead is not known: it is the process itself that dumps. */
		return WATCH_DOUBT;
	case ACCESS_BPF:
		/* Likewise. */
		return event->kind & FRAME_SECRET ? WATCH_VIOLATION : WATCH_NOTED;
	default:
		return !own && event->kind & FRAME_SECRET ? WATCH_VIOLATION : WATCH_NOTED;
	}
}

static enum watch_judgement judge(struct watch *watch, const struct event *event)
{
	pid_t target = event->target;

	if (event->what == EVENT_LEAVING && !target)
		target = event->pid;
	if (watch->pid && target && target != watch->pid)
		return WATCH_OTHERS;
	switch (event->what) {
	case EVENT_SWAP:
		if (!(event->kind & FRAME_SECRET))
			return WATCH_OTHERS;
		/* It is not in what is counted from here on; in what was, it is. */
		if (!swap_probe_confirm(watch->probes[WATCH_SWAP], event)) {
			watch->outdated++;
			return WATCH_OTHERS;
		}
		/* Somebody's: perhaps of whom is watched. */
		return watch->pid && !target ? WATCH_DOUBT : WATCH_VIOLATION;
	case EVENT_ACCESS:
		return judge_access(event);
	case EVENT_LEAVING:
		return WATCH_NOTED;
	default:
		return WATCH_OTHERS;
	}
}

enum watch_judgement watch_judge(struct watch *watch, const struct event *event)
{
	enum watch_judgement judgement = judge(watch, event);
	enum watch_probe probe = watch_probe_of(event);

	if (judgement == WATCH_OTHERS)
		return judgement;
	if (event->how < WATCH_WAYS)
		watch->told[probe][event->how]++;
	watch->doubts += judgement == WATCH_DOUBT;
	if (judgement == WATCH_VIOLATION && probe == WATCH_SWAP)
		watch->left++;
	else if (judgement == WATCH_VIOLATION)
		watch->granted++;
	return judgement;
}

void watch_count(struct watch *watch)
{
	int i;

	watch->outdated = 0;
	for (i = 0; i < WATCH_PROBES; i++)
		if (watch->probes[i] &&
		    watch_kinds[i].counts(watch->probes[i], &watch->counts[i]))
			watch->failed = true;
	frames_total(watch->frames, &watch->frames_total);
	/* One process alone is looked into, and whether that went well is known. */
	if (!watch->pid && watch->frames_total.unreadable > watch->unreadable)
		watch->unreadable = watch->frames_total.unreadable;
}

static unsigned long long sum(const unsigned long long *ways)
{
	unsigned long long all = 0;
	int i;

	for (i = 0; i < WATCH_WAYS; i++)
		all += ways[i];
	return all;
}

const char *watch_number(unsigned long long number)
{
	static char texts[8][32];
	static unsigned int turn;
	char *at = texts[turn++ % 8] + sizeof(texts[0]) - 1;
	int digits = 0;

	*at = '\0';
	do {
		if (digits && digits % 3 == 0)
			*--at = ',';
		*--at = (char)('0' + number % 10);
		digits++;
	} while (number /= 10);
	return at;
}

/* Text that grows as far as there is room. */
struct text {
	char *at;
	size_t room;
	const char *between;
};

static void __attribute__((format(printf, 2, 3)))
put(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(text->at, text->room, "%s", text->between);
	text->between = "; ";
	if (n < 0 || (size_t)n >= text->room)
		return;
	text->at += n;
	text->room -= (size_t)n;
	va_start(args, format);
	n = vsnprintf(text->at, text->room, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= text->room)
		n = (int)text->room - 1;
	text->at += n;
	text->room -= (size_t)n;
}

static struct text text_in(char *room, size_t length)
{
	room[0] = '\0';
	return (struct text){ room, length, "" };
}

/* Of everybody's the probe's own count is heeded: it does not lose any. */
static unsigned long long secrets_that_left(const struct watch *watch)
{
	unsigned long long all = sum(watch->counts[WATCH_SWAP].marked);

	if (watch->pid || all < watch->outdated)
		return watch->left;
	return all - watch->outdated;
}

void watch_total(const struct watch *watch, char *room, size_t length)
{
	struct text text = text_in(room, length);
	const struct watch_counts *counts = watch->counts;
	unsigned long long lost = 0;
	int i;

	for (i = 0; i < WATCH_PROBES; i++)
		lost += counts[i].lost;
	if (watch->probes[WATCH_SWAP])
		put(&text, "%s of %s pages that left were secret%s",
		    watch_number(secrets_that_left(watch)),
		    watch_number(sum(counts[WATCH_SWAP].all)),
		    watch->pid ? " and its own" : "");
	if (watch->probes[WATCH_ACCESS])
		put(&text, "%s of %s attempts%s got at secret pages",
		    watch_number(watch->granted),
		    watch_number(watch->pid ? sum(watch->told[WATCH_ACCESS]) :
					      sum(counts[WATCH_ACCESS].all)),
		    watch->pid ? " on it" : "");
	if (watch->probes[WATCH_LEAVING])
		put(&text, "%s of %s calls gave secret pages away",
		    watch_number(watch->pid ? sum(watch->told[WATCH_LEAVING]) :
					      sum(counts[WATCH_LEAVING].marked)),
		    watch_number(sum(counts[WATCH_LEAVING].all)));
	if (sum(counts[WATCH_LEAVING].unjudged))
		put(&text, "%s calls not judged",
		    watch_number(sum(counts[WATCH_LEAVING].unjudged)));
	if (lost)
		put(&text, "%s events lost", watch_number(lost));
}

int watch_verdict(const struct watch *watch, char *why, size_t room)
{
	struct text text = text_in(why, room);
	unsigned long long secrets = secrets_that_left(watch), n;
	int i;

	if (secrets)
		put(&text, "%s secret pages left", watch_number(secrets));
	if (watch->granted)
		put(&text, "%s accesses were not refused", watch_number(watch->granted));
	if (secrets || watch->granted)
		return STATUS_FOUND;
	for (i = 0; i < WATCH_PROBES; i++) {
		if (watch->counts[i].lost)
			put(&text, "%s events of %s lost",
			    watch_number(watch->counts[i].lost), watch_kinds[i].name);
		if (watch->wanted & 1U << i && !watch->probes[i])
			put(&text, "nothing of %s seen", watch_kinds[i].name);
	}
	/* Of calls it is no matter: what they do is allowed. */
	n = sum(watch->counts[WATCH_SWAP].unjudged);
	if (n)
		put(&text, "%s pages that left not judged", watch_number(n));
	if (watch->failed)
		put(&text, "a probe was lost");
	if (watch->doubts)
		put(&text,
		    "%s times something was not refused, and what it took is not seen",
		    watch_number(watch->doubts));
	if (watch->unreadable)
		put(&text, "%u processes could not be looked into", watch->unreadable);
	if (watch->metrics_failed)
		put(&text, "%s was not always written", watch->metrics);
	if (watch->output_failed)
		put(&text, "lines did not arrive");
	return text.between[0] ? STATUS_UNKNOWN : STATUS_CLEAN;
}
