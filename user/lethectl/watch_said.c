// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What watch says beside events: with which hooks it watches and what that leaves
 * unseen, who comes to hold secret pages or holds none any more, and the verdict.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lethectl.h"
#include "output.h"
#include "watch.h"

static struct json_object *item(const char *event)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		abort();
	member_number(object, "schema", OUTPUT_SCHEMA);
	member_text(object, "verb", "watch");
	member_text(object, "event", event);
	return object;
}

static void print(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!text)
		abort();
	watch_out_text(text, strlen(text));
	watch_out_text("\n", 1);
	json_object_put(object);
}

static const struct hook *hooks_of(const struct watch *watch, int probe, size_t *nr)
{
	*nr = 0;
	if (probe == WATCH_PROBES)
		return frames_hooks(watch->frames, nr);
	if (!watch->probes[probe])
		return NULL;
	return watch_kinds[probe].hooks(watch->probes[probe], nr);
}

static const char *name_of(int probe)
{
	return probe == WATCH_PROBES ? "secret frames" : watch_kinds[probe].name;
}

static void hooks_json(const struct watch *watch)
{
	struct json_object *begin = item("begin"), *list, *object, *members, *hook;
	const struct hook *hooks;
	size_t nr, i;
	int probe;

	if (watch->pid)
		member_signed(begin, "pid", watch->pid);
	else
		member_null(begin, "pid");
	list = member_list(begin, "probes");
	for (probe = 0; probe <= WATCH_PROBES; probe++) {
		if (probe < WATCH_PROBES && !(watch->wanted & 1U << probe))
			continue;
		hooks = hooks_of(watch, probe, &nr);
		object = list_object(list);
		member_text(object, "probe",
			    probe == WATCH_PROBES ? "frames" : name_of(probe));
		member_flag(object, "open",
			    probe == WATCH_PROBES || watch->probes[probe]);
		member_text(object, "why_not",
			    probe < WATCH_PROBES && watch->why_not[probe] ?
				    watch->why_not[probe] :
				    "");
		members = member_list(object, "hooks");
		for (i = 0; i < nr; i++) {
			hook = list_object(members);
			member_text(hook, "name", hooks[i].name);
			member_text(hook, "sees", hooks[i].sees);
			member_flag(hook, "attached", hooks[i].attached);
			member_text(hook, "why_not", hooks[i].why_not);
			member_text(hook, "unseen",
				    hooks[i].attached ? "" : hooks[i].unseen);
		}
	}
	print(begin);
}

static void hooks_text(const struct watch *watch, int probe)
{
	const struct hook *hooks;
	bool any = false;
	size_t nr, i;

	hooks = hooks_of(watch, probe, &nr);
	if (probe < WATCH_PROBES && !watch->probes[probe]) {
		complain("%s: not watched: %s", name_of(probe), watch->why_not[probe]);
		return;
	}
	fprintf(stderr, "%s by", name_of(probe));
	for (i = 0; i < nr; i++) {
		if (!hooks[i].attached)
			continue;
		fprintf(stderr, "%s %s", any ? "," : "", hooks[i].name);
		any = true;
	}
	fprintf(stderr, "%s\n", any ? "" : " looking once a second");
	for (i = 0; i < nr; i++)
		if (!hooks[i].attached)
			fprintf(stderr, "    not by %s (%s)%s%s\n", hooks[i].name,
				hooks[i].why_not, *hooks[i].unseen ? ": unseen: " : "",
				hooks[i].unseen);
}

void watch_say_hooks(const struct watch *watch)
{
	int probe;

	if (watch->json) {
		hooks_json(watch);
		return;
	}
	for (probe = 0; probe < WATCH_PROBES; probe++)
		if (watch->wanted & 1U << probe)
			hooks_text(watch, probe);
	hooks_text(watch, WATCH_PROBES);
}

static bool is_among(const struct frames_holder *holders, int nr, pid_t pid)
{
	int i;

	for (i = 0; i < nr; i++)
		if (holders[i].pid == pid)
			return true;
	return false;
}

static void say_holder(const struct watch *watch, const struct frames_holder *holder,
		       bool came)
{
	struct json_object *object;
	char command[80], now[16];
	time_t seconds = time(NULL);
	struct tm tm;

	escape(command, sizeof(command), holder->command);
	if (!watch->json) {
		localtime_r(&seconds, &tm);
		strftime(now, sizeof(now), "%H:%M:%S", &tm);
		watch_out_print(
			"%s        holder %s[%d] %s: kmod %s, memfd_secret %s, mlock %s pages\n",
			now, command, holder->pid, came ? "came" : "went",
			watch_number(holder->pages[0]), watch_number(holder->pages[1]),
			watch_number(holder->pages[2]));
		return;
	}
	object = item("holder");
	member_number(object, "time", (unsigned long long)seconds);
	member_text(object, "what", came ? "came" : "went");
	member_signed(object, "pid", holder->pid);
	member_text(object, "command", holder->command);
	member_number(object, "kmod", holder->pages[0]);
	member_number(object, "memfd_secret", holder->pages[1]);
	member_number(object, "mlock", holder->pages[2]);
	print(object);
}

