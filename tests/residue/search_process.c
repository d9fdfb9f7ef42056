// SPDX-License-Identifier: MIT
/*
 * residue-search: looks for copies of secrets in another process. It is what lethectl scan
 * is made of, asked in another way: by needles, so that whoever asks never has a secret,
 * and by many at once, for which the process is stopped once.
 *
 * Needles come in binary form on stdin (needle.h); lines go to stdout, fields
 * apart by tabs:
 *
 *	found NEEDLE WHERE COUNT LONGEST WHOLE	copies in one kind of place
 *	found NEEDLE nowhere 0 0 0
 *	unreadable NAME BYTES		a mapping that refused, in whole or part
 *	searched BYTES MAPPINGS THREADS
 *
 * Exit status: 0 the search was made, whatever it found; 2 it could not be.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "needle.h"
#include "scan.h"
#include "secret_pages.h"
#include "where.h"

#define MAX_NEEDLES 16

struct count {
	unsigned long copies, whole;
	size_t longest;
};

static struct needle needles[MAX_NEEDLES];
static struct scan scans[MAX_NEEDLES];
static size_t nr_needles;
static bool verbose;

/* A scan for the secret itself, which is there for as long as that takes to be made. */
static int open_scan(struct scan *scan, const struct needle *needle)
{
	uint8_t *secret = locked_new(NEEDLE_MAX);
	int status;

	if (!secret) {
		fprintf(stderr, "residue-search: needle %s: %s\n", needle->name,
			strerror(errno));
		return -1;
	}
	for (uint32_t i = 0; i < needle->length; i++)
		secret[i] = needle->masked[i] ^ needle->mask[i];
	status = scan_open_bytes(scan, secret, needle->length, (1U << NR_FORMS) - 1);
	locked_free(secret, NEEDLE_MAX);
	if (status)
		fprintf(stderr, "residue-search: needle %s is refused\n", needle->name);
	return status;
}

static int read_needles(void)
{
	struct needle needle;
	int err;

	while ((err = needle_read(STDIN_FILENO, &needle)) > 0) {
		if (nr_needles == MAX_NEEDLES) {
			fprintf(stderr, "residue-search: more than %d needles\n",
				MAX_NEEDLES);
			return -1;
		}
		needles[nr_needles] = needle;
		if (open_scan(&scans[nr_needles++], &needle))
			return -1;
	}
	if (err)
		fprintf(stderr, "residue-search: reading needles: %s\n", strerror(-err));
	else if (!nr_needles)
		fprintf(stderr, "residue-search: no needles on stdin\n");
	return err || !nr_needles ? -1 : 0;
}

static enum where where(const struct finding *finding, const struct secret_pages *pages)
{
	const struct place *place = &finding->place;

	if (!place->map)
		return WHERE_REGISTER;
	if (place->map->kind == KIND_SECRET || secret_pages_have(pages, place->address))
		return WHERE_SECRET;
	if (place->map->kind == KIND_STACK || place->tid)
		return WHERE_STACK;
	if (place->map->kind == KIND_HEAP)
		return WHERE_HEAP;
	return place->map->file != SIZE_MAX ? WHERE_LIBRARY : WHERE_ANONYMOUS;
}

static void print_needle(const struct needle *needle, const struct scan *scan,
			 const struct secret_pages *pages)
{
	struct count counts[NR_WHERE] = { 0 };
	bool any = false;

	for (size_t i = 0; i < scan->nr_findings; i++) {
		const struct finding *finding = &scan->findings[i];
		struct count *count = &counts[where(finding, pages)];
		size_t says = run_says(scan, &finding->run);

		count->copies++;
		count->whole += run_whole(&finding->run);
		if (says > count->longest)
			count->longest = says;
		if (verbose)
			fprintf(stderr, "%s: %zu bytes at %#" PRIx64 " (%s), %s: %s\n",
				needle->name, says, finding->place.address,
				where_names[where(finding, pages)],
				finding->run.pattern->what, finding->place.where);
	}
	for (int i = 0; i < NR_WHERE; i++) {
		if (!counts[i].copies)
			continue;
		any = true;
		printf("found\t%s\t%s\t%lu\t%zu\t%lu\n", needle->name, where_names[i],
		       counts[i].copies, counts[i].longest, counts[i].whole);
	}
	if (!any)
		printf("found\t%s\tnowhere\t0\t0\t0\n", needle->name);
}

static void print_maps(const struct scan *scan)
{
	uint64_t bytes = scan->registers;
	size_t searched = 0;

	for (size_t i = 0; i < scan->maps.nr; i++) {
		const struct map *map = &scan->maps.map[i];
		const char *name = *map->name ? map->name : "[anonymous]";
		size_t length = strlen(name);
		static const char deleted[] = " (deleted)";

		searched += map->searched > 0;
		bytes += map->searched;
		if (!map->refused)
			continue;
		if (length >= strlen(deleted) &&
		    !strcmp(name + length - strlen(deleted), deleted))
			length -= strlen(deleted);
		printf("unreadable\t%.*s\t%" PRIu64 "\n", (int)length, name,
		       map->refused);
	}
	printf("searched\t%" PRIu64 "\t%zu\t%zu\n", bytes, searched, scan->nr_threads);
}

/* All of it, or none. */
static int search(struct scan *scan, const struct stopped *stopped)
{
	char why[512];
	int err;

	scan->stopped = *stopped;
	err = scan_stopped(scan, why, sizeof(why));
	/* The threads are whose they were. */
	scan->stopped = (struct stopped){ 0 };
	if (err)
		fprintf(stderr, "residue-search: %s\n", why);
	else if (scan->gone)
		fprintf(stderr, "residue-search: the process went away\n");
	else if (stopped->not_stopped)
		fprintf(stderr, "residue-search: not all of its threads stopped\n");
	else if (scan->nr_found != scan->nr_findings)
		fprintf(stderr, "residue-search: more copies than are counted: %zu\n",
			scan->nr_found);
	else
		return 0;
	return -1;
}

static int search_all(pid_t pid)
{
	struct stopped stopped;
	struct secret_pages pages = { 0 };
	char why[512];
	int err = stop_process(&stopped, pid, why, sizeof(why));

	if (err)
		fprintf(stderr, "residue-search: %s\n", why);
	for (size_t i = 0; !err && i < nr_needles; i++)
		err = search(&scans[i], &stopped);
	if (!err)
		err = secret_pages_read(&pages, pid);
	stopped_let_go(&stopped);
	for (size_t i = 0; !err && i < nr_needles; i++)
		print_needle(&needles[i], &scans[i], &pages);
	if (!err)
		print_maps(&scans[0]);
	free(pages.range);
	if (err)
		return -1;
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "residue-search: cannot write the result\n");
		return -1;
	}
	return 0;
}

static pid_t process_number(const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	return errno || *end || end == text || pid < 1 || pid > INT_MAX ? -1 : (pid_t)pid;
}

int main(int argc, char **argv)
{
	pid_t pid = -1;
	int err;

	verbose = argc == 3 && !strcmp(argv[1], "-v");
	if (argc == 2 + verbose)
		pid = process_number(argv[1 + verbose]);
	if (pid < 0) {
		fprintf(stderr, "usage: residue-search [-v] PID < needles\n");
		return 2;
	}
	if (pid == getpid()) {
		fprintf(stderr, "residue-search: a process cannot search itself\n");
		return 2;
	}
	err = read_needles();
	if (!err)
		err = search_all(pid);
	for (size_t i = 0; i < nr_needles; i++)
		scan_close(&scans[i]);
	return err ? 2 : 0;
}
