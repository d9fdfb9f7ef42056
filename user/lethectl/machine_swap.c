// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where ordinary pages go when memory is short: is what they are written to encrypted?
 * By what the kernel says of its block devices; nothing is opened but files of its own.
 * A disk that encrypts by itself cannot be told from one that does not.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"
#include "machine.h"
#include "output.h"

/* A device on devices on devices: as deep as anybody builds, and no circle. */
#define DEEPEST 12

enum answer { PLAINLY, ENCRYPTED, MEMORY, UNKNOWN };

static enum answer of_file(const char *root, const char *path, int depth);

/* As in /proc/swaps and mountinfo: \040 is a blank. In place. */
static char *unescape(char *text)
{
	char *from = text, *to = text;

	for (; *from; from++, to++) {
		if (from[0] == '\\' && isdigit((unsigned char)from[1]) &&
		    isdigit((unsigned char)from[2]) && isdigit((unsigned char)from[3])) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				     (from[3] - '0'));
			from += 3;
		} else {
			*to = *from;
		}
	}
	*to = '\0';
	return text;
}

/* The name that sysfs has for a device's file, /dev/mapper/x too. */
static bool block_name(const char *root, const char *path, char *name, size_t room)
{
	char full[PATH_MAX], link[PATH_MAX];
	const char *base;
	ssize_t n;

	if (!file_path(full, sizeof(full), root, "%s", path))
		return false;
	n = readlink(full, link, sizeof(link) - 1);
	if (n > 0)
		link[n] = '\0';
	else
		snprintf(link, sizeof(link), "%s", path);
	base = strrchr(link, '/');
	base = base ? base + 1 : link;
	return *base && *base != '.' && snprintf(name, room, "%s", base) < (int)room;
}

static enum answer of_directory(const char *root, const char *directory, int depth);

static enum answer of_block(const char *root, const char *name, int depth)
{
	char directory[PATH_MAX];

	snprintf(directory, sizeof(directory), "/sys/class/block/%s", name);
	return of_directory(root, directory, depth);
}

static enum answer of_device(const char *root, const char *path, int depth)
{
	char name[NAME_MAX + 1];

	return block_name(root, path, name, sizeof(name)) ? of_block(root, name, depth) :
							    UNKNOWN;
}

/* All that it lies on has to be encrypted. NULL of them: PLAINLY. */
static enum answer of_slaves(const char *root, const char *directory, int depth)
{
	enum answer answer = ENCRYPTED, one;
	bool any = false;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	if (!file_path(path, sizeof(path), root, "%s/slaves", directory))
		return UNKNOWN;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? PLAINLY : UNKNOWN;
	while (answer != PLAINLY && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		any = true;
		one = of_block(root, entry->d_name, depth + 1);
		if (one == PLAINLY || one == UNKNOWN)
			answer = one;
	}
	closedir(dir);
	return any ? answer : PLAINLY;
}

static enum answer of_zram(const char *root, const char *directory, int depth)
{
	char path[PATH_MAX], backing[PATH_MAX];
	int n;

	if (!file_path(path, sizeof(path), "", "%s/backing_dev", directory))
		return UNKNOWN;
	n = file_read(backing, sizeof(backing), root, path);
	/* Kernels without CONFIG_ZRAM_WRITEBACK have no such file. */
	if (n == -ENOENT || !strcmp(backing, "none"))
		return MEMORY;
	return n < 0 ? UNKNOWN : of_device(root, backing, depth + 1);
}

static enum answer of_directory(const char *root, const char *directory, int depth)
{
	char path[PATH_MAX], text[PATH_MAX];
	const char *name = strrchr(directory, '/') + 1;

	if (depth > DEEPEST || !file_there(root, directory))
		return UNKNOWN;
	if (!strncmp(name, "zram", 4))
		return of_zram(root, directory, depth);
	if (!file_path(path, sizeof(path), "", "%s/dm/uuid", directory))
		return UNKNOWN;
	if (file_read(text, sizeof(text), root, path) > 0 && !strncmp(text, "CRYPT-", 6))
		return ENCRYPTED;
	if (!file_path(path, sizeof(path), "", "%s/loop/backing_file", directory))
		return UNKNOWN;
	if (file_read(text, sizeof(text), root, path) > 0)
		return of_file(root, text, depth + 1);
	return of_slaves(root, directory, depth);
}

/* A line of mountinfo, and is @path on it? Then how much of the path says so. */
static size_t covers(char *line, const char *path, unsigned int *major,
		     unsigned int *minor, char *source, size_t room)
{
	char where[PATH_MAX], from[PATH_MAX], *dash = strstr(line, " - ");
	size_t length;

	if (!dash || sscanf(line, "%*d %*d %u:%u %*s %4095s", major, minor, where) != 3 ||
	    sscanf(dash, " - %*s %4095s", from) != 1)
		return 0;
	snprintf(source, room, "%s", unescape(from));
	length = strlen(unescape(where));
	if (!strcmp(where, "/"))
		return 1;
	return !strncmp(path, where, length) && (!path[length] || path[length] == '/') ?
		       length :
		       0;
}

