// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A search of a process of the program's, where it stands; and when there is one. Where
 * there is no secret to search for, it is seen all the same what is mapped, and what of
 * that a core dump would have.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "verify.h"

/* So many are searched whatever it takes; of more as many as double the run's time. */
#define FIRST 100

const char *const why_names[NR_WHYS] = {
	[WHY_SECTION] = "section end", [WHY_MARK] = "mark",          [WHY_EXIT] = "exit",
	[WHY_CORE] = "core",           [WHY_LEFT] = "still running",
};

/* Of a program that makes its secret itself: the file that it has put it into by now. */
static void ready(struct verify *verify)
{
	struct stat st;
	int fd, status;

	if (verify->ready || verify->failed || !verify->asked.secret_file)
		return;
	fd = open(verify->asked.secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || fstat(fd, &st)) {
		verify->failed = output_error("--secret-file %s: %s",
					      verify->asked.secret_file, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		verify->failed = output_error("--secret-file %s: is no plain file",
					      verify->asked.secret_file);
	} else if (st.st_size) {
		status = scan_open(&verify->scan, fd, verify->asked.minimum,
				   verify->asked.forms);
		verify->scan.kernel.off = true;
		verify->ready = !status;
		verify->failed = status;
	}
	if (fd >= 0)
		close(fd);
}

bool map_is_secret(const struct map *map)
{
	return map->kind == KIND_SECRET;
}

/* Which backend it has, as far as its mappings show; and secret ones that would be dumped. */
static void look_at_maps(struct verify *verify, const struct maps *maps,
			 const struct core_set *core)
{
	size_t i;

	for (i = 0; i < maps->nr; i++) {
		if (!map_is_secret(&maps->map[i]))
			continue;
		verify->secret_maps++;
		if (strstr(maps->map[i].name, "lethe"))
			verify->kmod = true;
		else
			verify->memfd = true;
		verify->secret_dumped += core_set_has(core, &maps->map[i]);
	}
}

/* Of what was found, what a core dump would have had: registers, and what is dumped. */
static size_t in_core(const struct scan *scan, const struct core_set *core)
{
	size_t i, n = 0;

	for (i = 0; i < scan->nr_findings; i++) {
		const struct map *map = scan->findings[i].place.map;

		n += map ? core_set_has(core, map) : true;
	}
	return n;
}

/* Is a thread in a section, so that what it has in its registers is in use? */
static bool in_section(const struct scan *scan, const struct core_set *core,
		       const struct thread *thread)
{
	const struct map *map = maps_find(&scan->maps, thread->stack_pointer);

	return map && (map_is_secret(map) ||
		       (map->kind == KIND_ANONYMOUS && core_set_excludes(core, map)));
}

/*
 * At the end of one thread's section another may be in the midst of its own: what that
 * has in its registers, or where root can read it in its locked memory, is not left over
 * from anything. What a thread that dies has, or a core dump would, is told all the same.
 */
static void find_used(struct verify *verify, const struct tracee *tracee, enum why why,
		      const struct core_set *core)
{
	const struct scan *scan = &verify->scan;
	bool inside, any = false;
	size_t i, k;

	verify->nr_in_use = 0;
	memset(verify->in_use, 0, sizeof(verify->in_use));
	if (why == WHY_EXIT || why == WHY_CORE)
		return;
	for (k = 0; k < scan->stopped.nr_threads; k++) {
		const struct thread *thread = &scan->stopped.threads[k];

		inside = (thread->tid != tracee->tid || why == WHY_LEFT) &&
			 in_section(scan, core, thread);
		any |= inside;
		for (i = 0; inside && i < scan->nr_findings; i++)
			if (!scan->findings[i].place.map &&
			    scan->findings[i].place.tid == thread->tid)
				verify->in_use[i] = true;
	}
	for (i = 0; i < scan->nr_findings; i++) {
		const struct map *map = scan->findings[i].place.map;

		if (any && map && map->kind == KIND_ANONYMOUS &&
		    core_set_excludes(core, map))
			verify->in_use[i] = true;
		verify->nr_in_use += verify->in_use[i];
	}
}

static bool hides(const struct scan *scan)
{
	size_t i;

	for (i = 0; i < scan->maps.nr; i++)
		if (scan->maps.map[i].refused && !map_is_secret(&scan->maps.map[i]))
			return true;
	return false;
}

/* Those that ended a section at the same moment were searched with it. */
static void serve(struct verify *verify, const struct tracee *tracee)
{
	struct tracee *other;
	const struct mark *mark;

	for (other = tracee_each(verify, NULL); other;
	     other = tracee_each(verify, other)) {
		if (other == tracee || other->process != tracee->process ||
		    !other->stopped || other->served ||
		    other->status >> 8 != 5 /* SIGTRAP, and no event */)
			continue;
		mark = marks_hit(other);
		if (!mark || mark->kind != MARK_END)
			continue;
		other->served = true;
		other->process->sections++;
		other->process->searched++;
		verify->sections++;
		verify->searched++;
	}
}

/* They are in the report, and not in what was found. */
static void used_whole(struct verify *verify)
{
	struct scan *scan = &verify->scan;
	size_t i;

	for (i = 0; i < scan->nr_findings; i++) {
		scan->nr_found -= verify->in_use[i];
		scan->nr_whole -= verify->in_use[i] && run_whole(&scan->findings[i].run);
	}
}

/*
 * Was the process killed in the midst of it, as by a thread that was about to end all of
 * them? Then this was none; what is left is searched at its exit.
 */
static bool cut_short(const struct scan *scan, enum why why, int err)
{
	return (why == WHY_SECTION || why == WHY_MARK) && !scan->nr_found &&
	       (scan->gone || err == -ESRCH || err == -ENOENT);
}

/* With a secret. */
static void search_for_it(struct verify *verify, struct tracee *tracee, enum why why,
			  const struct core_set *core)
{
	struct scan *scan = &verify->scan;
	struct verify_count *count = &verify->count[why];
	struct process *process = tracee->process;
	struct json_object *stop;
	char text[512];
	bool complete;
	size_t dumped;
	int err;

	scan->peeked_at = 0;
	err = scan_stopped(scan, text, sizeof(text));
	progress_erase();
	if (cut_short(scan, why, err))
		return;
	scan->stopped_ns = now_ns() - scan->stopped.since;
	complete = !err && !scan->gone && !scan->stopped.not_stopped && !hides(scan);
	if (err)
		record_note(verify, "%s", text);
	find_used(verify, tracee, why, core);
	used_whole(verify);
	verify->used += verify->nr_in_use;
	count->stops++;
	count->found += scan->nr_found;
	count->whole += scan->nr_whole;
	count->incomplete += !complete;
	dumped = in_core(scan, core);
	verify->dumped_found += dumped;
	verify->dumped_stops++;
	if (why == WHY_CORE)
		verify->core_found += dumped;
	if (why == WHY_SECTION) {
		process->searched++;
		verify->searched++;
		serve(verify, tracee);
	}
	verify->reached_searched += why == WHY_MARK;
	if ((why == WHY_EXIT || why == WHY_LEFT) && !err && !scan->gone)
		process->exit_searched = true;
	look_at_maps(verify, &scan->maps, core);
	stop = record_stop(verify, tracee, why);
	if (stop) {
		member_flag(stop, "complete", complete);
		member_number(stop, "in_core", dumped);
		if (why == WHY_MARK)
			member_text(stop, "mark", verify->at_name);
		record_findings(verify, stop, scan);
	}
	record_maps(verify, process, &scan->maps, scan->nr_found > 0);
}

static void look(struct verify *verify, struct tracee *tracee, enum why why,
		 const struct core_set *core)
{
	struct maps maps;

	if (!maps_read(&maps, tracee->process->pid, tracee->tid)) {
		look_at_maps(verify, &maps, core);
		record_maps(verify, tracee->process, &maps, false);
		if (why == WHY_EXIT)
			tracee->process->exit_searched = true;
	}
	maps_free(&maps);
}

void search(struct verify *verify, struct tracee *tracee, enum why why)
{
	struct stopped *stopped = &verify->scan.stopped;
	unsigned long long begun = now_ns();
	struct core_set core;

	ready(verify);
	if (!world_stop(verify, tracee, stopped))
		return;
	core_set_read(&core, tracee->process->pid, tracee->tid);
	if (verify->ready)
		search_for_it(verify, tracee, why, &core);
	else
		look(verify, tracee, why, &core);
	core_set_free(&core);
	free(stopped->threads);
	stopped->threads = NULL;
	stopped->nr_threads = 0;
	/* All that keeps the program from running, not only the search itself. */
	verify->searching_ns += now_ns() - begun;
}

/* Is it time for one, of which so many there were, and so many were searched? */
static bool due(const struct verify *verify, unsigned long long there,
		unsigned long long searched)
{
	if (!verify->ready)
		return verify->asked.secret_file && !verify->failed;
	if (verify->asked.every)
		return (there - 1) % verify->asked.every == 0;
	return searched < FIRST || verify->searching_ns <= (now_ns() - verify->began) / 2;
}

void search_at(struct verify *verify, struct tracee *tracee, const struct mark *mark)
{
	if (mark->kind == MARK_AT) {
		verify->at_name = mark->name;
		verify->reached++;
		if (due(verify, verify->reached, verify->reached_searched))
			search(verify, tracee, WHY_MARK);
		return;
	}
	tracee->process->sections++;
	verify->sections++;
	if (due(verify, verify->sections, verify->searched))
		search(verify, tracee, WHY_SECTION);
}
