// SPDX-License-Identifier: MIT
/*
 * residue-search: looks for copies of secrets in another process.
 *
 * Needles come in binary form on stdin (needle.h); lines go to stdout, fields
 * apart by tabs:
 *
 *	found NEEDLE WHERE COUNT LONGEST WHOLE	copies in one kind of place
 *	found NEEDLE nowhere 0 0 0
 *	unreadable NAME BYTES		a mapping that refused, in whole or part
 *	searched BYTES MAPPINGS THREADS
 *
 * With -x it runs a program and searches it as it ends: when it says "ending" on
 * stdout, the secrets that the program made can be known, and stdin is read.
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

#include "process.h"

struct count {
	unsigned long copies, whole;
	unsigned int longest;
};

static struct process process;
static char names[SEARCH_MAX_NEEDLES][sizeof(((struct needle *)0)->name)];
static unsigned int nr_names;
static struct count counts[SEARCH_MAX_NEEDLES][NR_WHERE];
static bool verbose;

static void found(void *arg, const struct search_copy *copy)
{
	enum where where = process_where(&process, copy->address);
	struct count *count = &counts[copy->needle][where];
	const struct mapping *mapping;

	(void)arg;
	count->copies++;
	count->whole += copy->whole;
	if (copy->length > count->longest)
		count->longest = copy->length;
	if (!verbose)
		return;
	mapping = process_mapping(&process, copy->address);
	fprintf(stderr, "%s: %u bytes at %#" PRIx64 " (%s) of %s\n", names[copy->needle],
		copy->length, mapping ? copy->address : copy->address - REGISTER_ADDRESS,
		where_names[where], mapping ? mapping->name : "registers");
}

static int read_needles(struct search *search)
{
	struct needle needle;
	const char *why;
	int err;

	while ((err = needle_read(STDIN_FILENO, &needle)) > 0) {
		if (search_add(search, &needle, &why)) {
			fprintf(stderr, "residue-search: needle %.*s %s\n",
				(int)sizeof(needle.name), needle.name, why);
			return -EINVAL;
		}
		memcpy(names[nr_names++], needle.name, sizeof(needle.name));
	}
	if (err)
		fprintf(stderr, "residue-search: reading needles: %s\n", strerror(-err));
	else if (!nr_names)
		fprintf(stderr, "residue-search: no needles on stdin\n");
	return err ?: nr_names ? 0 : -EINVAL;
}

static void print_needle(unsigned int n)
{
	bool any = false;

	for (int where = 0; where < NR_WHERE; where++) {
		const struct count *count = &counts[n][where];

		if (!count->copies)
			continue;
		any = true;
		printf("found\t%s\t%s\t%lu\t%u\t%lu\n", names[n], where_names[where],
		       count->copies, count->longest, count->whole);
	}
	if (!any)
		printf("found\t%s\tnowhere\t0\t0\t0\n", names[n]);
}

static int print_report(const struct search *search)
{
	for (unsigned int n = 0; n < nr_names; n++)
		print_needle(n);
	for (size_t i = 0; i < process.nr_mappings; i++) {
		const struct mapping *mapping = &process.mappings[i];

		if (mapping->refused)
			printf("unreadable\t%s\t%" PRIu64 "\n",
			       mapping->name[0] ? mapping->name : "[anonymous]",
			       mapping->refused);
	}
	printf("searched\t%" PRIu64 "\t%zu\t%zu\n", search_bytes(search),
	       process.searched_mappings, process.nr_threads);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "residue-search: cannot write the result\n");
		return 2;
	}
	return 0;
}

/* Stopped, and the needles are known. */
static int begin(pid_t pid, char **argv, struct search *search)
{
	char why[512];
	int err;

	if (!argv) {
		err = read_needles(search);
		if (err)
			return err;
		err = process_attach(&process, pid, why, sizeof(why));
	} else {
		err = process_run_to_exit(&process, argv, why, sizeof(why));
	}
	if (err) {
		fprintf(stderr, "residue-search: %s\n", why);
		return err;
	}
	if (!argv)
		return 0;
	puts("ending");
	fflush(stdout);
	return read_needles(search);
}

static int search_process(pid_t pid, char **argv, struct search *search)
{
	int err, status = 2;

	err = begin(pid, argv, search);
	if (err)
		goto out;
	pid = process.pid;
	err = process_search(&process, search);
	if (err)
		fprintf(stderr, "residue-search: process %d: %s\n", (int)pid,
			err == -ESRCH ? "ended while it was searched" : strerror(-err));
	else
		status = print_report(search);
out:
	process_detach(&process);
	return status;
}

static int usage(void)
{
	fprintf(stderr, "usage: residue-search [-v] PID < needles\n"
			"       residue-search [-v] -x PROGRAM [ARGUMENT...] < needles\n"
			"  -v  also say on stderr where each copy lies\n"
			"  -x  run PROGRAM, and search it as it ends\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool to_exit = false;
	struct search *search;
	char *end = NULL;
	long pid = 0;
	int status, option;

	while ((option = getopt(argc, argv, "+vx")) > 0) {
		if (option == '?')
			return usage();
		verbose |= option == 'v';
		to_exit |= option == 'x';
	}
	argv += optind;
	if (!*argv || (!to_exit && argv[1]))
		return usage();
	if (!to_exit) {
		errno = 0;
		pid = strtol(*argv, &end, 10);
		if (end == *argv || *end || errno || pid <= 0 || pid > INT_MAX)
			return usage();
	}
	if (pid == getpid()) {
		fprintf(stderr, "residue-search: a process cannot search itself\n");
		return 2;
	}
	search = search_new(found, NULL);
	if (!search) {
		fprintf(stderr, "residue-search: %s\n", strerror(errno));
		return 2;
	}
	status = search_process(pid, to_exit ? argv : NULL, search);
	search_free(search);
	return status;
}