/* What was the last time, against what is. */
void watch_say_holders(const struct watch *watch)
{
	static struct frames_holder *before;
	static int nr_before;
	struct frames_holder *holders = NULL;
	int nr, i;

	if (!watch->verbose)
		return;
	nr = frames_holders(watch->frames, &holders);
	if (nr < 0)
		return;
	for (i = 0; i < nr_before; i++)
		if (!is_among(holders, nr, before[i].pid))
			say_holder(watch, &before[i], false);
	for (i = 0; i < nr; i++)
		if ((!watch->pid || holders[i].pid == watch->pid) &&
		    !is_among(before, nr_before, holders[i].pid))
			say_holder(watch, &holders[i], true);
	free(before);
	before = holders;
	nr_before = nr;
}

static const char *const ends[] = {
	[WATCH_ASKED] = "asked to end",         [WATCH_TIME] = "time is up",
	[WATCH_GONE] = "process is gone",       [WATCH_HANGUP] = "terminal is gone",
	[WATCH_OUTPUT] = "output is not taken", [WATCH_FAILED] = "failed",
};

static void counts_json(const struct watch *watch, struct json_object *to, int probe)
{
	static const char *const names[WATCH_PROBES][2] = {
		[WATCH_SWAP] = { "pages", "secret" },
		[WATCH_ACCESS] = { "tried", "refused" },
		[WATCH_LEAVING] = { "calls", "secret" },
	};
	const struct watch_counts *counts = &watch->counts[probe];
	const struct watch_kind *kind = &watch_kinds[probe];
	struct json_object *object = member_object(to, kind->name), *ways, *way;
	size_t i;

	member_number(object, "lost", counts->lost);
	ways = member_list(object, "ways");
	for (i = 0; i < kind->ways; i++) {
		way = list_object(ways);
		member_text(way, "way", kind->way_names[i]);
		member_number(way, names[probe][0], counts->all[i]);
		member_number(way, names[probe][1], counts->marked[i]);
		member_number(way, "unjudged", counts->unjudged[i]);
		member_number(way, "told", watch->told[probe][i]);
	}
}

/* What no hook sees, once for each probe that lacks one. */
static void unseen(const struct watch *watch, void (*tell)(void *to, const char *text),
		   void *to)
{
	const struct hook *hooks;
	char text[512];
	size_t nr, i;
	int probe;

	for (probe = 0; probe <= WATCH_PROBES; probe++) {
		hooks = hooks_of(watch, probe, &nr);
		for (i = 0; i < nr; i++) {
			if (hooks[i].attached || !*hooks[i].unseen)
				continue;
			snprintf(text, sizeof(text), "%s: %s", name_of(probe),
				 hooks[i].unseen);
			tell(to, text);
		}
	}
}

static void unseen_json(void *list, const char *text)
{
	list_text(list, text);
}

static void unseen_text(void *unused, const char *text)
{
	(void)unused;
	watch_out_print("    unseen by %s\n", text);
}

static void verdict_json(const struct watch *watch, enum watch_end end, const char *why)
{
	struct json_object *to = output_object();
	int probe;

	member_text(to, "event", "verdict");
	member_text(to, "why", why);
	member_text(to, "ended", ends[end]);
	if (watch->pid)
		member_signed(to, "pid", watch->pid);
	else
		member_null(to, "pid");
	member_number(to, "milliseconds", (watch_now() - watch->began) / 1000000);
	member_number(to, "granted", watch->granted);
	member_number(to, "doubts", watch->doubts);
	member_number(to, "unreadable", watch->unreadable);
	for (probe = 0; probe < WATCH_PROBES; probe++)
		if (watch->probes[probe])
			counts_json(watch, to, probe);
	unseen(watch, unseen_json, member_list(to, "unseen"));
}

void watch_say_verdict(const struct watch *watch, enum watch_end end, int status,
		       const char *why)
{
	char total[512];

	if (watch->json) {
		verdict_json(watch, end, why);
		return;
	}
	watch_total(watch, total, sizeof(total));
	watch_out_print("%s\n", total);
	unseen(watch, unseen_text, NULL);
	watch_out_print("%s%s%s%s%s (%s)\n",
			status == STATUS_CLEAN ? colour(GOOD) :
			status == STATUS_FOUND ? colour(BAD) :
						 colour(WARN),
			status == STATUS_CLEAN ? "clean" :
			status == STATUS_FOUND ? "VIOLATION: " :
						 "could not tell: ",
			status == STATUS_CLEAN ? "" : why, colour(PLAIN), "", ends[end]);
}