/* The file system that a file is on, by its path: the longest mount, the last. */
static enum answer of_file(const char *root, const char *path, int depth)
{
	char full[PATH_MAX], source[PATH_MAX], best_source[PATH_MAX] = "", name[64];
	char device[NAME_MAX + 1];
	unsigned int major, minor, best_major = 0, best_minor = 0;
	size_t length, best = 0, room = 0;
	char *line = NULL;
	FILE *mounts;

	if (depth > DEEPEST ||
	    !file_path(full, sizeof(full), root, "/proc/self/mountinfo"))
		return UNKNOWN;
	mounts = fopen(full, "re");
	if (!mounts)
		return UNKNOWN;
	while (getline(&line, &room, mounts) > 0) {
		length = covers(line, path, &major, &minor, source, sizeof(source));
		if (length < best || !length)
			continue;
		best = length;
		best_major = major;
		best_minor = minor;
		snprintf(best_source, sizeof(best_source), "%s", source);
	}
	free(line);
	fclose(mounts);
	if (!best)
		return UNKNOWN;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u", best_major, best_minor);
	if (best_major && block_name(root, name, device, sizeof(device)))
		return of_block(root, device, depth + 1);
	/* btrfs and its like have numbers of their own. */
	return best_source[0] == '/' ? of_device(root, best_source, depth + 1) : UNKNOWN;
}

static enum answer of_area(const char *root, char *path, const char *type)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(unescape(path));

	if (!strcmp(type, "partition"))
		return of_device(root, path, 0);
	if (length >= sizeof(deleted) &&
	    !strcmp(path + length - sizeof(deleted) + 1, deleted))
		path[length - sizeof(deleted) + 1] = '\0';
	return of_file(root, path, 0);
}

int swap_look(const char *root, unsigned int *areas, unsigned int *plain,
	      unsigned int *unseen, char *first, size_t room)
{
	char full[PATH_MAX], path[PATH_MAX], type[32], *line = NULL;
	enum answer answer;
	size_t length = 0;
	FILE *swaps;

	*areas = *plain = *unseen = 0;
	first[0] = '\0';
	if (!file_path(full, sizeof(full), root, "/proc/swaps"))
		return -ENAMETOOLONG;
	swaps = fopen(full, "re");
	if (!swaps)
		/* A kernel that has no swap has no file; but /proc may not be there. */
		return errno == ENOENT && file_there(root, "/proc/self") ? 0 : -errno;
	/* The first line says what the columns are. */
	while (getline(&line, &length, swaps) > 0) {
		if (sscanf(line, "%4095s %31s", path, type) != 2 || path[0] != '/')
			continue;
		(*areas)++;
		answer = of_area(root, path, type);
		if (answer == PLAINLY && !(*plain)++)
			escape(first, room, path);
		if (answer == UNKNOWN && !(*unseen)++ && !*plain)
			escape(first, room, path);
	}
	free(line);
	fclose(swaps);
	return 0;
}

void check_swap(const struct machine *machine, struct finding *finding)
{
	unsigned int areas, plain, unseen;
	char first[256];
	int err;

	err = swap_look(machine->root, &areas, &plain, &unseen, first, sizeof(first));
	if (err)
		find(finding, UNSEEN, NULL, "whether there is swap: /proc/swaps: %s",
		     strerror(-err));
	else if (plain)
		find(finding, LACKS,
		     "swapoff it, and make it anew on dm-crypt with a key of each boot: crypttab(5), option swap",
		     "%u of %u swap areas are not encrypted: ordinary pages go to %s as they are",
		     plain, areas, first);
	else if (unseen)
		find(finding, UNSEEN, "findmnt -T FILE and lsblk say what it lies on",
		     "whether swap on %s is encrypted: what it lies on is not to be seen",
		     first);
	else if (areas)
		find(finding, FINE, NULL, "swap is encrypted, or memory (%u areas)",
		     areas);
	else
		find(finding, FINE, NULL, "there is no swap");
}

void check_zswap(const struct machine *machine, struct finding *finding)
{
	unsigned int areas = 0, plain, unseen;
	char enabled[8], first[256];
	int n;

	n = file_read(enabled, sizeof(enabled), machine->root,
		      "/sys/module/zswap/parameters/enabled");
	swap_look(machine->root, &areas, &plain, &unseen, first, sizeof(first));
	if (n < 0 && n != -ENOENT)
		find(finding, UNSEEN, NULL, "whether zswap is on: %s", strerror(-n));
	else if (n < 0 || enabled[0] != 'Y')
		find(finding, FINE, NULL, "zswap is off");
	else if (!areas)
		find(finding, FINE, NULL,
		     "zswap is on, and there is no swap that it serves");
	else
		find(finding, NOTE, "echo N >/sys/module/zswap/parameters/enabled",
		     "zswap is on: it keeps compressed copies of ordinary pages in memory");
}
