/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Who holds secret pages: of the module by what it says itself, of memfd_secret and
 * mlock by /proc. What a process of somebody else's holds is for root to see.
 */
#ifndef LETHECTL_HOLDERS_H
#define LETHECTL_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/lethe.h>

/**
 * struct holder - a process that holds secret pages
 * @pid: it; 0 where it is gone, and others still have its regions
 * @command: its name, as it is: not escaped
 * @kmod: bytes of the module's pages
 * @memfd: of memfd_secret's that are mapped and there
 * @locked: of memory that is locked and kept from dumps
 * @regions: of the module
 * @descriptors: open ones of memfd_secret: each keeps the machine from hibernating
 */
struct holder {
	pid_t pid;
	char command[64];
	unsigned long long kmod, memfd, locked;
	unsigned int regions, descriptors;
};

/**
 * struct holders - all of them
 * @all: most bytes first
 * @nr: how many there are
 * @unseen: processes with locked memory that could not be looked into
 * @closed: processes whose descriptors could not be looked at, beside these
 * @hidden: processes of others show nothing, or are not listed (hidepid= of /proc)
 * @kmod_unseen: what the module's pages are held by others is not known
 */
struct holders {
	struct holder *all;
	size_t nr;
	unsigned int unseen, closed;
	bool hidden, kmod_unseen;
};

/**
 * struct module - lethe.ko, as far as it is seen
 * @there: it is loaded
 * @query: what LETHE_IOC_QUERY said, or what sysfs did
 * @queried: the former; else features and limits are not known
 * @error: why not: errno
 * @wipes: LETHE_IOC_WIPE calls, and the bytes; for root
 * @wiped_bytes: likewise
 * @has_wipes: they could be read
 * @hibernate: "wipe" or "veto"; "" where that could not be read
 */
struct module {
	bool there, queried, has_wipes;
	int error;
	struct lethe_query query;
	unsigned long long wipes, wiped_bytes;
	char hibernate[16];
};

/**
 * holders_look() - look at every process
 * @root: before /proc; "" for this machine
 * @looked: called with each process's number, and @arg; may be NULL
 *
 * Return: 0, and holders_free() has to follow; or -errno: there is no /proc, no memory.
 */
int holders_look(struct holders *holders, const char *root,
		 void (*looked)(pid_t pid, void *arg), void *arg);
/* What the module says of its own, in the place of what /proc does. 0 or -errno. */
int holders_add_module(struct holders *holders, const struct lethe_holder *rows,
		       size_t nr);
/* What this very process has, to look, is of no interest. */
void holders_forget(struct holders *holders, pid_t pid);
void holders_sort(struct holders *holders);
void holders_free(struct holders *holders);

/* By sysfs below @root and, where that is "", by the device. */
void module_look(struct module *module, const char *root);
/* The rows of LETHE_QUERY_HOLDERS in an array to free(): how many, or -errno. */
int module_holders(struct lethe_holder **rows);

#endif /* LETHECTL_HOLDERS_H */
