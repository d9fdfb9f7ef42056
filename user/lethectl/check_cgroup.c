// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A cgroup for the subject of lethectl check alone, so that what is pressed is its
 * memory and nobody else's: of version 1 or 2, whichever has the memory controller.
 * Where none is mounted, one is, in a mount namespace that ends with this program.
 * Never changes a cgroup that was there, but for enabling the controller in the root
 * of version 2, which the guard takes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define WHERE "/sys/fs/cgroup"

/* Is @word one of those in @list, between @separators? */
static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t length = strlen(word), n;

	for (; *list; list += n + !!list[n]) {
		n = strcspn(list, separators);
		if (n == length && !memcmp(list, word, n))
			return true;
	}
	return false;
}

static bool has_memory(const char *directory, const char *file)
{
	char path[PATH_MAX + 32], line[1024];

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return has_word(kernel_line(path, line, sizeof(line)), "memory", " ");
}

/*
 * Where a hierarchy is mounted, and which of its cgroups stands there: the fields of
 * /proc/self/mountinfo before and after its "-". False: nowhere.
 */
static bool find_mount(int version, char *mounted, char *root)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, type[64], options[1024];
	const char *behind;
	size_t room = 0;
	bool found = false;

	while (file && !found && getline(&line, &room, file) > 0) {
		behind = strstr(line, " - ");
		if (!behind || sscanf(behind, " - %63s %*s %1023s", type, options) != 2 ||
		    sscanf(line, "%*s %*s %*s %4095s %4095s", root, mounted) != 2)
			continue;
		found = version == 1 ? !strcmp(type, "cgroup") &&
					       has_word(options, "memory", ",") :
				       !strcmp(type, "cgroup2");
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* The caller's cgroup there, as /proc/self/cgroup has it: "/" if it has none. */
static void own_cgroup(int version, char *path)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char *line = NULL, *controllers, *at;
	size_t room = 0;

	strcpy(path, "/");
	while (file && getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		controllers = strchr(line, ':');
		at = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!at || strlen(at) >= PATH_MAX)
			continue;
		*at++ = '\0';
		if (version == 1 ? has_word(controllers + 1, "memory", ",") :
				   !controllers[1])
			strcpy(path, at);
	}
	free(line);
	if (file)
		fclose(file);
}

/* The caller's cgroup as a directory; what is not below the mount has the mount. */
static bool own_directory(int version, char *directory)
{
	static char mounted[PATH_MAX], root[PATH_MAX], own[PATH_MAX];
	size_t length;

	if (!find_mount(version, mounted, root))
		return false;
	own_cgroup(version, own);
	length = strcmp(root, "/") ? strlen(root) : 0;
	if (strncmp(own, root, length) || (own[length] && own[length] != '/') ||
	    strstr(own, "/..") || strlen(mounted) + strlen(own) >= PATH_MAX)
		own[length = 0] = '\0';
	strcpy(directory, mounted);
	strcat(directory, strcmp(own + length, "/") ? own + length : "");
	if (access(directory, F_OK))
		strcpy(directory, mounted);
	return true;
}

/*
 * Of version 2, below a cgroup that has processes none can have the controller. So up,
 * to the first that gives it to its children; or to the top, which may be told to.
 */
static bool find_parent(char *directory)
{
	char *slash;

	if (!has_memory(directory, "cgroup.controllers"))
		return false;
	while (!has_memory(directory, "cgroup.subtree_control")) {
		slash = strrchr(directory, '/');
		*slash = '\0';
		if (slash == directory || !has_memory(directory, "cgroup.controllers")) {
			*slash = '/';
			break;
		}
	}
	return true;
}

static int mount_privately(void)
{
	struct stat st;

	if (stat(WHERE, &st))
		return -errno;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) ||
	    mount("cgroup2", WHERE, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -errno;
	return 0;
}

static void settle(struct pressure *pressure, int version)
{
	pressure->version = version;
	pressure->by = version == 1 ? "cgroup v1" :
		       version == 2 ? "cgroup v2" :
				      "process_madvise";
}

void cgroup_find(struct pressure *pressure)
{
	static char mounted[PATH_MAX], root[PATH_MAX];
	int err;

	settle(pressure, 0);
	if (own_directory(1, pressure->parent)) {
		settle(pressure, 1);
		return;
	}
	if (!find_mount(2, mounted, root)) {
		err = mount_privately();
		if (err) {
			snprintf(
				pressure->why_not, sizeof(pressure->why_not),
				"no cgroup hierarchy is mounted, and cgroup2 cannot be: %s",
				strerror(-err));
			return;
		}
	}
	if (own_directory(2, pressure->parent) && find_parent(pressure->parent))
		settle(pressure, 2);
	else
		snprintf(pressure->why_not, sizeof(pressure->why_not),
			 "no cgroup hierarchy has the memory controller");
}

static int enable(const struct pressure *pressure, struct guarded *guarded)
{
	char path[PATH_MAX + 32];

	if (has_memory(pressure->parent, "cgroup.subtree_control"))
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", pressure->parent);
	if (strlen(path) >= sizeof(guarded->enabled))
		return -ENAMETOOLONG;
	strcpy(guarded->enabled, path);
	return kernel_write(path, "+memory");
}

void cgroup_make(struct pressure *pressure, struct guarded *guarded)
{
	char path[PATH_MAX + 64];
	int n, err;

	if (!pressure->version)
		return;
	err = pressure->version == 2 ? enable(pressure, guarded) : 0;
	n = snprintf(path, sizeof(path), "%s/lethe-check.%d", pressure->parent, getpid());
	if (!err && n >= PATH_MAX)
		err = -ENAMETOOLONG;
	if (!err) {
		strcpy(guarded->cgroup, path);
		err = mkdir(path, 0700) ? -errno : 0;
	}
	if (!err && pressure->version == 1) {
		/* Its own there, and of whoever made the parent otherwise. */
		snprintf(path, sizeof(path), "%s/memory.swappiness", guarded->cgroup);
		kernel_write(path, "100");
	}
	if (!err)
		return;
	snprintf(pressure->why_not, sizeof(pressure->why_not),
		 "no cgroup below %.100s: %s", pressure->parent, strerror(-err));
	settle(pressure, 0);
}

int cgroup_enter(const struct guarded *guarded)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/cgroup.procs", guarded->cgroup);
	return kernel_write(path, "0");
}

void cgroup_press(const struct pressure *pressure, const struct guarded *guarded)
{
	char path[PATH_MAX + 32], bytes[32] = "0";

	if (pressure->version == 2) {
		snprintf(path, sizeof(path), "%s/memory.current", guarded->cgroup);
		kernel_line(path, bytes, sizeof(bytes));
	}
	snprintf(path, sizeof(path), "%s/%s", guarded->cgroup,
		 pressure->version == 2 ? "memory.reclaim" : "memory.force_empty");
	/* EAGAIN: not all has left. Who looks at its pages sees that. */
	kernel_write(path, bytes);
}
