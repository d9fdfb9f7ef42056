/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which mappings of a process are secret, by what /proc says of them, and on which
 * frames their pages are just then. Reads no byte of the pages, and changes nothing.
 */
#ifndef LETHE_BPF_MAPPINGS_H
#define LETHE_BPF_MAPPINGS_H

#include <stddef.h>
#include <sys/types.h>

/**
 * struct mapping - a secret mapping
 * @start: of it
 * @end: behind it
 * @kind: FRAME_KMOD, FRAME_MEMFD or FRAME_LOCKED (frames.h)
 */
struct mapping {
	unsigned long long start, end;
	unsigned int kind;
};

#define NO_FRAME (~0ULL)

/**
 * struct mapped_page - a page of one that is in memory
 * @frame: its frame; NO_FRAME where that is not told
 * @address: where it is mapped
 * @pid: in which process
 * @kind: as its mapping
 */
struct mapped_page {
	unsigned long long frame, address;
	pid_t pid;
	unsigned int kind;
};

/**
 * struct mapped_pages - a list of them
 * @page: the pages
 * @nr: how many there are
 * @room: how many there is memory for
 */
struct mapped_pages {
	struct mapped_page *page;
	size_t nr, room;
};

/*
 * The secret mappings of @pid, by address, in an array to free(). How many; or -errno:
 * -ESRCH where there is no such process (a kernel thread has no mappings, and no
 * error), -EACCES where it may not be looked into.
 */
int mappings_secret(pid_t pid, struct mapping **mappings);

/* Appends the pages of @nr mappings of @pid that are in memory. 0 or -errno. */
int mappings_pages(pid_t pid, const struct mapping *mapping, int nr,
		   struct mapped_pages *pages);

/* The frame of this process's page at @address; -ENODATA: none. Or -errno. */
long long mappings_own_frame(const void *address);

/* Appends one page. 0 or -ENOMEM. */
int mapped_pages_add(struct mapped_pages *pages, const struct mapped_page *page);
void mapped_pages_free(struct mapped_pages *pages);

/* The name of @pid: "" where it is gone. */
void mappings_command(pid_t pid, char command[16]);

#endif /* LETHE_BPF_MAPPINGS_H */
