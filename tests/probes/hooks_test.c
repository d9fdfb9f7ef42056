// SPDX-License-Identifier: MIT
/*
 * What bpf/README.md says of the hooks of each probe by kernel is what this kernel has:
 * each is opened, and where it is attached is held against the table's column. With
 * --table it prints that column: what is to be put there, to be looked at.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "probes.h"

#define KERNELS_HEAD "| probe | sees | unseen without it |"
#define CELL_MAX 128

/* As it was when this was built: the guest has no other. */
extern const char readme[];
asm(".pushsection .rodata\n"
    "readme: .incbin \"bpf/README.md\"\n"
    ".byte 0\n"
    ".popsection");

/* The table's first line; ends the test if there is none. */
static const char *table(void)
{
	const char *head = strstr(readme, "\n" KERNELS_HEAD);

	if (!head)
		tap_bail("bpf/README.md has no table of hooks");
	return head + 1;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* What stands in a cell of @line: @column is 0 for the first. False: it ends before. */
static bool cell(const char *line, int column, char *text)
{
	const char *start = line + strspn(line, "|"), *end;
	const char *stop = line + strcspn(line, "\n");

	for (;; start = end + 1, column--) {
		end = memchr(start, '|', stop - start);
		if (!end)
			return false;
		if (!column)
			break;
	}
	while (start < end && *start == ' ')
		start++;
	while (end > start && end[-1] == ' ')
		end--;
	snprintf(text, CELL_MAX, "%.*s", (int)(end - start), start);
	return true;
}

/* Of the running kernel: "6.18" is for 6.18.44, and not for 6.1.180. -1: it has none. */
static int column_here(void)
{
	struct utsname name;
	char text[CELL_MAX];

	if (uname(&name))
		tap_bail("uname");
	for (int column = 3; cell(table(), column, text); column++) {
		size_t length = strcspn(text, " ");

		if (!strncmp(name.release, text, length) && name.release[length] == '.')
			return column;
	}
	return -1;
}

static const char *unseen(const struct hook *hook)
{
	return hook->unseen[0] ? hook->unseen : "nothing";
}

/* The line of @hook; NULL: the table lacks it, or has it in other words. */
static const char *row_of(const char *probe, const struct hook *hook)
{
	char start[512];
	const char *line;

	snprintf(start, sizeof(start), "| %s | %s | %s |", probe, hook->sees,
		 unseen(hook));
	for (line = table(); *line == '|'; line = next_line(line)) {
		if (!strncmp(line, start, strlen(start)))
			return line;
	}
	return NULL;
}

static void as_cell(const struct hook *hook, char *text)
{
	if (hook->attached)
		snprintf(text, CELL_MAX, "`%s`", hook->name);
	else
		snprintf(text, CELL_MAX, "no");
}

static void judge(const char *probe, const struct hook *hook, int column)
{
	const char *row = row_of(probe, hook);
	char here[CELL_MAX], there[CELL_MAX] = "no such row";

	as_cell(hook, here);
	if (row && !cell(row, column, there))
		snprintf(there, sizeof(there), "no such column");
	if (!hook->attached)
		tap_note("%s, %s: %s", probe, hook->name ? hook->name : "?",
			 hook->why_not);
	tap_ok(!strcmp(here, there) && (hook->attached || hook->why_not[0]),
	       "%s sees %s: %s, and the table has %s", probe, hook->sees, here, there);
}

static unsigned int rows(void)
{
	unsigned int nr = 0;

	/* Without its head, and the line below it. */
	for (const char *line = table(); *line == '|'; line = next_line(line))
		nr++;
	return nr - 2;
}

/* Of all probes, each of whose hooks @each is called for. How many hooks there are. */
static unsigned int for_each(void (*each)(const char *, const struct hook *, int),
			     int column)
{
	unsigned int all = 0;

	for (size_t i = 0; i < nr_probes; i++) {
		size_t nr = 0;
		const struct hook *hooks = probes[i].hooks ? probes[i].hooks(&nr) : NULL;

		for (size_t j = 0; each && j < nr; j++)
			each(probes[i].name, &hooks[j], column);
		all += nr;
	}
	return all;
}

static void print(const char *probe, const struct hook *hook, int column)
{
	char text[CELL_MAX];

	(void)column;
	as_cell(hook, text);
	printf("| %s | %s | %s | %s |\n", probe, hook->sees, unseen(hook), text);
}

int main(int argc, char *argv[])
{
	const char *why = "";
	unsigned int nr;
	int column;

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	for (size_t i = 0; i < nr_probes; i++) {
		if (probes[i].open(&why))
			tap_bail("%s: %s (%s)", probes[i].name, why, hook_complaint());
	}
	if (argc > 1 && !strcmp(argv[1], "--table")) {
		for_each(print, 0);
		probes_close();
		return 0;
	}
	column = column_here();
	if (column < 0)
		tap_skip_all("bpf/README.md has no column for this kernel");
	nr = for_each(NULL, column);
	tap_plan(nr + 1);
	for_each(judge, column);
	tap_ok(rows() == nr, "the table has as many rows as there are hooks: %u and %u",
	       rows(), nr);
	probes_close();
	return tap_end();
}
