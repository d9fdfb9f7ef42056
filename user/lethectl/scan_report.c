// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a scan found, for a person and for programs, and the verdict. Never prints a byte
 * of the secret, nor of the searched memory.
 */
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "scan.h"

size_t run_says(const struct scan *scan, const struct run *run)
{
	const struct pattern *pattern = run->pattern;
	size_t says = ((size_t)run->length * pattern->upon + pattern->left_over) /
		      pattern->per;

	return run_whole(run) || says > scan->secret_length ? scan->secret_length : says;
}

static void tell(const struct scan *scan, const struct finding *finding)
{
	const struct run *run = &finding->run;
	const struct place *place = &finding->place;
	char much[64], whose[32] = "", where[64] = "";

	if (run_whole(run))
		snprintf(much, sizeof(much), "%swhole%s", colour(BAD), colour(PLAIN));
	else
		snprintf(much, sizeof(much), "%s%zu of %zu bytes%s", colour(BAD),
			 run_says(scan, run), scan->secret_length, colour(PLAIN));
	if (place->tid)
		snprintf(whose, sizeof(whose), "thread %d, ", (int)place->tid);
	if (place->map)
		snprintf(where, sizeof(where), " + %#llx, at %#llx (%s)",
			 (unsigned long long)place->offset,
			 (unsigned long long)place->address, place->map->rights);
	say("%s, %s: %s%s%s", much, run->pattern->what, whose, place->where, where);
}

void report_finding(const struct scan *scan, struct json_object *list,
		    const struct finding *finding)
{
	const struct place *place = &finding->place;
	struct json_object *object = list_object(list);

	member_text(object, "form", form_names[finding->run.pattern->form]);
	member_text(object, "what", finding->run.pattern->what);
	member_flag(object, "whole", run_whole(&finding->run));
	member_number(object, "bytes", run_says(scan, &finding->run));
	member_number(object, "run", finding->run.length);
	member_number(object, "at_byte", finding->run.offset);
	member_text(object, "in", place->kind);
	member_text(object, "place", place->where);
	if (place->tid)
		member_number(object, "thread", (unsigned long long)place->tid);
	if (place->state) {
		member_text(object, "state", place->state);
		member_number(object, "offset", place->offset);
	}
	if (!place->map)
		return;
	member_number(object, "address", place->address);
	member_number(object, "offset", place->offset);
	member_text(object, "symbol", *place->symbol ? place->symbol : NULL);
	member_text(object, "mapping", place->map->name);
	member_text(object, "rights", place->map->rights);
}

static void findings(const struct scan *scan)
{
	struct json_object *list = NULL;
	size_t i;

	if (output_object())
		list = member_list(output_object(), "findings");
	for (i = 0; i < scan->nr_findings; i++) {
		if (list)
			report_finding(scan, list, &scan->findings[i]);
		else
			tell(scan, &scan->findings[i]);
	}
	if (scan->nr_found > scan->nr_findings)
		output_note("of %zu findings the first %zu are named", scan->nr_found,
			    scan->nr_findings);
}

/* The longest run of each form there is one of. */
static void longest(const struct scan *scan)
{
	struct json_object *list = NULL, *object;
	size_t i;

	if (output_object())
		list = member_list(output_object(), "forms");
	for (i = 0; i < NR_FORMS; i++) {
		if (!scan->count[i])
			continue;
		if (!list) {
			say("%s: %zu, the longest run says %zu of %zu bytes",
			    form_names[i], scan->count[i], scan->longest[i],
			    scan->secret_length);
			continue;
		}
		object = list_object(list);
		member_text(object, "form", form_names[i]);
		member_number(object, "count", scan->count[i]);
		member_number(object, "longest", scan->longest[i]);
	}
}

const char *report_protects(const struct map *map)
{
	if (map->kind == KIND_DEVICE)
		return "a device's memory, which the kernel reads for nobody";
	if (strstr(map->name, "lethe"))
		return "a region of Lethe's";
	return "memfd_secret";
}

/* A map that could not be read whole; true if that may hide something. */
static bool refused(const struct map *map, struct json_object *secret,
		    struct json_object *unread)
{
	bool is_secret = map->kind == KIND_SECRET;
	struct json_object *object;
	char name[160];

	escape(name, sizeof(name), *map->name ? map->name : "anonymous memory");
	if (!secret) {
		say("%s: %llu KiB at %#llx, %s: %s",
		    is_secret ? "protected" : "unreadable",
		    (unsigned long long)map->refused / 1024,
		    (unsigned long long)map->refused_at, name,
		    is_secret || map->kind == KIND_DEVICE ? report_protects(map) :
							    strerror(map->refused_why));
		return !is_secret;
	}
	object = list_object(is_secret ? secret : unread);
	member_number(object, "address", map->refused_at);
	member_number(object, "bytes", map->refused);
	member_text(object, "mapping", map->name);
	member_text(object, "why",
		    is_secret || map->kind == KIND_DEVICE ? report_protects(map) :
							    strerror(map->refused_why));
	return !is_secret;
}

