// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Every process's mappings and descriptors, by /proc. Only where a process has locked
 * memory are its mappings read, which takes the kernel long. Processes come and go
 * meanwhile: one that is gone holds nothing. Stops and changes none of them.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "holders.h"

/* As the kernel names the file: on no file system that is mounted, so on device 0. */
#define SECRETMEM "/secretmem (deleted)"
#define REGION "anon_inode:[lethe]"

static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

static bool is_refused(int err)
{
	return err == -EACCES || err == -EPERM;
}

/* "VmLck:	     24 kB" of a process's status. */
static unsigned long long locked_of(const char *status)
{
	const char *line = strstr(status, "\nVmLck:");

	return line ? strtoull(line + 7, NULL, 10) * 1024 : 0;
}

/* A mapping of smaps as it is read: first its line, then what is in it, VmFlags last. */
struct mapping {
	bool secretmem, anonymous, region;
	unsigned long long length, resident;
};

static bool begins_mapping(const char *line, struct mapping *mapping)
{
	unsigned long long start, end, inode;
	unsigned int major;
	int at = 0;

	if (sscanf(line, "%llx-%llx %*s %*x %x:%*x %llu %n", &start, &end, &major, &inode,
		   &at) != 4 ||
	    !at)
		return false;
	*mapping = (struct mapping){
		.secretmem = !major && inode && !strcmp(line + at, SECRETMEM "\n"),
		.region = !strcmp(line + at, REGION "\n"),
		.anonymous = !inode,
		.length = end - start,
	};
	return true;
}

/* A line of smaps; VmFlags, of a mapping that counts, are where it is counted. */
static void take(struct holder *holder, struct mapping *mapping, const char *line)
{
	unsigned long long size;

	if (begins_mapping(line, mapping))
		return;
	if (sscanf(line, "Rss: %llu kB", &size) == 1)
		mapping->resident = size * 1024;
	if (strncmp(line, "VmFlags:", 8))
		return;
	if (mapping->secretmem)
		holder->memfd += mapping->resident;
	else if (mapping->region)
		holder->kmod += mapping->length;
	else if (mapping->anonymous && file_has_word(line, "lo") &&
		 file_has_word(line, "dd"))
		holder->locked += mapping->resident;
}

/* 0 or -errno. */
static int read_mappings(struct holder *holder, const char *root)
{
	struct mapping mapping = { 0 };
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	int err = 0;
	FILE *smaps;

	if (!file_path(path, sizeof(path), root, "/proc/%d/smaps", holder->pid))
		return -ENAMETOOLONG;
	smaps = fopen(path, "re");
	if (!smaps)
		return -errno;
	errno = 0;
	while (getline(&line, &room, smaps) > 0)
		take(holder, &mapping, line);
	if (ferror(smaps))
		err = errno ? -errno : -EIO;
	free(line);
	fclose(smaps);
	return err;
}

static int read_descriptors(struct holder *holder, const char *root, bool *has_region)
{
	char path[PATH_MAX], link[64];
	struct dirent *entry;
	ssize_t n;
	DIR *dir;

	if (!file_path(path, sizeof(path), root, "/proc/%d/fd", holder->pid))
		return -ENAMETOOLONG;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		holder->descriptors += !strcmp(link, SECRETMEM);
		*has_region |= !strcmp(link, REGION);
	}
	closedir(dir);
	return 0;
}

static int add(struct holders *holders, const struct holder *holder)
{
	struct holder *more = realloc(holders->all,
				      (holders->nr + 1) * sizeof(*holders->all));

	if (!more)
		return -ENOMEM;
	holders->all = more;
	holders->all[holders->nr++] = *holder;
	return 0;
}

static int read_status(struct holder *holder, const char *root,
		       unsigned long long *locked)
{
	char path[64], status[8192];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/status", holder->pid);
	n = file_read(status, sizeof(status), root, path);
	if (n < 0)
		return n;
	*locked = locked_of(status);
	snprintf(path, sizeof(path), "/proc/%d/comm", holder->pid);
	n = file_read(holder->command, sizeof(holder->command), root, path);
	return n < 0 ? n : 0;
}

