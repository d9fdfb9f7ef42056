// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl scan: is this secret anywhere in that process? It stops the process for as
 * long as it reads, and changes nothing there. The secret comes by a file descriptor, not
 * by the command line, where every user could read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lethe.h"
#include "output.h"
#include "scan.h"
#include "undo.h"

struct options {
	long pid, fd, minimum;
	unsigned int forms;
};

enum { KEY_FORMS = 256, KEY_MINIMUM, KEY_SECRET_FD, KEY_SECRET };

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "The process to search", 0 },
	{ "secret-fd", KEY_SECRET_FD, "FD", 0,
	  "Read the secret from this file descriptor, to its end", 0 },
	{ "forms", KEY_FORMS, "LIST", 0,
	  "Only these, with commas between: plain, words, hex, base64, utf16, limbs, aes, sha, chacha",
	  0 },
	{ "minimum", KEY_MINIMUM, "BYTES", 0,
	  "How much of the secret in a row counts; 8, which is the least", 0 },
	{ "secret", KEY_SECRET, "SECRET", OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static long number(struct argp_state *state, const char *option, const char *text,
		   long least)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < least || value > INT_MAX)
		argp_error(state, "--%s: \"%s\" is no number from %ld on", option, text,
			   least);
	return value;
}

static unsigned int forms(struct argp_state *state, const char *list)
{
	unsigned int wanted = 0;
	size_t length, i;

	for (;; list += length + 1) {
		length = strcspn(list, ",");
		for (i = 0; i < NR_FORMS; i++)
			if (strlen(form_names[i]) == length &&
			    !strncmp(form_names[i], list, length))
				break;
		if (i == NR_FORMS)
			argp_error(state, "--forms: there is no form \"%.*s\"",
				   (int)length, list);
		wanted |= 1U << i;
		if (!list[length])
			return wanted;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *given = state->input;

	switch (key) {
	case 'p':
		given->pid = number(state, "pid", arg, 1);
		break;
	case KEY_SECRET_FD:
		given->fd = number(state, "secret-fd", arg, 0);
		break;
	case KEY_FORMS:
		given->forms = forms(state, arg);
		break;
	case KEY_MINIMUM:
		given->minimum = number(state, "minimum", arg, SCAN_MIN);
		break;
	case KEY_SECRET:
		memset(arg, '*', strlen(arg));
		argp_error(
			state,
			"a secret on the command line is one that every user can read in /proc, and the shell may keep: hold it for known. Use --secret-fd 3 3<FILE");
		break;
	case ARGP_KEY_END:
		if (given->pid < 0)
			argp_error(state, "which process? --pid PID");
		if (given->fd < 0)
			argp_error(state,
				   "which secret? --secret-fd FD, and FD open: 3<FILE");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void found(void *arg, const struct run *run)
{
	struct scan *scan = arg;
	struct finding *finding = &scan->findings[scan->nr_findings];

	scan->nr_found++;
	scan->nr_whole += run_whole(run);
	if (scan->nr_findings == FINDINGS_MAX)
		return;
	scan->nr_findings++;
	finding->run = *run;
	if (scan->register_place)
		finding->place = *scan->register_place;
	else
		place_find(scan, run->address, &finding->place);
}

static void wipe(void *table)
{
	table_wipe(table);
}

/* The secret into the table, and nothing else left of it. 0 or an exit status. */
static int prepare(struct scan *scan, const struct options *given)
{
	uint8_t *secret = locked_new(SCAN_MAX + 1);
	size_t minimum = (size_t)given->minimum;
	ssize_t length;
	char why[512];
	int err = 0;

	if (!secret)
		return output_error("no locked memory: %s; raise it with ulimit -l",
				    strerror(errno));
	length = secret_read((int)given->fd, secret, minimum, why, sizeof(why));
	if (length < 0) {
		locked_free(secret, SCAN_MAX + 1);
		return output_error("%s", why);
	}
	scan->secret_length = (size_t)length;
	scan->table = table_new(scan->secret_length, minimum);
	if (!scan->table) {
		err = -errno;
	} else {
		scan->undo = undo_push(wipe, scan->table);
		err = forms_add(scan->table, given->forms, secret, scan->secret_length);
		if (!err)
			err = cipher_forms_add(scan->table, given->forms, secret,
					       scan->secret_length);
		if (!err)
			err = table_finish(scan->table);
	}
	locked_free(secret, SCAN_MAX + 1);
	/* What the compiler put on the stack, and into registers. */
	lethe_wipe_thread();
	if (err)
		return output_error("no room for the table of forms: %s", strerror(-err));
	if (!table_patterns(scan->table))
		return output_error("of this secret there are none of these forms");
	return 0;
}

static int open_process(struct scan *scan, char *why, size_t room)
{
	char path[64];
	int err;

	err = stop_process(&scan->stopped, scan->pid, why, room);
	if (err)
		return err;
	scan->nr_threads = scan->stopped.nr_threads;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", (int)scan->pid,
		 (int)scan->stopped.alive);
	scan->memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/pagemap", (int)scan->pid,
		 (int)scan->stopped.alive);
	scan->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	err = scan->memory < 0 || scan->pagemap < 0 ? -errno : 0;
	if (!err)
		err = maps_read(&scan->maps, scan->pid, scan->stopped.alive);
	if (err == -ESRCH || err == -ENOENT)
		snprintf(why, room, "process %d ended while it was searched",
			 (int)scan->pid);
	else if (err)
		snprintf(why, room, "cannot read the memory of process %d: %s",
			 (int)scan->pid, strerror(-err));
	return err;
}

static void read_name(struct scan *scan)
{
	char path[64], name[64] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)scan->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n - 1 : 0] = '\0';
	snprintf(scan->name, sizeof(scan->name), "%s", name);
}

