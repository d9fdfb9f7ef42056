// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The core dump: what the kernel would write into one, by its own rules, and the file
 * that it did write, if it can be found. The file is made by the program's death and
 * holds its secrets, so it is overwritten and deleted once it is searched, unless it is
 * to be kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "output.h"
#include "verify.h"

/* Bits of /proc/pid/coredump_filter: see core(5). */
enum { ANONYMOUS, SHARED, FILES, SHARED_FILES, HEADERS, HUGE, SHARED_HUGE };

bool core_dumps(pid_t pid, int signal)
{
	static const int dumping[] = { SIGQUIT, SIGILL, SIGABRT, SIGFPE,  SIGSEGV,
				       SIGBUS,  SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ };
	unsigned long long bit = 1ULL << (signal - 1);
	size_t i;

	for (i = 0; i < sizeof(dumping) / sizeof(dumping[0]); i++)
		if (dumping[i] == signal)
			break;
	return i < sizeof(dumping) / sizeof(dumping[0]) &&
	       !((unsigned long long)status_number(pid, "SigCgt", 16) & bit) &&
	       !((unsigned long long)status_number(pid, "SigIgn", 16) & bit);
}

void core_set_read(struct core_set *set, pid_t pid, pid_t tid)
{
	char path[64], text[64], *line = NULL;
	size_t room = 0, have = 0;
	uint64_t start = 0, from, *more;
	FILE *smaps;

	*set = (struct core_set){ .filter = 0x33 };
	snprintf(path, sizeof(path), "/proc/%d/coredump_filter", (int)pid);
	if (file_read(text, sizeof(text), "", path) > 0)
		set->filter = (unsigned int)strtoul(text, NULL, 16);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/smaps", (int)pid, (int)tid);
	smaps = fopen(path, "re");
	while (smaps && getline(&line, &room, smaps) > 0) {
		if (sscanf(line, "%" SCNx64 "-%*x %*4s", &from) == 1 &&
		    strchr(line, '-') && strspn(line, "0123456789abcdef") >= 8)
			start = from;
		if (strncmp(line, "VmFlags:", 8) || !strstr(line, " dd"))
			continue;
		if (set->nr == have) {
			have = have ? 2 * have : 32;
			more = reallocarray(set->not_dumped, have, sizeof(*more));
			if (!more)
				break;
			set->not_dumped = more;
		}
		set->not_dumped[set->nr++] = start;
	}
	free(line);
	if (smaps)
		fclose(smaps);
}

void core_set_free(struct core_set *set)
{
	free(set->not_dumped);
}

bool core_set_excludes(const struct core_set *set, const struct map *map)
{
	size_t i;

	for (i = 0; i < set->nr; i++)
		if (set->not_dumped[i] == map->start)
			return true;
	return false;
}

bool core_set_has(const struct core_set *set, const struct map *map)
{
	bool shared = map->rights[3] == 's', deleted;

	if (!strcmp(map->name, "[vdso]"))
		return true;
	if (map->io || map->kind == KIND_DEVICE || map->kind == KIND_KERNEL)
		return false;
	if (core_set_excludes(set, map))
		return false;
	if (map->huge)
		return set->filter & 1U << (shared ? SHARED_HUGE : HUGE);
	deleted = strstr(map->name, " (deleted)");
	if (shared)
		return set->filter & 1U << (deleted ? SHARED : SHARED_FILES);
	/* Of a file's pages those that were written to are the process's own. */
	if (map->kind != KIND_FILE || map->rights[1] == 'w')
		return set->filter & 1U << ANONYMOUS;
	return set->filter & 1U << FILES;
}

