// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What lethectl check found, in words and in JSON, and what follows from it. That
 * nothing was seen of the secret counts only where the decoys were seen, every one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "lethectl.h"
#include "output.h"

static const char *const levels[] = {
	[LETHE_LEVEL_NONE] = "ordinary",
	[LETHE_LEVEL_LOCKED] = "locked",
	[LETHE_LEVEL_UNMAPPED] = "unmapped",
};

/* A page goes several ways one after the other, and each way but once. */
struct most {
	unsigned long long pages, secret, decoys, unjudged;
};

static unsigned long long larger(unsigned long long a, unsigned long long b)
{
	return a > b ? a : b;
}

static struct most most_of(const struct check *check)
{
	struct most most = { 0 };
	size_t i;

	for (i = 0; i < check->nr_hooks && i < SWAP_WAYS; i++) {
		const struct swap_count *way = &check->counts.way[i];

		most.pages = larger(most.pages, way->pages);
		most.secret = larger(most.secret, way->secret);
		most.decoys = larger(most.decoys, way->decoys);
		most.unjudged = larger(most.unjudged, way->unjudged);
	}
	return most;
}

static enum status because(struct check *check, enum status status, const char *format,
			   ...) __attribute__((format(printf, 3, 4)));

static enum status because(struct check *check, enum status status, const char *format,
			   ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->reason, sizeof(check->reason), format, args);
	va_end(args);
	return status;
}

enum status check_verdict(struct check *check)
{
	const struct subject *subject = check->subject;
	struct most most = most_of(check);

	if (most.secret)
		return because(check, STATUS_FOUND,
			       "%llu page%s of a secret were seen leaving memory",
			       most.secret, most.secret == 1 ? "" : "s");
	if (check->directmap.secret_readable)
		return because(
			check, STATUS_FOUND,
			"%zu of a secret's %zu pages can be read by the kernel's direct map",
			check->directmap.secret_readable, check->directmap.secret);
	if (!subject->secret_intact)
		return because(check, STATUS_FOUND, "the secret is not what it was");
	if (check->watched < subject->secret_pages)
		return because(check, STATUS_UNKNOWN,
			       "of the secret's %zu pages only %zu could be watched",
			       subject->secret_pages, check->watched);
	if (check->directmap.asked &&
	    check->directmap.decoys_readable < check->directmap.decoys)
		return because(
			check, STATUS_UNKNOWN,
			"of %zu decoys only %zu can be read by the direct map: the probe is blind",
			check->directmap.decoys, check->directmap.decoys_readable);
	if (check->counts.lost)
		return because(check, STATUS_UNKNOWN, "%llu events were lost",
			       check->counts.lost);
	if (most.unjudged)
		return because(check, STATUS_UNKNOWN,
			       "%llu pages left of which it is not known whose they were",
			       most.unjudged);
	if (check->left < subject->decoys)
		return because(check, STATUS_UNKNOWN,
			       "only %zu of %zu decoys could be made to leave memory",
			       check->left, subject->decoys);
	if (most.decoys < subject->decoys)
		return because(
			check, STATUS_UNKNOWN,
			"%zu decoys left memory and %llu were seen: the probe is blind",
			subject->decoys, most.decoys);
	if (subject->decoys_intact < subject->decoys)
		return because(check, STATUS_UNKNOWN,
			       "%zu decoys came back as something else",
			       subject->decoys - subject->decoys_intact);
	return because(
		check, STATUS_CLEAN,
		"%llu of %zu decoys were seen leaving memory, and 0 of the secret's %zu "
		"pages, of %llu in all",
		most.decoys, subject->decoys, subject->secret_pages, most.pages);
}

static void print_ways(const struct check *check)
{
	size_t i;

	say("%-28s %9s %9s %9s", "way out", "pages", "secret", "decoys");
	for (i = 0; i < check->nr_hooks && i < SWAP_WAYS; i++) {
		const struct swap_count *way = &check->counts.way[i];
		const struct hook *hook = &check->hooks[i];

		if (hook->attached)
			say("%-28s %9llu %s%9llu%s %9llu", hook->name, way->pages,
			    way->secret ? colour(BAD) : "", way->secret,
			    way->secret ? colour(PLAIN) : "", way->decoys);
	}
	for (i = 0; i < check->nr_hooks; i++) {
		const struct hook *hook = &check->hooks[i];

		if (!hook->attached)
			say("not watched: %s (%s)%s%s", hook->name, hook->why_not,
			    hook->unseen[0] ? "; unseen: " : "", hook->unseen);
	}
}

static void print_areas(const struct check *check)
{
	char name[4 * sizeof(check->areas[0].name)];
	size_t i;

	for (i = 0; i < check->nr_areas; i++) {
		const struct area *area = &check->areas[i];

		if (area->used)
			say("they went to %s (%s%s): %llu pages",
			    escape(name, sizeof(name), area->name),
			    area->temporary ? "temporary " : "", area->kind, area->used);
	}
	if (check->compressed)
		say("of which zswap has %llu, compressed in memory", check->compressed);
}