/* From the stop to letting go. 0; or -errno and why. */
static int search(struct scan *scan, char *why, size_t room)
{
	int err = open_process(scan, why, room);

	if (err)
		goto out;
	read_name(scan);
	layout_read(scan);
	err = registers_scan(scan);
	if (!err)
		err = memory_scan(scan);
	/* Killed, it goes even now; what was read last may have been nothing. */
	if (!err && !process_lives(&scan->stopped))
		err = -ESRCH;
	if (err == -ESRCH) {
		scan->gone = true;
		err = 0;
	}
	if (err)
		snprintf(why, room, "process %d: %s", (int)scan->pid, strerror(-err));
out:
	stopped_let_go(&scan->stopped);
	scan->stopped_ns = now_ns() - scan->stopped.since;
	return err;
}

static int run_scan(struct scan *scan, const struct options *given)
{
	char why[512];
	int status;

	scan->pid = (pid_t)given->pid;
	if (scan->pid == getpid())
		return output_error("process %d is this very one: it cannot stop itself",
				    (int)scan->pid);
	status = prepare(scan, given);
	if (status)
		return status;
	scan->engine = engine_new(scan->table, found, memory_peek, scan);
	scan->buffer = locked_new(SCAN_ROOM);
	scan->peeked = locked_new(4096);
	scan->findings = calloc(FINDINGS_MAX, sizeof(*scan->findings));
	if (!scan->engine || !scan->buffer || !scan->peeked || !scan->findings)
		return output_error("no memory: %s", strerror(errno));
	if (search(scan, why, sizeof(why)))
		return output_error("%s", why);
	return report(scan);
}

static void close_scan(struct scan *scan)
{
	maps_free(&scan->maps);
	engine_free(scan->engine);
	if (scan->table)
		undo_forget(scan->undo);
	table_free(scan->table);
	if (scan->buffer)
		locked_free(scan->buffer, SCAN_ROOM);
	if (scan->peeked)
		locked_free(scan->peeked, 4096);
	free(scan->findings);
	if (scan->memory >= 0)
		close(scan->memory);
	if (scan->pagemap >= 0)
		close(scan->pagemap);
	lethe_wipe_thread();
}

int scan_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Stop a process, and search all of its memory and registers for a secret, in every form that it may have there.\v"
		       "The exit status is 0 if it is nowhere, 1 if it was found, whole or 8 bytes of it in a row, and 2 if that could not be told.",
	};
	struct options given = { -1, -1, SCAN_MIN, (1U << NR_FORMS) - 1 };
	struct scan scan = { .memory = -1, .pagemap = -1 };
	int status;

	output_parse(&argp, argc, argv, &given);
	output_begin("scan");
	/* Whoever may not read us as root may not otherwise. */
	prctl(PR_SET_DUMPABLE, 0);
	status = run_scan(&scan, &given);
	status = output_end(status);
	close_scan(&scan);
	return status;
}
