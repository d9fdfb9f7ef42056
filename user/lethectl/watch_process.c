// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Names for what events have numbers for: the command of a process, and which mapping
 * an address is in. A few processes are remembered for a second, so that as many
 * events as come cost no more; nothing is waited for, and nothing of a process is read
 * but its list of mappings.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

#define PROCESSES 16
/* A list that is longer than this is not read to its end. */
#define MAPS_MAX (1 << 20)
#define REMEMBERED 1000000000ULL

struct mapping {
	unsigned long long start, end, offset;
	const char *name;
};

static struct process {
	pid_t pid;
	unsigned long long when;
	char command[16];
	char *text;
	struct mapping *mappings;
	size_t nr;
	/* The mappings are as new as @when. */
	bool is_current;
} processes[PROCESSES];

static size_t read_file(pid_t pid, const char *name, char *to, size_t room)
{
	size_t length = 0;
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while (length < room - 1) {
			n = read(fd, to + length, room - 1 - length);
			if (n <= 0)
				break;
			length += (size_t)n;
		}
		close(fd);
	}
	to[length] = '\0';
	return length;
}

static void forget(struct process *process)
{
	free(process->text);
	free(process->mappings);
	memset(process, 0, sizeof(*process));
}

void watch_forget(void)
{
	int i;

	for (i = 0; i < PROCESSES; i++)
		forget(&processes[i]);
}

static void read_command(struct process *process)
{
	char command[sizeof(process->command)];

	/* One that is gone keeps what it had. */
	if (!read_file(process->pid, "comm", command, sizeof(command)))
		return;
	command[strcspn(command, "\n")] = '\0';
	memcpy(process->command, command, sizeof(command));
}

/* Remembered, or in the place of the one that is oldest. */
static struct process *find(pid_t pid)
{
	unsigned long long now = watch_now();
	struct process *found = &processes[0];
	int i;

	for (i = 0; i < PROCESSES && processes[i].pid != pid; i++)
		if (processes[i].when < found->when)
			found = &processes[i];
	if (i < PROCESSES) {
		found = &processes[i];
		if (now - found->when < REMEMBERED)
			return found;
	} else {
		forget(found);
		found->pid = pid;
	}
	found->when = now;
	found->is_current = false;
	read_command(found);
	return found;
}

const char *watch_command(pid_t pid)
{
	return pid > 0 ? find(pid)->command : "";
}

static bool parse(char *line, struct mapping *mapping)
{
	int name = 0;

	if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &mapping->start, &mapping->end,
		   &mapping->offset, &name) < 3)
		return false;
	mapping->name = name ? line + name : "";
	return true;
}

static void parse_all(struct process *process)
{
	char *line, *next;
	size_t lines = 1;

	for (line = process->text; *line; line++)
		lines += *line == '\n';
	process->mappings = calloc(lines, sizeof(*process->mappings));
	for (line = process->text; process->mappings && *line; line = next) {
		next = strchrnul(line, '\n');
		/* The last one may have been cut. */
		if (!*next)
			break;
		*next++ = '\0';
		if (parse(line, &process->mappings[process->nr]))
			process->nr++;
	}
}

static void read_mappings(struct process *process)
{
	char *text = malloc(MAPS_MAX);
	size_t length;

	process->is_current = true;
	if (!text)
		return;
	length = read_file(process->pid, "maps", text, MAPS_MAX);
	if (!length) {
		free(text);
		return;
	}
	free(process->text);
	free(process->mappings);
	process->nr = 0;
	process->text = realloc(text, length + 1) ?: text;
	parse_all(process);
}

const char *watch_mapping(pid_t pid, unsigned long long address,
			  unsigned long long *offset)
{
	struct process *process;
	size_t low = 0, high, at;

	if (pid <= 0)
		return NULL;
	process = find(pid);
	if (!process->is_current)
		read_mappings(process);
	for (high = process->nr; low < high;) {
		const struct mapping *m = &process->mappings[at = (low + high) / 2];

		if (address < m->start) {
			high = at;
		} else if (address >= m->end) {
			low = at + 1;
		} else {
			*offset = address - m->start + m->offset;
			return m->name;
		}
	}
	return NULL;
}
