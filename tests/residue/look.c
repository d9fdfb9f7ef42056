// SPDX-License-Identifier: MIT
/*
 * The two ways to look for what a peer has left: residue-search, a process that
 * attaches with ptrace; and, in the virtual machine, the host, which has all of
 * the guest's memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../vm/hostlink.h"
#include "frames.h"
#include "run.h"

extern char **environ;

static int which_secret(const char *name)
{
	for (int i = 0; i < NR_SECRETS; i++) {
		if (!strcmp(name, secret_names[i]))
			return i;
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

static int add_unreadable(struct tally *tally, const char *name, uint64_t bytes)
{
	for (unsigned int i = 0; i < tally->nr_unreadable; i++) {
		if (!strcmp(tally->unreadable[i].name, name)) {
			tally->unreadable[i].bytes += bytes;
			return 0;
		}
	}
	if (tally->nr_unreadable == MAX_UNREADABLE)
		return -1;
	snprintf(tally->unreadable[tally->nr_unreadable].name,
		 sizeof(tally->unreadable[0].name), "%s", name);
	tally->unreadable[tally->nr_unreadable++].bytes = bytes;
	return 0;
}

/* A line of residue-search. */
static int parse_line(const char *line, struct tally *tally, bool *complete)
{
	char name[64], place[16];
	uint64_t n;
	int secret, where;

	if (sscanf(line, "found\t%63s %15s %" SCNu64, name, place, &n) == 3) {
		secret = which_secret(name);
		where = which_place(place);
		if (secret < 0 || (where < 0 && n))
			return -1;
		if (n)
			tally->copies[secret][where] += n;
		return 0;
	}
	if (sscanf(line, "unreadable\t%63[^\t]\t%" SCNu64, name, &n) == 2)
		return add_unreadable(tally, name, n);
	if (sscanf(line, "searched\t%" SCNu64, &n) == 1) {
		tally->bytes += n;
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
static int talk_to_searcher(struct run *run, int in, int out, struct tally *tally)
{
	bool complete = false;
	char *line = NULL;
	size_t room = 0;
	FILE *lines;
	int err = 0;

	for (int i = 0; !err && i < NR_SECRETS; i++)
		if (run->needles[i].length)
			err = needle_write(in, &run->needles[i]);
	close(in);
	lines = fdopen(out, "r");
	if (!lines) {
		close(out);
		return -1;
	}
	while (!err && getline(&line, &room, lines) >= 0)
		err = parse_line(line, tally, &complete);
	free(line);
	fclose(lines);
	return err || !complete ? -1 : 0;
}

int look_at_process(struct run *run, pid_t pid, struct tally *tally)
{
	int in[2], out[2], status, err;
	char path[4096];
	pid_t searcher;

	if (searcher_path(path, sizeof(path)))
		return run_failed(run, "cannot tell where residue-search is");
	if (pipe2(in, O_CLOEXEC))
		return run_failed(run, "no pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return run_failed(run, "no pipe: %s", strerror(errno));
	}
	err = spawn_searcher(path, pid, in[0], out[1], &searcher);
	close(in[0]);
	close(out[1]);
	if (err) {
		close(in[1]);
		close(out[0]);
		return run_failed(run, "%s: %s", path, strerror(-err));
	}
	err = talk_to_searcher(run, in[1], out[0], tally);
	if (waitpid(searcher, &status, 0) != searcher || status || err)
		return run_failed(run, "residue-search could not search process %d",
				  (int)pid);
	return 0;
}

bool look_has_ram(void)
{
	return hostlink_open() == 0;
}

int look_at_ram(struct run *run, unsigned int stop)
{
	struct needle needles[NR_SECRETS];
	struct hostlink_found found[NR_SECRETS];
	struct tally *tally = &run->tally[stop];
	enum secret which[NR_SECRETS];
	uint64_t *frames = NULL;
	size_t nr_frames = 0, n = 0;
	char label[64];
	int err = 0;

	for (int i = 0; i < NR_SECRETS; i++) {
		/* Not known yet: it comes to be in a later step. */
		if (!run->needles[i].length)
			continue;
		needles[n] = run->needles[i];
		which[n++] = i;
	}
	if (run->lethe && !strcmp(run->backend, "kmod"))
		err = secret_frames(&frames, &nr_frames);
	if (err)
		return run_failed(run, "the module does not tell its frames: %s",
				  strerror(-err));

	snprintf(label, sizeof(label), "%s, %s step %u",
		 run->lethe ? "with Lethe" : "plainly", stop % 2 ? "after" : "within",
		 stop / 2 + 1);
	err = hostlink_search(label, needles, n, frames, nr_frames, found,
			      &tally->ram_bytes);
	free(frames);
	if (err)
		return run_failed(run, "the host could not search: %s", strerror(-err));
	for (size_t i = 0; i < n; i++) {
		tally->ram_secret[which[i]] = found[i].in_frames;
		tally->ram_elsewhere[which[i]] = found[i].elsewhere;
	}
	return 0;
}
