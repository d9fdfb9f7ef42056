// SPDX-License-Identifier: MIT
/*
 * One cell: starts a row program, has it come to where its row is searched, and searches
 * it for every secret that the row has. The searcher is no relative of the searched: what
 * it knows of a secret never was in that process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"
#include "measure.h"
#include "scan.h"

#define ALL_FORMS ((1U << NR_FORMS) - 1)

/*
 * What was found of one secret, added to what was of others. What the kernel keeps of the
 * process's registers is other rows'.
 */
static void add(const struct scan *scan, const struct known *row, struct cell *cell)
{
	char place[320];
	size_t i, used;

	cell->copies += scan->nr_found;
	for (i = 0; i < scan->nr_findings; i++) {
		const struct finding *finding = &scan->findings[i];

		snprintf(place, sizeof(place), "%s %s", finding->place.kind,
			 finding->place.where);
		cell->there += !*row->where || strstr(place, row->where);
		used = strlen(cell->where);
		if (!strstr(cell->where, finding->place.where) &&
		    used + strlen(place) + 64 < sizeof(cell->where))
			sprintf(cell->where + used, "%s%s (%s)", used ? "; " : "",
				finding->place.where, finding->run.pattern->what);
	}
}

static bool search_for(const struct known *row, struct actor *actor,
		       const struct secret *secret, struct cell *cell, char *why,
		       size_t room)
{
	struct scan scan;
	int err;

	if (scan_open_bytes(&scan, secret->bytes, secret->length, ALL_FORMS)) {
		snprintf(why, room, "this secret cannot be searched for: see above");
		scan_close(&scan);
		return false;
	}
	scan.kernel.off = true;
	if (actor->stopped) {
		struct thread thread = { .tid = actor->searched, .stopped = true };

		scan.stopped = (struct stopped){ .pid = actor->searched,
						 .alive = actor->searched,
						 .threads = &thread,
						 .nr_threads = 1 };
		err = scan_stopped(&scan, why, room);
		scan.stopped = (struct stopped){ 0 };
	} else {
		err = scan_process(&scan, actor->searched, why, room);
	}
	if (!err && scan.gone) {
		snprintf(why, room, "it ended while it was searched");
		err = -ESRCH;
	}
	if (!err)
		add(&scan, row, cell);
	cell->searched = engine_bytes(scan.engine) + scan.registers;
	scan_close(&scan);
	return !err;
}

static bool measure(const struct known *row, const char *backend, const char *hollow,
		    struct cell *cell, char *why, size_t room)
{
	struct actor actor;
	bool good;

	*cell = (struct cell){ 0 };
	good = actor_start(&actor, row, backend, hollow, why, room);
	if (good && row->kind == ROW_CONTROL_WORDS) {
		good = actor_control_words(&actor, cell, why, room);
	} else if (good && !actor.nr_secrets) {
		snprintf(why, room, "it told of no secret");
		good = false;
	} else {
		for (size_t i = 0; good && i < actor.nr_secrets; i++)
			good = search_for(row, &actor, &actor.secrets[i], cell, why,
					  room);
	}
	actor_end(&actor);
	return good;
}

/* What one process says to the other: less than a pipe takes at once. */
struct said {
	bool good;
	struct cell cell;
	char why[512];
};

void measure_begin(struct measuring *measuring, const struct known *row,
		   const char *backend, const char *hollow)
{
	struct said said = { 0 };
	int ends[2];

	*measuring = (struct measuring){ .pid = -1, .from = -1 };
	if (pipe2(ends, O_CLOEXEC))
		return;
	measuring->from = ends[0];
	measuring->pid = fork();
	if (!measuring->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		said.good = measure(row, backend, hollow, &said.cell, said.why,
				    sizeof(said.why));
		_exit(write(ends[1], &said, sizeof(said)) != sizeof(said));
	}
	close(ends[1]);
}

bool measure_end(struct measuring *measuring, struct cell *cell, char *why, size_t room)
{
	struct said said = { .why = "who measured it died" };
	bool whole = measuring->pid > 0 &&
		     read(measuring->from, &said, sizeof(said)) == sizeof(said);

	if (measuring->pid > 0)
		waitpid(measuring->pid, NULL, 0);
	if (measuring->from >= 0)
		close(measuring->from);
	*cell = said.cell;
	snprintf(why, room, "%s", said.why);
	return whole && said.good;
}
