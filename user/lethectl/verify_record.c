// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * All that was seen, as the JSON that is printed, and that the report is made of. Bounded
 * however long the program runs: of what there is too much of, it is counted how much is
 * left out, and what found something is left out last. No byte of the secret is in it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "output.h"
#include "verify.h"

/* Of stops at which nothing was found, of all, and of findings of one. */
#define STOPS_CLEAN 2000
#define STOPS 4000
#define FINDINGS 200
#define EVENTS 4000
/* Pictures of one process's mappings, and of all. */
#define MAPS 3
#define ALL_MAPS 64

void record_begin(struct verify *verify)
{
	struct json_object *list;
	struct timespec now;
	struct tm tm;
	char **word;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(verify->started, sizeof(verify->started), "%Y-%m-%dT%H:%M:%SZ", &tm);
	verify->began = now_ns();
	verify->all = json_object_new_object();
	if (!verify->all) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_UNKNOWN);
	}
	member_number(verify->all, "schema", OUTPUT_SCHEMA);
	member_text(verify->all, "verb", "verify");
	member_null(verify->all, "verdict");
	list = member_list(verify->all, "program");
	for (word = verify->asked.program; *word; word++)
		list_text(list, *word);
	member_text(verify->all, "started", verify->started);
	verify->checks = member_list(verify->all, "checks");
	verify->notes = member_list(verify->all, "notes");
	verify->stops = member_list(verify->all, "stops");
	verify->maps = member_list(verify->all, "maps");
	verify->events = member_list(verify->all, "events");
	verify->probe_list = member_list(verify->all, "probes");
}

void record_note(struct verify *verify, const char *format, ...)
{
	char text[1024];
	va_list args;
	size_t i;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Once is enough. */
	for (i = 0; i < json_object_array_length(verify->notes); i++)
		if (!strcmp(json_object_get_string(
				    json_object_array_get_idx(verify->notes, i)),
			    text))
			return;
	list_text(verify->notes, text);
}

static void member_real(struct json_object *to, const char *name, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.6f", value);
	json_object_object_add(to, name, json_object_new_double_s(value, text));
}

static void refused(const struct map *map, struct json_object *list)
{
	struct json_object *object = list_object(list);

	member_number(object, "address", map->refused_at);
	member_number(object, "bytes", map->refused);
	member_text(object, "mapping", map->name);
	member_text(object, "why",
		    map->kind == KIND_SECRET || map->kind == KIND_DEVICE ?
			    report_protects(map) :
			    strerror(map->refused_why));
}

struct json_object *record_stop(struct verify *verify, const struct tracee *tracee,
				enum why why)
{
	const struct scan *scan = &verify->scan;
	size_t i, nr = json_object_array_length(verify->stops);
	struct json_object *stop, *protected, *unreadable;
	uint64_t bytes = 0;

	if (nr >= STOPS || (nr >= STOPS_CLEAN && why == WHY_SECTION && !scan->nr_found)) {
		verify->stops_left_out++;
		return NULL;
	}
	stop = list_object(verify->stops);
	member_number(stop, "number", nr);
	member_real(stop, "at", verify_seconds(verify));
	member_text(stop, "why", why_names[why]);
	if (tracee) {
		member_number(stop, "pid", (unsigned long long)tracee->process->pid);
		member_number(stop, "thread", (unsigned long long)tracee->tid);
		member_number(stop, "section", tracee->process->sections);
	}
	for (i = 0; i < scan->maps.nr; i++)
		bytes += scan->maps.map[i].searched;
	member_number(stop, "searched_bytes", bytes);
	member_number(stop, "register_bytes", scan->registers);
	member_number(stop, "threads", scan->nr_threads);
	member_number(stop, "threads_not_stopped", scan->stopped.not_stopped);
	member_number(stop, "stopped_ns", scan->stopped_ns);
	member_number(stop, "found", scan->nr_found);
	member_number(stop, "found_whole", scan->nr_whole);
	protected = member_list(stop, "protected");
	unreadable = member_list(stop, "unreadable");
	for (i = 0; i < scan->maps.nr; i++)
		if (scan->maps.map[i].refused)
			refused(&scan->maps.map[i], map_is_secret(&scan->maps.map[i]) ?
							    protected :
							    unreadable);
	return stop;
}

void record_findings(struct verify *verify, struct json_object *stop,
		     const struct scan *scan)
{
	struct json_object *left = member_list(stop, "findings");
	struct json_object *used = member_list(stop, "in_use");
	size_t i;

	for (i = 0; i < scan->nr_findings && i < FINDINGS; i++)
		report_finding(scan, verify->in_use[i] ? used : left, &scan->findings[i]);
}