static void print_text(const struct check *check, enum status verdict)
{
	static const enum colour colours[] = { GOOD, BAD, WARN };
	static const char *const words[] = { "clean", "violation", "unknown" };
	const struct subject *subject = check->subject;

	say("secret: %zu pages on %s (%s), %zu watched, %s", subject->secret_pages,
	    check->ordinary ? "ordinary memory" : subject->backend,
	    levels[subject->level], check->watched,
	    subject->secret_intact ? "intact" : "damaged");
	say("decoys: %zu pages on ordinary memory, %zu left it, %zu intact",
	    subject->decoys, check->left, subject->decoys_intact);
	if (check->directmap.asked)
		say("direct map: %zu of %zu pages of the secret can be read, %zu of %zu decoys",
		    check->directmap.secret_readable, check->directmap.secret,
		    check->directmap.decoys_readable, check->directmap.decoys);
	say("pressed by %s for %.2f s", check->pressure.by, check->took);
	print_areas(check);
	print_ways(check);
	say("%s%s%s: %s", colour(colours[verdict]), words[verdict], colour(PLAIN),
	    check->reason);
}

static void add_ways(struct json_object *object, const struct check *check)
{
	struct json_object *list = member_list(object, "ways"), *to;
	size_t i;

	for (i = 0; i < check->nr_hooks && i < SWAP_WAYS; i++) {
		const struct swap_count *way = &check->counts.way[i];
		const struct hook *hook = &check->hooks[i];

		to = list_object(list);
		member_text(to, "way", swap_way_names[i]);
		member_text(to, "hook", hook->name);
		member_flag(to, "attached", hook->attached);
		member_number(to, "pages", way->pages);
		member_number(to, "secret", way->secret);
		member_number(to, "decoys", way->decoys);
		member_number(to, "unjudged", way->unjudged);
		member_text(to, "why_not", hook->attached ? NULL : hook->why_not);
		member_text(to, "unseen", hook->attached ? NULL : hook->unseen);
	}
}

static void add_areas(struct json_object *object, const struct check *check)
{
	struct json_object *list = member_list(object, "swap"), *to;
	size_t i;

	for (i = 0; i < check->nr_areas; i++) {
		to = list_object(list);
		member_text(to, "name", check->areas[i].name);
		member_text(to, "kind", check->areas[i].kind);
		member_flag(to, "temporary", check->areas[i].temporary);
		member_number(to, "pages", check->areas[i].used);
	}
	member_number(object, "zswap_pages", check->compressed);
}

static void add_json(struct json_object *object, const struct check *check)
{
	const struct subject *subject = check->subject;
	struct most most = most_of(check);
	struct json_object *to;

	member_text(object, "reason", check->reason);
	to = member_object(object, "secret");
	member_text(to, "backend", check->ordinary ? NULL : subject->backend);
	member_text(to, "level", levels[subject->level]);
	member_number(to, "pages", subject->secret_pages);
	member_number(to, "watched", check->watched);
	member_number(to, "seen", most.secret);
	member_flag(to, "intact", subject->secret_intact);
	to = member_object(object, "decoys");
	member_number(to, "pages", subject->decoys);
	member_number(to, "left", check->left);
	member_number(to, "seen", most.decoys);
	member_number(to, "intact", subject->decoys_intact);
	if (check->directmap.asked) {
		to = member_object(object, "direct_map");
		member_number(to, "secret", check->directmap.secret);
		member_number(to, "secret_readable", check->directmap.secret_readable);
		member_number(to, "decoys", check->directmap.decoys);
		member_number(to, "decoys_readable", check->directmap.decoys_readable);
	} else {
		member_null(object, "direct_map");
	}
	to = member_object(object, "pressure");
	member_text(to, "by", check->pressure.by);
	member_number(to, "milliseconds", (unsigned long long)(check->took * 1000));
	member_number(to, "stayed", check->stayed);
	member_number(object, "pages_seen", most.pages);
	member_number(object, "lost", check->counts.lost);
	add_ways(object, check);
	add_areas(object, check);
}

void check_print(const struct check *check, enum status verdict)
{
	if (!check->pressure.version)
		output_note("pressed without a cgroup: %s", check->pressure.why_not);
	if (check->directmap.why_not[0])
		output_note("the direct map could not be asked: %s",
			    check->directmap.why_not);
	if (check->stayed)
		output_note("%zu ordinary pages of the process did not leave in %.0f s",
			    check->stayed, check->took);
	if (output_object())
		add_json(output_object(), check);
	else
		print_text(check, verdict);
}
