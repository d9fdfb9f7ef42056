// SPDX-License-Identifier: MIT
/*
 * One row, once: in a secret section, or plainly, and then still for a search. It knows
 * nothing of what is found.
 *
 *	residue-row ROW section|plainly < secret
 *	residue-row --rows		what the driver has to know of each, tab-separated
 *
 * Descriptor 3 is a socket of whole messages, to the driver: a letter, S and a secret or P
 * and a process. Exit status 1, and why on stderr: it went wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../selftests/registers.h"
#include "row.h"
#include "tables.h"

#define TELL 3

bool row_protected;

void row_die(const char *what)
{
	fprintf(stderr, "residue-row: %s: %s\n", what, strerror(errno));
	_exit(1);
}

void row_take(uint8_t secret[ROW_SECRET])
{
	size_t have = 0;
	ssize_t n;

	while (have < ROW_SECRET) {
		n = read(STDIN_FILENO, secret + have, ROW_SECRET - have);
		if (n <= 0)
			row_die("no secret on stdin");
		have += (size_t)n;
	}
}

static void tell(char letter, const void *what, size_t length)
{
	struct iovec parts[] = { { &letter, 1 }, { (void *)what, length } };

	if (writev(TELL, parts, 2) != (ssize_t)(1 + length))
		row_die("descriptor 3");
}

void row_reveal(const void *secret, size_t length)
{
	tell('S', secret, length);
}

void row_child(long pid)
{
	tell('P', &pid, sizeof(pid));
}

void row_scrub(volatile void *start, size_t length)
{
	volatile uint8_t *byte = start;

	for (size_t i = 0; i < length; i++)
		byte[i] = 0;
}

void row_section(const struct row *row, void (*fn)(void *arg), void *arg)
{
	struct lethe_options options = row->options;
	int err;

	if (!row_protected) {
		fn(arg);
		return;
	}
	options.size = sizeof(options);
	err = lethe_do_with(&options, fn, arg, NULL);
	if (err) {
		errno = -err;
		row_die("no section");
	}
}

void row_inside(void *arg)
{
	const struct row *row = arg;
	uint8_t secret[ROW_SECRET];

	if (row->source != ROW_GIVEN) {
		row->inside(NULL);
		return;
	}
	row_take(secret);
	row->inside(secret);
	row_scrub(secret, sizeof(secret));
}

void row_run(const struct row *row)
{
	row_section(row, row_inside, (void *)row);
}

static const struct row *named(const char *name)
{
	for (const struct row *const *table = row_tables; *table; table++)
		for (const struct row *row = *table; row->name; row++)
			if (!strcmp(row->name, name))
				return row;
	return NULL;
}

static const char *text(const char *text_or_null)
{
	return text_or_null ? text_or_null : "";
}

static void print(const struct row *row)
{
	printf("%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", row->name, row->source, row->seen,
	       row->kind, text(row->where), text(row->clause[ROW_KMOD]),
	       text(row->clause[ROW_MEMFD_SECRET]), text(row->clause[ROW_MLOCK]),
	       text(row->cannot ? row->cannot() : NULL));
}

int main(int argc, char **argv)
{
	const struct row *row;

	registers_look();
	if (argc == 2 && !strcmp(argv[1], "--rows")) {
		for (const struct row *const *table = row_tables; *table; table++)
			for (row = *table; row->name; row++)
				print(row);
		return 0;
	}
	row = argc == 3 ? named(argv[1]) : NULL;
	if (!row || (strcmp(argv[2], "section") && strcmp(argv[2], "plainly"))) {
		fprintf(stderr, "usage: %s ROW section|plainly < secret; or --rows\n",
			argv[0]);
		return 1;
	}
	row_protected = !strcmp(argv[2], "section");
	/* Where Yama lets only a parent attach, the searcher may be none. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	if (row->before)
		row->before();
	if (row->around)
		row->around(row);
	else
		row_run(row);
	row_stop();
}