/* core_pattern as a pattern of glob(3): what is not known here is anything. */
static void expand(const char *pattern, const struct process *process, char *to,
		   size_t room)
{
	size_t at = 0;
	bool pid = false;
	int n;

	to[0] = '\0';
	if (*pattern != '/') {
		n = snprintf(to, room, "%s/", process->cwd);
		at = n > 0 && (size_t)n < room ? (size_t)n : 0;
	}
	for (; *pattern && at + 16 < room; pattern++) {
		if (*pattern != '%') {
			to[at++] = *pattern;
			continue;
		}
		if (!*++pattern)
			break;
		if (*pattern == '%')
			to[at++] = '%';
		else if (*pattern == 'p' || *pattern == 'P')
			at += (size_t)snprintf(to + at, room - at, "%d",
					       (int)process->pid);
		else
			to[at++] = '*';
		pid |= *pattern == 'p' || *pattern == 'P';
	}
	to[at] = '\0';
	if (!pid && !access("/proc/sys/kernel/core_uses_pid", R_OK)) {
		long long uses = 0;

		if (!file_number(&uses, "", "/proc/sys/kernel/core_uses_pid") && uses)
			snprintf(to + at, room - at, ".%d", (int)process->pid);
	}
}

/* The newest that was written since the run began. -1: none. */
static int find_core(const struct verify *verify, const char *pattern, char *path,
		     size_t room)
{
	long long began = time(NULL) - (long long)verify_seconds(verify) - 1;
	time_t newest = 0;
	struct stat st;
	glob_t found;
	size_t i;

	path[0] = '\0';
	if (glob(pattern, 0, NULL, &found))
		return -1;
	for (i = 0; i < found.gl_pathc; i++) {
		if (lstat(found.gl_pathv[i], &st) || !S_ISREG(st.st_mode) ||
		    st.st_mtime < began || st.st_mtime < newest)
			continue;
		newest = st.st_mtime;
		snprintf(path, room, "%s", found.gl_pathv[i]);
	}
	globfree(&found);
	return *path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
}

/* Over all of it, on the disk too, and then it is gone. */
static int destroy(int fd, const char *path)
{
	static const char zeros[65536];
	struct stat st;
	off_t at = 0;
	ssize_t n;

	if (fstat(fd, &st))
		return -errno;
	while (at < st.st_size) {
		size_t left = (size_t)(st.st_size - at);

		n = pwrite(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -errno;
		at += n;
	}
	return fsync(fd) || unlink(path) ? -errno : 0;
}

static void search_file(struct verify *verify, int fd)
{
	struct scan *scan = &verify->scan;
	struct json_object *stop;
	char why[256];
	uint64_t length;
	int err;

	scan->stopped_ns = 0;
	err = scan_file(scan, fd, &length, why, sizeof(why));
	if (err)
		record_note(verify, "%s: %s", verify->core_name, why);
	verify->core_searched = !err;
	verify->count[WHY_CORE].stops++;
	verify->count[WHY_CORE].found += scan->nr_found;
	verify->count[WHY_CORE].whole += scan->nr_whole;
	verify->count[WHY_CORE].incomplete += err != 0;
	verify->core_found += scan->nr_found;
	memset(verify->in_use, 0, sizeof(verify->in_use));
	stop = record_stop(verify, NULL, WHY_CORE);
	if (!stop)
		return;
	member_text(stop, "file", verify->core_name);
	member_number(stop, "searched_bytes", length);
	member_flag(stop, "complete", !err);
	record_findings(verify, stop, scan);
}

void core_search(struct verify *verify, struct process *process)
{
	char pattern[256], where[4400], path[4400];
	int fd, err;

	if (!WCOREDUMP(process->status))
		return;
	verify->core_made = true;
	if (file_read(pattern, sizeof(pattern), "", "/proc/sys/kernel/core_pattern") <= 0)
		return;
	if (*pattern == '|') {
		verify->core_piped = true;
		snprintf(verify->core_name, sizeof(verify->core_name), "%s", pattern);
		return;
	}
	expand(pattern, process, where, sizeof(where));
	fd = find_core(verify, where, path, sizeof(path));
	if (fd < 0) {
		record_note(
			verify,
			"the core dump of process %d is not where core_pattern says (%s): it was not searched",
			(int)process->pid, pattern);
		return;
	}
	snprintf(verify->core_name, sizeof(verify->core_name), "%s", path);
	if (verify->ready)
		search_file(verify, fd);
	err = verify->asked.keep_core ? 0 : destroy(fd, path);
	if (err)
		record_note(verify, "the core dump %s is not deleted: %s", path,
			    strerror(-err));
	else if (verify->asked.keep_core)
		record_note(verify, "the core dump is kept: %s", path);
	close(fd);
}
