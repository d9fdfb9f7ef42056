/* SPDX-License-Identifier: MIT */
/*
 * A tree of files in the place of a machine's, in a directory of its own.
 */
#ifndef LETHE_TESTS_TREE_H
#define LETHE_TESTS_TREE_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../selftests/tap.h"

#define UNUSED __attribute__((unused))

static char root[] = "/tmp/lethectl-status-XXXXXX";

static void make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + sizeof(root), '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			tap_bail("%s: %s", path, strerror(errno));
		*slash = '/';
	}
}

static void full_path(char *full, const char *path)
{
	if (snprintf(full, PATH_MAX, "%s%s", root, path) >= PATH_MAX)
		tap_bail("%s: too long", path);
	make_parents(full);
}

/* A file with that in it; NULL: none. */
UNUSED static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	full_path(full, path);
	unlink(full);
	if (!text)
		return;
	file = fopen(full, "we");
	if (!file || fputs(text, file) < 0 || fclose(file))
		tap_bail("%s: %s", full, strerror(errno));
}

UNUSED static void put_link(const char *path, const char *to)
{
	char full[PATH_MAX];

	full_path(full, path);
	if (symlink(to, full) && errno != EEXIST)
		tap_bail("%s: %s", full, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

UNUSED static void clear(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Of what is not there, not even its directory. */
UNUSED static void lose(const char *directory)
{
	char full[PATH_MAX];

	full_path(full, directory);
	nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Empty, but for what every machine has. */
UNUSED static void make_root(void)
{
	static bool made;

	if (!made && !mkdtemp(root))
		tap_bail("%s: %s", root, strerror(errno));
	if (made)
		clear();
	made = true;
	if (mkdir(root, 0700) && errno != EEXIST)
		tap_bail("%s: %s", root, strerror(errno));
	put("/proc/self/status", "");
}

#endif /* LETHE_TESTS_TREE_H */
