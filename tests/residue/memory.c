// SPDX-License-Identifier: MIT
/*
 * The memory of a stopped process: what is mapped, what it is, and its bytes.
 *
 * Every mapping that holds a page is read, also one that its owner may not read
 * now. What the kernel refuses is counted, and never taken for clean.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process.h"

#define PAGE ((size_t)4096)
#define BUFFER ((size_t)1024 * 1024)

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)

static int open_proc(const struct process *process, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)process->pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

/* A line of /proc/pid/maps, which smaps repeats; false: another of smaps. */
static bool parse_mapping(const char *line, struct mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	unsigned long inode;
	char rights[5];
	int name = 0;
	size_t length;

	*mapping = (struct mapping){ 0 };
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %lu %n",
		   &mapping->start, &mapping->end, rights, &inode, &name) < 4)
		return false;
	mapping->readable = rights[0] == 'r';
	mapping->file = inode != 0;
	line += name;
	length = strcspn(line, "\n");
	if (length >= sizeof(deleted) - 1 &&
	    !strncmp(line + length - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1))
		length -= sizeof(deleted) - 1;
	/* Of a long path, the end says more. */
	if (length >= sizeof(mapping->name)) {
		line += length - (sizeof(mapping->name) - 1);
		length = sizeof(mapping->name) - 1;
	}
	memcpy(mapping->name, line, length);
	return true;
}

static void parse_detail(const char *line, struct mapping *mapping)
{
	unsigned long kib;

	if (sscanf(line, "Rss: %lu", &kib) == 1 || sscanf(line, "Swap: %lu", &kib) == 1)
		mapping->populated |= kib > 0;
	if (!strncmp(line, "VmFlags:", 8)) {
		mapping->locked = strstr(line, " lo");
		mapping->dontdump = strstr(line, " dd");
	}
}

static bool holds_stack(const struct process *process, const struct mapping *mapping)
{
	for (size_t i = 0; i < process->nr_threads; i++) {
		uint64_t sp = process->threads[i].stack_pointer;

		if (sp >= mapping->start && sp < mapping->end)
			return true;
	}
	return false;
}

static bool is_secret(const struct mapping *mapping)
{
	if (mapping->file)
		return ends_with(mapping->name, "/secretmem") ||
		       ends_with(mapping->name, "[lethe]") ||
		       ends_with(mapping->name, "/dev/lethe");
	return mapping->locked && mapping->dontdump;
}

static enum where classify(const struct process *process, const struct mapping *mapping,
			   const struct mapping *before)
{
	if (is_secret(mapping))
		return WHERE_SECRET;
	if (!strcmp(mapping->name, "[stack]") || holds_stack(process, mapping))
		return WHERE_STACK;
	if (!strcmp(mapping->name, "[heap]"))
		return WHERE_HEAP;
	if (mapping->file)
		return WHERE_LIBRARY;
	if (before && before->where == WHERE_LIBRARY && !mapping->name[0] &&
	    before->end == mapping->start)
		return WHERE_LIBRARY;
	return WHERE_ANONYMOUS;
}