/* A shortage of ours, which would hide whom we look for, is the only error. */
static int look_at(struct holders *holders, const char *root, pid_t pid)
{
	struct holder holder = { .pid = pid };
	unsigned long long locked = 0;
	bool has_region = false;
	int err;

	err = read_status(&holder, root, &locked);
	if (err) {
		holders->hidden |= is_refused(err);
		return is_gone(err) || is_refused(err) ? 0 : err;
	}
	err = read_descriptors(&holder, root, &has_region);
	if (is_refused(err) && !locked)
		holders->closed++;
	else if (err && !is_gone(err) && !is_refused(err))
		return err;
	/* A region's pages are not among the locked. */
	err = locked || has_region ? read_mappings(&holder, root) : 0;
	if (is_refused(err))
		holders->unseen++;
	else if (err && !is_gone(err))
		return err;
	if (!holder.memfd && !holder.locked && !holder.descriptors && !holder.kmod)
		return 0;
	return add(holders, &holder);
}

int holders_look(struct holders *holders, const char *root,
		 void (*looked)(pid_t pid, void *arg), void *arg)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int err = 0;
	DIR *proc;

	*holders = (struct holders){ .kmod_unseen = true };
	if (!file_path(path, sizeof(path), root, "/proc"))
		return -ENAMETOOLONG;
	/* An empty directory of that name is none. */
	if (!file_there(root, "/proc/self"))
		return -ENOENT;
	holders->hidden = !file_there(root, "/proc/1");
	proc = opendir(path);
	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (looked)
			looked(atoi(entry->d_name), arg);
		err = look_at(holders, root, atoi(entry->d_name));
	}
	closedir(proc);
	if (err)
		holders_free(holders);
	return err;
}

void holders_forget(struct holders *holders, pid_t pid)
{
	size_t i, kept = 0;

	for (i = 0; i < holders->nr; i++)
		if (holders->all[i].pid != pid)
			holders->all[kept++] = holders->all[i];
	holders->nr = kept;
}

static struct holder *find_pid(struct holders *holders, pid_t pid)
{
	size_t i;

	for (i = 0; pid && i < holders->nr; i++)
		if (holders->all[i].pid == pid)
			return &holders->all[i];
	return NULL;
}

static bool holds_nothing(const struct holder *holder)
{
	return !holder->kmod && !holder->memfd && !holder->locked && !holder->regions &&
	       !holder->descriptors;
}

/* A region belongs to who made it, and that need not be who has it mapped. */
int holders_add_module(struct holders *holders, const struct lethe_holder *rows,
		       size_t nr)
{
	struct holder *known, new;
	size_t i, kept = 0;

	for (i = 0; i < holders->nr; i++) {
		holders->all[i].kmod = 0;
		if (!holds_nothing(&holders->all[i]))
			holders->all[kept++] = holders->all[i];
	}
	holders->nr = kept;
	holders->kmod_unseen = false;
	for (i = 0; i < nr; i++) {
		known = find_pid(holders, rows[i].pid);
		if (known) {
			known->kmod = rows[i].bytes;
			known->regions = rows[i].regions;
			continue;
		}
		new = (struct holder){ .pid = rows[i].pid,
				       .kmod = rows[i].bytes,
				       .regions = rows[i].regions };
		memcpy(new.command, rows[i].command, sizeof(rows[i].command));
		if (add(holders, &new))
			return -ENOMEM;
	}
	return 0;
}

static int more_first(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	unsigned long long of_x = x->kmod + x->memfd + x->locked,
			   of_y = y->kmod + y->memfd + y->locked;

	if (of_x != of_y)
		return of_x < of_y ? 1 : -1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

void holders_sort(struct holders *holders)
{
	if (holders->nr)
		qsort(holders->all, holders->nr, sizeof(*holders->all), more_first);
}

void holders_free(struct holders *holders)
{
	free(holders->all);
	holders->all = NULL;
	holders->nr = 0;
}
