// SPDX-License-Identifier: MIT
/*
 * The rows of the residue table, each plainly and then in a secret section on every
 * backend that this machine has, and the verdict on each. What "found nothing" is worth
 * is told beside it: the same search, of the same function, plainly.
 *
 *	residue-table [--backend NAME] [--row NAME]... [--hollow FILE] PROGRAM...
 *
 * --hollow preloads a lethe_do() that protects from nothing: then every row has to be
 * noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../record.h"
#include "measure.h"

#define ROWS_MAX 128

static struct known rows[ROWS_MAX];
static unsigned int nr_rows;

static const char *const names[ROW_BACKENDS] = {
	[ROW_KMOD] = "kmod",
	[ROW_MEMFD_SECRET] = "memfd_secret",
	[ROW_MLOCK] = "mlock",
};

static const char *only_backend, *hollow;
static const char *only_rows[ROWS_MAX];
static unsigned int nr_only_rows;

static bool wanted(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_only_rows && strcmp(only_rows[i], name); i++)
		;
	return !nr_only_rows || i < nr_only_rows;
}

static bool have(unsigned int backend)
{
	int fd = -1;

	if (backend == ROW_KMOD)
		fd = open("/dev/lethe", O_RDWR | O_CLOEXEC);
	else if (backend == ROW_MEMFD_SECRET)
		fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	else
		return true;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static char *next_field(char **line)
{
	char *field = strsep(line, "\t");

	if (!field)
		tap_bail("a row program says of a row less than there is to know");
	return field;
}

static void learn_row(const char *program, char *line)
{
	struct known *row = &rows[nr_rows];

	line[strcspn(line, "\n")] = '\0';
	if (nr_rows == ROWS_MAX)
		tap_bail("more than %d rows", ROWS_MAX);
	line = strdup(line);
	row->program = program;
	row->name = next_field(&line);
	row->source = (enum row_source)atoi(next_field(&line));
	row->seen = (enum row_seen)atoi(next_field(&line));
	row->kind = (enum row_kind)atoi(next_field(&line));
	row->where = next_field(&line);
	for (unsigned int i = 0; i < ROW_BACKENDS; i++)
		row->clause[i] = next_field(&line);
	row->cannot = next_field(&line);
	nr_rows += wanted(row->name);
}

static void learn(const char *program)
{
	char command[512], *line = NULL;
	size_t room = 0;
	FILE *said;

	snprintf(command, sizeof(command), "'%s' --rows", program);
	said = popen(command, "re");
	while (said && getline(&line, &room, said) > 0)
		learn_row(program, line);
	free(line);
	if (!said || pclose(said))
		tap_bail("%s does not say which rows it has", program);
}

static void judge(const struct known *row, unsigned int backend, const struct cell *plain,
		  const struct cell *cell)
{
	const char *why = row->clause[backend];
	const char *wrong = NULL;

	if (!plain->copies)
		wrong = "the control finds nothing";
	else if (!plain->there)
		wrong = "the control finds nothing where the row is";
	else if (cell->copies && (!*why || backend == ROW_KMOD))
		wrong = "copies are left";
	else if (!cell->copies && *why)
		wrong = "there are none where it is said that there have to be";
	residue_record(row->name, names[backend], plain->copies, cell->copies,
		       cell->searched, cell->copies ? why : "");
	tap_ok(!wrong, "%s, %s: %llu copies, plainly %llu%s%s%s%s", row->name,
	       names[backend], (unsigned long long)cell->copies,
	       (unsigned long long)plain->copies, *why ? ", since " : "", why,
	       wrong ? ": " : "", wrong ? wrong : "");
	if (cell->copies)
		tap_note("in %s", cell->where);
}

static void notice(const struct known *row, unsigned int backend,
		   const struct cell *plain, const struct cell *cell)
{
	tap_ok(plain->there && cell->copies,
	       "%s, %s: a section that protects from nothing is noticed (%llu copies)",
	       row->name, names[backend], (unsigned long long)cell->copies);
}

/* A row's cells, once measured; the last is the control. */
static void judge_row(const struct known *row, const bool *on,
		      struct measuring *measuring)
{
	char why[512], why_plain[512];
	struct cell plain, cell;
	bool control, good;

	control = measure_end(&measuring[ROW_BACKENDS], &plain, why_plain,
			      sizeof(why_plain));
	if (control)
		tap_note("%s, plainly: %s", row->name,
			 *plain.where ? plain.where : "nothing");
	for (unsigned int i = 0; i < ROW_BACKENDS; i++) {
		if (!on[i])
			continue;
		good = measure_end(&measuring[i], &cell, why, sizeof(why));
		if (!control)
			tap_ok(false, "%s, plainly: %s", row->name, why_plain);
		else if (!good)
			tap_ok(false, "%s, %s: %s", row->name, names[i], why);
		else if (hollow)
			notice(row, i, &plain, &cell);
		else
			judge(row, i, &plain, &cell);
	}
}

static void run_row(const struct known *row, const bool *on)
{
	struct measuring measuring[ROW_BACKENDS + 1];

	for (unsigned int i = 0; i < ROW_BACKENDS; i++) {
		if (on[i] && *row->cannot)
			tap_skip(row->cannot, "%s, %s", row->name, names[i]);
		else if (on[i])
			measure_begin(&measuring[i], row, names[i], hollow);
	}
	if (*row->cannot)
		return;
	measure_begin(&measuring[ROW_BACKENDS], row, NULL, NULL);
	judge_row(row, on, measuring);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' },
		{ "row", required_argument, NULL, 'r' },
		{ "hollow", required_argument, NULL, 'h' },
		{ 0 },
	};
	bool on[ROW_BACKENDS];
	unsigned int backends = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'b')
			only_backend = optarg;
		else if (option == 'r' && nr_only_rows < ROWS_MAX)
			only_rows[nr_only_rows++] = optarg;
		else if (option == 'h')
			hollow = optarg;
		else
			return 2;
	}
	for (; optind < argc; optind++)
		learn(argv[optind]);
	for (unsigned int i = 0; i < ROW_BACKENDS; i++) {
		on[i] = only_backend ? !strcmp(only_backend, names[i]) : have(i);
		backends += on[i];
	}
	if (!nr_rows || !backends) {
		fprintf(stderr,
			"residue-table: no such row, or no such backend: --row is one "
			"of PROGRAM --rows, --backend one of kmod, memfd_secret, mlock\n");
		return 2;
	}
	tap_plan(nr_rows * backends);
	for (unsigned int i = 0; i < nr_rows; i++)
		run_row(&rows[i], on);
	return tap_end();
}
