// SPDX-License-Identifier: MIT
/*
 * A peer's process, and two pipes to it: a line asks, a line answers.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "peer.h"

static const char *reason(const char *why)
{
	static char line[256];
	FILE *file = fopen(why, "r");

	if (!file || !fgets(line, sizeof(line), file))
		snprintf(line, sizeof(line), "it was not built");
	if (file)
		fclose(file);
	/* It goes into a table. */
	line[strcspn(line, "\t\n")] = '\0';
	return line;
}

static void run_program(const void *program)
{
	execl(program, program, NULL);
	_exit(127);
}

struct peer peer_fork(void (*serve)(const void *arg), const void *arg)
{
	struct peer peer = { .missing = NULL };
	int to[2], from[2];

	if (pipe(to) || pipe(from))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	peer.child = fork();
	if (peer.child < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!peer.child) {
		if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0)
			_exit(127);
		/* Another peer's pipe, too, has to end when we close it. */
		close_range(STDERR_FILENO + 1, ~0U, 0);
		serve(arg);
		exit(0);
	}
	close(to[0]);
	close(from[1]);
	/* A peer that has died is told by what it no longer answers. */
	signal(SIGPIPE, SIG_IGN);
	peer.to = fdopen(to[1], "w");
	peer.from = fdopen(from[0], "r");
	if (!peer.to || !peer.from)
		tap_bail("fdopen: %s", strerror(errno));
	return peer;
}

struct peer peer_start(const char *program, const char *why)
{
	if (access(program, X_OK))
		return (struct peer){ .missing = reason(why) };
	return peer_fork(run_program, program);
}

struct taken peer_ask(struct peer *peer, const char *name, unsigned int kib,
		      unsigned int nr, unsigned int ops)
{
	struct taken taken;
	char line[128];

	fprintf(peer->to, "%s %u %u %u\n", name, kib, nr, ops);
	fflush(peer->to);
	if (!fgets(line, sizeof(line), peer->from) ||
	    sscanf(line, "%lf %lf %lf", &taken.plain, &taken.section, &taken.added) != 3)
		tap_bail("the peer has no answer to \"%s\"", name);
	return taken;
}

void peer_end(struct peer *peer)
{
	int status;

	if (peer->missing)
		return;
	fclose(peer->to);
	fclose(peer->from);
	if (waitpid(peer->child, &status, 0) < 0 || status)
		tap_bail("the peer ended with status %#x", status);
}
