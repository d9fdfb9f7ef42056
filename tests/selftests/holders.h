/* SPDX-License-Identifier: MIT */
/*
 * The rows that LETHE_QUERY_HOLDERS gives, and children that hold something until
 * they are told to end. Included after door.h.
 */
#ifndef LETHE_TESTS_HOLDERS_H
#define LETHE_TESTS_HOLDERS_H

#include <sys/prctl.h>
#include <sys/socket.h>

#include "door.h"

#define MAX_ROWS 64

static struct lethe_holder rows[MAX_ROWS];
static uint32_t nr_rows;

UNUSED static int ask(struct lethe_holder *to, uint32_t room)
{
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_HOLDERS,
		.holders = (uintptr_t)to,
		.nr_holders = room,
		.holder_size = sizeof(*to),
	};
	int err = call(LETHE_IOC_QUERY, &args);

	nr_rows = args.nr_holders;
	return err;
}

UNUSED static void must_ask(void)
{
	int err = ask(rows, MAX_ROWS);

	if (err || nr_rows > MAX_ROWS)
		tap_bail("LETHE_QUERY_HOLDERS: %s", strerror(-err));
}

UNUSED static bool row_is(const struct lethe_holder *row, uint32_t regions, size_t pages,
			  const char *command)
{
	return row->regions == regions && row->bytes == pages * PAGE &&
	       !strncmp((const char *)row->command, command, sizeof(row->command));
}

/* Is there one row of the process, and is it this one? */
UNUSED static bool holds(pid_t pid, uint32_t regions, size_t pages, const char *command)
{
	bool right = false;
	int found = 0;

	for (uint32_t i = 0; i < nr_rows; i++)
		if (rows[i].pid == pid) {
			found++;
			right = row_is(&rows[i], regions, pages, command);
		}
	return found == 1 && right;
}

UNUSED static bool holds_nothing(pid_t pid)
{
	for (uint32_t i = 0; i < nr_rows; i++)
		if (rows[i].pid == pid)
			return false;
	return true;
}

/* A child that has made something, and ends when told to. */
struct worker {
	pid_t pid;
	int line;
};

/* What a child says when it is ready, and waits for. */
UNUSED static void meet(int line)
{
	char byte = 0;

	if (write(line, &byte, 1) != 1 || read(line, &byte, 1) != 1)
		_exit(1);
}

UNUSED static struct worker begin(void (*fn)(int line))
{
	struct worker worker;
	int lines[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines))
		tap_bail("socketpair: %s", strerror(errno));
	worker.pid = must_fork();
	if (!worker.pid) {
		close(lines[0]);
		fn(lines[1]);
		_exit(0);
	}
	close(lines[1]);
	worker.line = lines[0];
	if (read(worker.line, &byte, 1) != 1)
		tap_bail("a child of the test failed");
	return worker;
}

/* Lets it go on. */
UNUSED static void tell(const struct worker *worker)
{
	if (write(worker->line, "", 1) != 1)
		tap_bail("a child of the test is gone: %s", strerror(errno));
}

UNUSED static int end(const struct worker *worker)
{
	tell(worker);
	close(worker->line);
	return end_of(worker->pid);
}

UNUSED static void two_regions(int line)
{
	prctl(PR_SET_NAME, "holder-two");
	must_create(3 * PAGE);
	must_create(5 * PAGE);
	meet(line);
}

UNUSED static bool rows_add_up(void)
{
	struct lethe_query at = must_query();
	uint64_t bytes = 0, regions = 0;

	for (uint32_t i = 0; i < nr_rows; i++) {
		bytes += rows[i].bytes;
		regions += rows[i].regions;
	}
	return bytes == at.pages_used * at.page_size && regions == at.regions;
}

#endif /* LETHE_TESTS_HOLDERS_H */