static const char *kind_name(enum kind kind)
{
	static const char *const names[] = {
		[KIND_ANONYMOUS] = "anonymous", [KIND_FILE] = "file",
		[KIND_HEAP] = "heap",           [KIND_STACK] = "stack",
		[KIND_KERNEL] = "kernel",       [KIND_SECRET] = "secret",
		[KIND_DEVICE] = "device",
	};

	return names[kind];
}

/* The first, the last, and the first in which something was found. */
void record_maps(struct verify *verify, struct process *process, const struct maps *maps,
		 bool found)
{
	struct json_object *object, *list, *entry;
	char text[24];
	size_t i;

	if (found && !process->maps_found)
		process->maps_found = true;
	else if (process->maps && !process->exit_searched)
		return;
	if (process->maps == MAPS || json_object_array_length(verify->maps) == ALL_MAPS)
		return;
	process->maps++;
	object = list_object(verify->maps);
	member_number(object, "pid", (unsigned long long)process->pid);
	member_real(object, "at", verify_seconds(verify));
	list = member_list(object, "mappings");
	for (i = 0; i < maps->nr; i++) {
		const struct map *map = &maps->map[i];

		entry = list_object(list);
		snprintf(text, sizeof(text), "%#llx", (unsigned long long)map->start);
		member_text(entry, "start", text);
		snprintf(text, sizeof(text), "%#llx", (unsigned long long)map->end);
		member_text(entry, "end", text);
		member_number(entry, "bytes", map->end - map->start);
		member_text(entry, "rights", map->rights);
		member_text(entry, "kind", kind_name(map->kind));
		member_text(entry, "name", map->name);
	}
}

void record_event(struct verify *verify, pid_t pid, const char *kind, const char *what,
		  bool violation)
{
	struct json_object *event;

	if (json_object_array_length(verify->events) >= EVENTS) {
		verify->events_left_out++;
		return;
	}
	event = list_object(verify->events);
	member_real(event, "at", verify_seconds(verify));
	member_number(event, "pid", (unsigned long long)pid);
	member_text(event, "kind", kind);
	member_text(event, "what", what);
	member_flag(event, "violation", violation);
}

static void processes(struct verify *verify)
{
	struct json_object *list = member_list(verify->all, "processes"), *object;
	struct process *process;
	double to;

	for (process = verify->processes; process; process = process->next) {
		object = list_object(list);
		to = process->to < 0 ? verify_seconds(verify) : process->to;
		member_number(object, "pid", (unsigned long long)process->pid);
		member_number(object, "parent", (unsigned long long)process->parent);
		member_text(object, "name", process->name);
		member_real(object, "from", process->from);
		member_real(object, "to", to);
		member_number(object, "sections", process->sections);
		member_number(object, "searched_sections", process->searched);
		member_flag(object, "outlived", process->let_go);
	}
}

static void how_it_ended(struct verify *verify)
{
	struct json_object *object = member_object(verify->all, "exit");
	int status = verify->root->status;

	if (WIFEXITED(status)) {
		member_number(object, "status", (unsigned long long)WEXITSTATUS(status));
		return;
	}
	member_number(object, "signal", (unsigned long long)WTERMSIG(status));
	member_flag(object, "core", WCOREDUMP(status));
}

/* All that is known at the end only. */
void record_end(struct verify *verify)
{
	struct json_object *secret = member_object(verify->all, "secret"), *pages;

	member_real(verify->all, "seconds", verify_seconds(verify));
	member_flag(secret, "given", verify->ready);
	member_number(secret, "bytes", verify->scan.secret_length);
	member_number(secret, "patterns",
		      verify->ready ? table_patterns(verify->scan.table) : 0);
	member_text(verify->all, "backend",
		    verify->kmod                         ? "kmod" :
		    verify->memfd                        ? "memfd_secret" :
		    verify->liblethe && verify->sections ? "mlock" :
							   NULL);
	member_text(verify->all, "level",
		    verify->kmod || verify->memfd        ? "unmapped" :
		    verify->liblethe && verify->sections ? "locked" :
							   NULL);
	member_number(verify->all, "sections", verify->sections);
	member_number(verify->all, "searched_sections", verify->searched);
	member_number(verify->all, "searching_ns", verify->searching_ns);
	if (verify->root && verify->root->ended)
		how_it_ended(verify);
	else
		member_null(verify->all, "exit");
	processes(verify);
	pages = member_object(verify->all, "pages");
	member_number(pages, "seen", verify->pages_seen);
	member_number(pages, "secret", verify->pages_secret);
	member_number(pages, "secret_mappings", verify->secret_maps);
	member_number(pages, "secret_dumped", verify->secret_dumped);
	member_number(verify->all, "stops_left_out", verify->stops_left_out);
	member_number(verify->all, "events_left_out", verify->events_left_out);
}
