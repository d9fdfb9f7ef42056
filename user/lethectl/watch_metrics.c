// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The counts as a file for the textfile collector of Prometheus' node_exporter. It is
 * written beside, and put in the old one's place when it is whole: who reads has the
 * old one or the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

static void family(FILE *file, const char *name, const char *type, const char *help)
{
	fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A counter by way: which of a probe's counts it is, and what it is called. */
struct counter {
	enum watch_probe probe;
	size_t offset;
	const char *name, *help;
};

#define OF(member) offsetof(struct watch_counts, member)
static const struct counter counters[] = {
	{ WATCH_SWAP, OF(all), "lethe_left_pages_total", "Pages that left memory." },
	{ WATCH_SWAP, OF(marked), "lethe_left_secret_pages_total",
	  "Secret pages that left memory: each is a violation." },
	{ WATCH_SWAP, OF(unjudged), "lethe_left_unjudged_pages_total",
	  "Pages that left memory and may have been secret." },
	{ WATCH_ACCESS, OF(all), "lethe_access_attempts_total",
	  "Attempts to read or pin secret pages, or to get hold of a process that has them." },
	{ WATCH_ACCESS, OF(marked), "lethe_access_refused_total",
	  "Attempts that the kernel refused." },
	{ WATCH_LEAVING, OF(all), "lethe_leaving_calls_total",
	  "System calls that give a buffer away." },
	{ WATCH_LEAVING, OF(marked), "lethe_leaving_secret_calls_total",
	  "System calls that were given a buffer on secret pages." },
	{ WATCH_LEAVING, OF(unjudged), "lethe_leaving_unjudged_calls_total",
	  "System calls whose buffer may have been on secret pages." },
};

/* A name of ours, a kernel function's or a backend's: nothing in it is to be escaped. */
static void write_counters(FILE *file, const struct watch *watch)
{
	const struct watch_kind *kind;
	const unsigned long long *values;
	size_t i, way;

	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct counter *counter = &counters[i];

		if (!watch->probes[counter->probe])
			continue;
		kind = &watch_kinds[counter->probe];
		values = (const void *)((const char *)&watch->counts[counter->probe] +
					counter->offset);
		family(file, counter->name, "counter", counter->help);
		for (way = 0; way < kind->ways; way++)
			fprintf(file, "%s{way=\"%s\"} %llu\n", counter->name,
				kind->way_names[way], values[way]);
	}
}

static void write_probes(FILE *file, const struct watch *watch)
{
	const struct hook *hooks;
	size_t nr, n;
	int i;

	family(file, "lethe_lost_events_total", "counter",
	       "Events for which a probe had no room: if it is not 0, nothing is clean.");
	for (i = 0; i < WATCH_PROBES; i++)
		if (watch->probes[i])
			fprintf(file, "lethe_lost_events_total{probe=\"%s\"} %llu\n",
				watch_kinds[i].name, watch->counts[i].lost);
	family(file, "lethe_hook_attached", "gauge",
	       "1 where a probe is attached to this place of the kernel.");
	for (i = 0; i < WATCH_PROBES; i++) {
		if (!watch->probes[i])
			continue;
		hooks = watch_kinds[i].hooks(watch->probes[i], &nr);
		for (n = 0; n < nr; n++)
			fprintf(file,
				"lethe_hook_attached{probe=\"%s\",place=\"%zu\",hook=\"%s\"} %d\n",
				watch_kinds[i].name, n, hooks[n].name, hooks[n].attached);
	}
}

static void gauge(FILE *file, const char *name, const char *help, double value)
{
	family(file, name, "gauge", help);
	fprintf(file, "%s %.15g\n", name, value);
}

static void write_frames(FILE *file, const struct frames_total *total)
{
	family(file, "lethe_secret_pages", "gauge",
	       "Secret pages that there are, by backend.");
	fprintf(file, "lethe_secret_pages{backend=\"kmod\"} %llu\n", total->kmod);
	fprintf(file, "lethe_secret_pages{backend=\"memfd_secret\"} %llu\n",
		total->memfd);
	fprintf(file, "lethe_secret_pages{backend=\"mlock\"} %llu\n", total->locked);
	gauge(file, "lethe_holders", "Processes that have secret pages.",
	      total->processes);
	gauge(file, "lethe_unreadable_processes",
	      "Processes that could not be looked into for secret pages.",
	      total->unreadable);
}

static double seconds(const struct watch *watch, unsigned long long when)
{
	return (double)((long long)when + watch->clock) / 1e9;
}

static void write_all(FILE *file, const struct watch *watch, bool running)
{
	char why[1024];

	write_counters(file, watch);
	write_probes(file, watch);
	write_frames(file, &watch->frames_total);
	if (watch->pid)
		gauge(file, "lethe_watch_pid", "The one process whose pages are watched.",
		      watch->pid);
	gauge(file, "lethe_watch_doubts",
	      "Events since the watch began of which it is not known what they took.",
	      (double)watch->doubts);
	gauge(file, "lethe_watch_granted",
	      "Accesses to secret pages since the watch began that were not refused.",
	      (double)watch->granted);
	gauge(file, "lethe_watch_verdict",
	      "0 clean, 1 a violation was seen, 2 not to be told.",
	      watch_verdict(watch, why, sizeof(why)));
	gauge(file, "lethe_watch_running", "1 for as long as it watches.", running);
	gauge(file, "lethe_watch_begin_timestamp_seconds", "When the watch began.",
	      seconds(watch, watch->began));
	gauge(file, "lethe_watch_update_timestamp_seconds", "When this was written.",
	      seconds(watch, watch_now()));
	fputs("# EOF\n", file);
}

int watch_metrics_check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* Not a new file in the place of a device. */
	return S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

static int write_file(int fd, const struct watch *watch, bool running)
{
	FILE *file = fdopen(fd, "w");
	int err = 0;

	if (!file) {
		err = -errno;
		close(fd);
		return err;
	}
	write_all(file, watch, running);
	errno = 0;
	if (fflush(file) || ferror(file) || fchmod(fd, 0644) || (!running && fsync(fd)))
		err = errno ? -errno : -EIO;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}

int watch_metrics(const struct watch *watch, bool running)
{
	char *beside;
	int fd, err;

	/* The collector reads what ends in .prom: this does not. */
	if (asprintf(&beside, "%s.XXXXXX", watch->metrics) < 0)
		return -ENOMEM;
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		free(beside);
		return err;
	}
	err = write_file(fd, watch, running);
	if (!err && rename(beside, watch->metrics) < 0)
		err = -errno;
	if (err)
		unlink(beside);
	free(beside);
	return err;
}
