// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Reads /proc/pid/maps, and smaps of the few processes that have locked memory, for
 * what is secret there; and pagemap for the frames. Most processes have neither, and
 * cost the reading of two small files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "mappings.h"

#define PAGE 4096ULL
/* Of an entry of pagemap. */
#define PRESENT (1ULL << 63)
#define FRAME_NUMBER ((1ULL << 55) - 1)

/* A file of /proc/pid that was read whole; the text ends with a zero. */
struct text {
	char *at;
	size_t size, room;
};

static int open_of(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

static int make_room(struct text *text, size_t more)
{
	size_t room = text->room ? text->room * 2 : 65536;
	char *at;

	if (text->size + more < text->room)
		return 0;
	at = realloc(text->at, room);
	if (!at)
		return -ENOMEM;
	text->at = at;
	text->room = room;
	return 0;
}

static int read_whole(pid_t pid, const char *name, struct text *text)
{
	int fd = open_of(pid, name);
	ssize_t got;
	int err;

	text->size = 0;
	if (fd < 0)
		return fd;
	do {
		err = make_room(text, 16384);
		if (err)
			goto out;
		got = read(fd, text->at + text->size, text->room - text->size - 1);
		if (got < 0) {
			err = -errno;
			goto out;
		}
		text->size += got;
	} while (got);
out:
	if (text->at)
		text->at[text->size] = '\0';
	close(fd);
	return err;
}

/* Lists are of few mappings: they grow by one. */
static int add_mapping(struct mapping **mappings, int nr, const struct mapping *mapping)
{
	struct mapping *more = realloc(*mappings, (nr + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	more[nr] = *mapping;
	*mappings = more;
	return nr + 1;
}

/**
 * struct area - a mapping, as the first line that /proc has for it says it
 * @at: where, and of which kind by its name alone
 * @anonymous: of no file
 */
struct area {
	struct mapping at;
	bool anonymous;
};

/* The module's is an anonymous inode; memfd_secret's file system has no directory. */
static unsigned int kind_of_path(const char *path)
{
	if (!strncmp(path, "/secretmem", 10) && (!path[10] || path[10] == ' '))
		return FRAME_MEMFD;
	if (path[0] != '/' && strstr(path, "[lethe]"))
		return FRAME_KMOD;
	return 0;
}

/* False: it is no such line, but one of those that follow it in smaps. */
static bool parse_area(const char *line, struct area *area)
{
	unsigned long long inode;
	int path = 0;

	if (sscanf(line, "%llx-%llx %*s %*s %*s %llu %n", &area->at.start, &area->at.end,
		   &inode, &path) < 3)
		return false;
	area->at.kind = path ? kind_of_path(line + path) : 0;
	area->anonymous = !inode;
	return true;
}

/* Locked, kept from core dumps and from a fork's child: as the mlock backend does. */
static bool flags_are_secret(const char *line)
{
	return strstr(line, " lo") && strstr(line, " dd") && strstr(line, " dc");
}

/* Of maps or of smaps: in the former there are no flags to be found. */
static int parse(char *text, struct mapping **mappings)
{
	struct area area = { 0 };
	char *line, *rest = text;
	int nr = 0;

	while ((line = strsep(&rest, "\n"))) {
		if (*line >= 'A' && *line <= 'Z') {
			if (strncmp(line, "VmFlags:", 8) || !area.anonymous ||
			    area.at.kind || !flags_are_secret(line))
				continue;
			area.at.kind = FRAME_LOCKED;
		} else if (!parse_area(line, &area) || !area.at.kind) {
			continue;
		}
		nr = add_mapping(mappings, nr, &area.at);
		if (nr < 0)
			return nr;
	}
	return nr;
}

/* A child that inherited a memfd_secret has it mapped, and none of it counted here. */
static bool has_locked(const char *status)
{
	const char *line = strstr(status, "\nVmLck:");

	return line && strtoull(line + 7, NULL, 10);
}

int mappings_secret(pid_t pid, struct mapping **mappings)
{
	static __thread struct text text, status;
	int nr;

	*mappings = NULL;
	nr = read_whole(pid, "maps", &text);
	/* A kernel thread has none, nor has a process whose memory is gone already. */
	if (nr || !text.size)
		return nr;
	nr = read_whole(pid, "status", &status);
	if (!nr && has_locked(status.at))
		nr = read_whole(pid, "smaps", &text);
	if (nr)
		return nr;
	nr = parse(text.at, mappings);
	if (nr < 0) {
		free(*mappings);
		*mappings = NULL;
	}
	return nr;
}

int mapped_pages_add(struct mapped_pages *pages, const struct mapped_page *page)
{
	size_t room = pages->room ? pages->room * 2 : 256;
	struct mapped_page *more;

	if (pages->nr == pages->room) {
		more = realloc(pages->page, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		pages->page = more;
		pages->room = room;
	}
	pages->page[pages->nr++] = *page;
	return 0;
}

void mapped_pages_free(struct mapped_pages *pages)
{
	free(pages->page);
	*pages = (struct mapped_pages){ 0 };
}

/* As many entries as there are; none where the process is gone. -errno. */
static ssize_t read_entries(int fd, unsigned long long address, unsigned long long *entry,
			    size_t nr)
{
	ssize_t got = pread(fd, entry, nr * sizeof(*entry),
			    address / PAGE * sizeof(*entry));

	return got < 0 ? -errno : got / (ssize_t)sizeof(*entry);
}

static int pages_of(int fd, pid_t pid, const struct mapping *mapping,
		    struct mapped_pages *pages)
{
	struct mapped_page page = { .pid = pid, .kind = mapping->kind };
	unsigned long long entry[1024];
	unsigned long long at, left;
	ssize_t got, i;
	int err;

	for (at = mapping->start; at < mapping->end; at += got * PAGE) {
		left = (mapping->end - at) / PAGE;
		got = read_entries(fd, at, entry, left < 1024 ? left : 1024);
		if (got <= 0)
			return got;
		for (i = 0; i < got; i++) {
			if (!(entry[i] & PRESENT))
				continue;
			page.frame = entry[i] & FRAME_NUMBER;
			page.address = at + i * PAGE;
			/* To whom frames are not for, each is told as 0. */
			err = page.frame ? mapped_pages_add(pages, &page) : -EPERM;
			if (err)
				return err;
		}
	}
	return 0;
}

/* Of the module's pagemap says nothing; but all of a region is always in memory. */
static int pages_of_region(pid_t pid, const struct mapping *mapping,
			   struct mapped_pages *pages)
{
	struct mapped_page page = { .pid = pid,
				    .kind = mapping->kind,
				    .frame = NO_FRAME,
				    .address = mapping->start };
	int err = 0;

	for (; page.address < mapping->end && !err; page.address += PAGE)
		err = mapped_pages_add(pages, &page);
	return err;
}

int mappings_pages(pid_t pid, const struct mapping *mapping, int nr,
		   struct mapped_pages *pages)
{
	int fd = open_of(pid, "pagemap");
	int err = 0;

	if (fd < 0)
		return fd;
	for (; nr && !err; nr--, mapping++)
		err = mapping->kind == FRAME_KMOD ? pages_of_region(pid, mapping, pages) :
						    pages_of(fd, pid, mapping, pages);
	close(fd);
	return err;
}

long long mappings_own_frame(const void *address)
{
	int fd = open_of(getpid(), "pagemap");
	unsigned long long entry;
	ssize_t got;

	if (fd < 0)
		return fd;
	got = read_entries(fd, (unsigned long)address, &entry, 1);
	close(fd);
	if (got < 0)
		return got;
	if (!got || !(entry & PRESENT))
		return -ENODATA;
	return entry & FRAME_NUMBER ? (long long)(entry & FRAME_NUMBER) : -EPERM;
}

void mappings_command(pid_t pid, char command[16])
{
	int fd = open_of(pid, "comm");
	ssize_t got = fd < 0 ? 0 : read(fd, command, 15);

	if (fd >= 0)
		close(fd);
	command[got > 0 ? got : 0] = '\0';
	command[strcspn(command, "\n")] = '\0';
}
