// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where an address of the stopped process lies, in words that its programmer knows: a
 * symbol of a file, the stack of a thread, a variable of the environment.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "scan.h"

static uint64_t word_at(const struct scan *scan, uint64_t address)
{
	uint64_t word = 0;

	return memory_read(scan, address, &word, sizeof(word)) == sizeof(word) ? word : 0;
}

/* Past the words there up to a 0, and that. */
static uint64_t past_zero(const struct scan *scan, uint64_t at)
{
	size_t i;

	/* ARG_MAX is a quarter of the stack, of 8 MiB as a rule. */
	for (i = 0; i < 1 << 20; i++, at += 8)
		if (!word_at(scan, at))
			return at + 8;
	return 0;
}

void layout_read(struct scan *scan)
{
	struct start_layout *layout = &scan->layout;
	unsigned long long stack = 0, a = 0, b = 0, c = 0, d = 0;
	char path[64], line[1024], *after = NULL;
	FILE *stat;
	uint64_t at;

	*layout = (struct start_layout){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)scan->pid,
		 (int)scan->stopped.alive);
	stat = fopen(path, "re");
	if (!stat)
		return;
	if (fgets(line, sizeof(line), stat))
		after = strrchr(line, ')');
	fclose(stat);
	if (!after ||
	    sscanf(after + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %*u %*u %*d %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		   "%*u %*u %*u %*u %*d %*u %*u %*u %llu %llu %llu %llu",
		   &stack, &a, &b, &c, &d) != 5)
		return;
	layout->arguments = a;
	layout->arguments_end = b;
	layout->environment = c;
	layout->environment_end = d;
	/* argc; argv[] and a 0; envp[] and a 0; and the vector, which AT_NULL ends. */
	at = stack ? past_zero(scan, stack + 8) : 0;
	at = at ? past_zero(scan, at) : 0;
	layout->auxv = at;
	while (at && at < layout->auxv + 64 * 16 && word_at(scan, at) != AT_NULL)
		at += 16;
	layout->auxv_end = at ? at + 16 : 0;
}

/* The name of the variable that it is in the value of; "" if it is none's. */
static void variable(const struct scan *scan, uint64_t address, char *name, size_t room)
{
	uint64_t from = address, length;
	char text[256], *equals;
	ssize_t n;
	int c;

	while (from > scan->layout.environment &&
	       (c = memory_peek((void *)scan, from - 1)) > 0)
		from--;
	length = address - from < sizeof(text) - 1 ? address - from : sizeof(text) - 1;
	*name = '\0';
	n = memory_read(scan, from, text, length);
	if (n <= 0)
		return;
	text[n] = '\0';
	equals = strchr(text, '=');
	if (!equals)
		return;
	*equals = '\0';
	escape(name, room, text);
}

/* How many words were before it on the line. */
static unsigned int argument(const struct scan *scan, uint64_t address)
{
	uint64_t at;
	unsigned int n = 0;

	for (at = scan->layout.arguments; at < address; at++)
		n += memory_peek((void *)scan, at) == 0;
	return n;
}

static bool in(uint64_t address, uint64_t start, uint64_t end)
{
	return address >= start && address < end;
}

/* What the kernel put there as the program was started? */
static bool started_with(const struct scan *scan, uint64_t address, struct place *place)
{
	const struct start_layout *layout = &scan->layout;
	char name[128];

	if (in(address, layout->arguments, layout->arguments_end)) {
		snprintf(place->where, sizeof(place->where), "the arguments, number %u",
			 argument(scan, address));
	} else if (in(address, layout->environment, layout->environment_end)) {
		variable(scan, address, name, sizeof(name));
		snprintf(place->where, sizeof(place->where), "the environment%s%s",
			 *name ? ", variable " : "", name);
	} else if (in(address, layout->auxv, layout->auxv_end)) {
		snprintf(place->where, sizeof(place->where), "the auxiliary vector");
	} else {
		return false;
	}
	return true;
}

static pid_t stack_of(const struct scan *scan, const struct map *map)
{
	size_t i;

	for (i = 0; i < scan->stopped.nr_threads; i++)
		if (in(scan->stopped.threads[i].stack_pointer, map->start, map->end))
			return scan->stopped.threads[i].tid;
	return 0;
}

static uint64_t stack_pointer(const struct scan *scan, pid_t tid)
{
	size_t i;

	for (i = 0; i < scan->stopped.nr_threads; i++)
		if (scan->stopped.threads[i].tid == tid)
			return scan->stopped.threads[i].stack_pointer;
	return 0;
}

void place_find(struct scan *scan, uint64_t address, struct place *place)
{
	const struct map *map = maps_find(&scan->maps, address);
	char name[160];

	*place = (struct place){ .address = address, .map = map, .kind = "memory" };
	if (!map)
		return;
	place->offset = address - map->start;
	escape(name, sizeof(name), map->name);
	if (started_with(scan, address, place))
		return;
	if (map->file != SIZE_MAX) {
		const struct map *file = &scan->maps.map[map->file];

		if (symbol_find(scan, file, address, place->symbol, sizeof(place->symbol),
				&place->offset)) {
			escape(name, sizeof(name), file->name);
			snprintf(place->where, sizeof(place->where), "%s%s of %.100s",
				 place->symbol, map == file ? "" : " (.bss)", name);
			return;
		}
	}
	place->tid = stack_of(scan, map);
	if (map->kind == KIND_STACK || place->tid)
		snprintf(place->where, sizeof(place->where), "%s%s",
			 place->tid ? "the stack" : "the first thread's stack",
			 place->tid && address < stack_pointer(scan, place->tid) ?
				 ", its dead part" :
				 "");
	else
		snprintf(place->where, sizeof(place->where), "%s",
			 *name ? name : "anonymous memory");
}