static int add_mapping(struct process *process, const struct mapping *mapping)
{
	struct mapping *more;

	more = reallocarray(process->mappings, process->nr_mappings + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	process->mappings = more;
	more[process->nr_mappings++] = *mapping;
	return 0;
}

int memory_open(struct process *process)
{
	struct mapping mapping;
	char *line = NULL;
	size_t room = 0;
	int fd, err = 0;
	FILE *smaps;

	process->memory = open_proc(process, "mem");
	process->pagemap = open_proc(process, "pagemap");
	fd = open_proc(process, "smaps");
	smaps = fd < 0 ? NULL : fdopen(fd, "r");
	if (!smaps)
		return -errno;
	while (!err && getline(&line, &room, smaps) >= 0) {
		if (parse_mapping(line, &mapping))
			err = add_mapping(process, &mapping);
		else if (process->nr_mappings)
			parse_detail(line, &process->mappings[process->nr_mappings - 1]);
	}
	if (!err && ferror(smaps))
		err = -EIO;
	free(line);
	fclose(smaps);
	for (size_t i = 0; i < process->nr_mappings; i++)
		process->mappings[i].where = classify(process, &process->mappings[i],
						      i ? &process->mappings[i - 1] :
							  NULL);
	/* A process that is ending has no mappings: not a clean one. */
	return err ?: process->nr_mappings ? 0 : -ESRCH;
}

void memory_close(struct process *process)
{
	if (process->memory >= 0)
		close(process->memory);
	if (process->pagemap >= 0)
		close(process->pagemap);
	free(process->mappings);
	process->mappings = NULL;
	process->nr_mappings = 0;
}

const struct mapping *process_mapping(const struct process *process, uint64_t address)
{
	for (size_t i = 0; i < process->nr_mappings; i++) {
		const struct mapping *mapping = &process->mappings[i];

		if (address >= mapping->start && address < mapping->end)
			return mapping;
	}
	return NULL;
}

/*
 * Only of ordinary anonymous memory does the page map say that a page was never
 * touched: a mapped file has bytes without one, and secret pages and [vvar]
 * never show any.
 */
static bool is_ordinary(const struct mapping *mapping)
{
	return !mapping->file &&
	       (mapping->name[0] != '[' || !strcmp(mapping->name, "[heap]") ||
		!strcmp(mapping->name, "[stack]") ||
		!strncmp(mapping->name, "[anon:", 6));
}

/* Which of these pages to read: all, where the page map cannot be asked. */
static void ask_pagemap(const struct process *process, uint64_t address, size_t pages,
			bool ordinary, bool *wanted)
{
	uint64_t entries[BUFFER / PAGE];
	size_t length = pages * sizeof(entries[0]);
	bool known;

	known = ordinary && process->pagemap >= 0 &&
		pread(process->pagemap, entries, length,
		      address / PAGE * sizeof(entries[0])) == (ssize_t)length;
	for (size_t i = 0; i < pages; i++)
		wanted[i] = !known || entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);
}

static ssize_t read_memory(const struct process *process, uint64_t address, void *to,
			   size_t length)
{
	struct iovec local = { .iov_base = to, .iov_len = length };
	struct iovec remote = { .iov_base = (void *)address, .iov_len = length };
	ssize_t n;

	n = process_vm_readv(process->pid, &local, 1, &remote, 1, 0);
	if (n > 0 || (n < 0 && errno == ESRCH))
		return n < 0 ? -errno : n;
	/* This way also what the process itself may not read now. */
	n = pread(process->memory, to, length, address);
	return n < 0 ? -errno : n;
}

/* Pages of one kind, in a row. */
static int search_pages(struct process *process, struct mapping *mapping,
			uint64_t address, size_t length, struct search *search,
			void *buffer)
{
	while (length) {
		ssize_t n = read_memory(process, address, buffer, length);

		if (n == -ESRCH)
			return n;
		if (n > 0) {
			search_feed(search, address, buffer, n);
		} else {
			n = PAGE - address % PAGE;
			mapping->refused += n;
		}
		address += n;
		length -= n;
	}
	return 0;
}

static int search_mapping(struct process *process, struct mapping *mapping,
			  struct search *search, void *buffer)
{
	bool wanted[BUFFER / PAGE], ordinary = is_ordinary(mapping);
	uint64_t address = mapping->start;
	size_t pages, i, n;
	int err = 0;

	while (!err && address < mapping->end) {
		pages = (mapping->end - address) / PAGE;
		if (pages > BUFFER / PAGE)
			pages = BUFFER / PAGE;
		ask_pagemap(process, address, pages, ordinary, wanted);
		for (i = 0; !err && i < pages; i += n) {
			for (n = 1; i + n < pages && wanted[i + n] == wanted[i];)
				n++;
			if (wanted[i])
				err = search_pages(process, mapping, address + i * PAGE,
						   n * PAGE, search, buffer);
		}
		address += pages * PAGE;
	}
	return err;
}

int memory_search(struct process *process, struct search *search)
{
	void *buffer = malloc(BUFFER);
	int err = buffer ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < process->nr_mappings; i++) {
		struct mapping *mapping = &process->mappings[i];

		/* Also saves a walk over a reservation of many gigabytes. */
		if (is_ordinary(mapping) && !mapping->populated)
			continue;
		process->searched_mappings++;
		err = search_mapping(process, mapping, search, buffer);
	}
	search_gap(search);
	if (buffer)
		explicit_bzero(buffer, BUFFER);
	free(buffer);
	return err;
}
