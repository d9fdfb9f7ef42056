// SPDX-License-Identifier: MIT
/*
 * How it is run, and its lines understood. One that it does not say, or not to the end, is
 * no answer; and it finds no secret here, for it is told needles.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"

extern char **environ;

static int which_needle(const struct needle *needles, unsigned int nr, const char *name)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!strcmp(name, needles[i].name))
			return (int)i;
	}
	return -1;
}

static int which_place(const char *name)
{
	for (int i = 0; i < NR_WHERE; i++) {
		if (!strcmp(name, where_names[i]))
			return i;
	}
	return -1;
}

int unreadable_add(struct unreadable *all, unsigned int *nr, const char *name,
		   uint64_t bytes)
{
	unsigned int i = 0;

	while (i < *nr && strcmp(all[i].name, name))
		i++;
	if (i == ASK_UNREADABLE)
		return -1;
	if (i == *nr) {
		all[(*nr)++] = (struct unreadable){ .bytes = 0 };
		snprintf(all[i].name, sizeof(all[i].name), "%s", name);
	}
	all[i].bytes += bytes;
	return 0;
}

static int parse_line(const char *line, const struct needle *needles, unsigned int nr,
		      struct answer *answer, bool *complete)
{
	char name[64], place[16];
	uint64_t n, whole;
	int needle, where;

	if (sscanf(line, "found\t%63s %15s %" SCNu64 " %*u %" SCNu64, name, place, &n,
		   &whole) == 4) {
		needle = which_needle(needles, nr, name);
		where = which_place(place);
		if (needle < 0 || (where < 0 && n))
			return -1;
		if (n) {
			answer->copies[needle][where] += n;
			answer->whole[needle] += whole;
		}
		return 0;
	}
	if (sscanf(line, "unreadable\t%63[^\t]\t%" SCNu64, name, &n) == 2)
		return unreadable_add(answer->unreadable, &answer->nr_unreadable, name,
				      n);
	if (sscanf(line, "searched\t%" SCNu64, &n) == 1 && n) {
		answer->bytes += n;
		*complete = true;
		return 0;
	}
	return -1;
}

/* It stands beside this program. */
static int searcher_path(char *path, size_t room)
{
	static const char name[] = "residue-search";
	ssize_t n = readlink("/proc/self/exe", path, room - 1);
	char *slash;

	if (n < 0)
		return -errno;
	path[n] = 0;
	slash = strrchr(path, '/');
	if (!slash || slash + 1 + sizeof(name) > path + room)
		return -ENAMETOOLONG;
	strcpy(slash + 1, name);
	return 0;
}

static int spawn_searcher(const char *path, pid_t pid, int in, int out, pid_t *searcher)
{
	posix_spawn_file_actions_t actions;
	char number[16];
	char *args[] = { (char *)path, number, NULL };
	int err;

	snprintf(number, sizeof(number), "%d", (int)pid);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	err = posix_spawn(searcher, path, &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* The needles in, the lines out; both fit the pipes many times over. */
static int talk(int in, int out, const struct needle *needles, unsigned int nr,
		struct answer *answer)
{
	bool complete = false;
	char *line = NULL;
	size_t room = 0;
	FILE *lines;
	int err = 0;

	for (unsigned int i = 0; !err && i < nr; i++)
		err = needle_write(in, &needles[i]);
	close(in);
	lines = fdopen(out, "r");
	if (!lines) {
		close(out);
		return -1;
	}
	while (!err && getline(&line, &room, lines) >= 0)
		err = parse_line(line, needles, nr, answer, &complete);
	free(line);
	fclose(lines);
	return err || !complete ? -1 : 0;
}

int ask_searcher(pid_t pid, const struct needle *needles, unsigned int nr,
		 struct answer *answer, char *why, size_t room)
{
	int in[2], out[2], status, err;
	char path[4096];
	pid_t searcher;

	*answer = (struct answer){ .bytes = 0 };
	if (nr > ASK_NEEDLES || searcher_path(path, sizeof(path))) {
		snprintf(why, room, "cannot tell where residue-search is");
		return -1;
	}
	if (pipe2(in, O_CLOEXEC)) {
		snprintf(why, room, "no pipe: %s", strerror(errno));
		return -1;
	}
	if (pipe2(out, O_CLOEXEC)) {
		snprintf(why, room, "no pipe: %s", strerror(errno));
		close(in[0]);
		close(in[1]);
		return -1;
	}
	err = spawn_searcher(path, pid, in[0], out[1], &searcher);
	close(in[0]);
	close(out[1]);
	if (err) {
		close(in[1]);
		close(out[0]);
		snprintf(why, room, "%.256s: %s", path, strerror(-err));
		return -1;
	}
	err = talk(in[1], out[0], needles, nr, answer);
	if (waitpid(searcher, &status, 0) == searcher && !status && !err)
		return 0;
	snprintf(why, room, "residue-search could not search process %d", (int)pid);
	return -1;
}