/* How much could not be read where something may be. */
static size_t all_refused(const struct scan *scan)
{
	struct json_object *secret = NULL, *unread = NULL;
	size_t i, hides = 0;

	if (output_object()) {
		secret = member_list(output_object(), "protected");
		unread = member_list(output_object(), "unreadable");
	}
	for (i = 0; i < scan->maps.nr; i++)
		if (scan->maps.map[i].refused)
			hides += refused(&scan->maps.map[i], secret, unread);
	return hides;
}

static void searched(const struct scan *scan)
{
	struct json_object *object = output_object();
	size_t i, mappings = 0;
	uint64_t bytes = 0;

	for (i = 0; i < scan->maps.nr; i++) {
		mappings += scan->maps.map[i].searched > 0;
		bytes += scan->maps.map[i].searched;
	}
	if (!object) {
		say("searched %llu KiB in %zu mappings and the registers of %zu thread%s, stopped for %llu ms",
		    (unsigned long long)bytes / 1024, mappings,
		    scan->nr_threads - scan->stopped.not_stopped,
		    scan->nr_threads - scan->stopped.not_stopped == 1 ? "" : "s",
		    scan->stopped_ns / 1000000);
		return;
	}
	member_number(object, "pid", (unsigned long long)scan->pid);
	member_text(object, "program", scan->name);
	member_number(object, "searched_bytes", bytes);
	member_number(object, "searched_mappings", mappings);
	member_number(object, "searched_register_bytes", scan->registers);
	member_number(object, "threads", scan->nr_threads);
	member_number(object, "patterns", table_patterns(scan->table));
	member_number(object, "windows", table_windows(scan->table));
	member_number(object, "stopped_ns", scan->stopped_ns);
	member_number(object, "found", scan->nr_found);
	member_number(object, "found_whole", scan->nr_whole);
}

/* What the kernel keeps, as far as it was looked at; false: not as far as was asked. */
static bool in_kernel(const struct scan *scan)
{
	const struct kernel_copies *kernel = &scan->kernel;
	struct json_object *object = output_object();

	if (kernel->off)
		return true;
	if (object) {
		object = member_object(object, "kernel");
		member_number(object, "searched_bytes", kernel->searched);
		member_number(object, "live", kernel->live);
		member_number(object, "words_left_out", kernel->left_out);
		member_text(object, "why_not", *kernel->why ? kernel->why : NULL);
	}
	if (*kernel->why)
		output_note("the kernel's copies of registers were not searched: %s",
			    kernel->why);
	else
		say("searched %llu KiB that the kernel keeps of their registers",
		    (unsigned long long)kernel->searched / 1024);
	if (kernel->left_out)
		output_note(
			"of the kernel's copies, %zu words in later forms were not looked for: the secret is too long for all. Give fewer --forms, or a part of it",
			kernel->left_out);
	if (kernel->unread)
		output_note("of %zu thread%s the kernel's copies could not be read whole",
			    kernel->unread, kernel->unread == 1 ? "" : "s");
	return !kernel->required || !(*kernel->why || kernel->left_out || kernel->unread);
}

int report(struct scan *scan)
{
	bool kernel;
	size_t hides;

	findings(scan);
	longest(scan);
	hides = all_refused(scan);
	searched(scan);
	kernel = in_kernel(scan);
	if (scan->stopped.not_stopped)
		output_note(
			"%zu thread%s did not stop, and the registers there are unknown: it waits for a child of vfork(2), or for a device",
			scan->stopped.not_stopped,
			scan->stopped.not_stopped == 1 ? "" : "s");
	if (scan->gone)
		output_error(
			"process %d ended while it was searched: the rest is unknown",
			(int)scan->pid);
	if (scan->nr_found) {
		say("%sfound%s: %zu, %zu whole", colour(BAD), colour(PLAIN),
		    scan->nr_found, scan->nr_whole);
		return STATUS_FOUND;
	}
	if (scan->gone)
		return STATUS_UNKNOWN;
	if (hides || scan->stopped.not_stopped || !kernel) {
		say("%sunknown%s: nothing was found in what could be read", colour(WARN),
		    colour(PLAIN));
		return STATUS_UNKNOWN;
	}
	say("%sclean%s", colour(GOOD), colour(PLAIN));
	return STATUS_CLEAN;
}
