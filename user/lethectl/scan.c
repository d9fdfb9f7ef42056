// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl scan: is this secret anywhere in that process? It stops the process for as
 * long as it reads, and changes nothing there. The secret comes by a file descriptor, not
 * by the command line, where every user could read it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "scan.h"

struct options {
	long pid, fd, minimum;
	unsigned int forms;
	bool kernel, no_kernel;
};

enum {
	KEY_FORMS = 256,
	KEY_KERNEL,
	KEY_NO_KERNEL,
	KEY_MINIMUM,
	KEY_SECRET_FD,
	KEY_SECRET
};

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "The process to search", 0 },
	{ "secret-fd", KEY_SECRET_FD, "FD", 0,
	  "Read the secret from this file descriptor, to its end", 0 },
	{ "forms", KEY_FORMS, "LIST", 0,
	  "Only these, with commas between: plain, words, hex, base64, utf16, limbs, aes, sha, chacha",
	  0 },
	{ "kernel", KEY_KERNEL, NULL, 0,
	  "Unknown, and not clean, if the kernel's copies of registers cannot be searched",
	  0 },
	{ "no-kernel", KEY_NO_KERNEL, NULL, 0,
	  "Leave out the kernel's copies of registers", 0 },
	{ "minimum", KEY_MINIMUM, "BYTES", 0,
	  "How much of the secret in a row counts; 8, which is the least", 0 },
	{ "secret", KEY_SECRET, "SECRET", OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *given = state->input;

	switch (key) {
	case 'p':
		given->pid = option_number(state, "pid", arg, 1);
		break;
	case KEY_SECRET_FD:
		given->fd = option_number(state, "secret-fd", arg, 0);
		break;
	case KEY_FORMS:
		given->forms = option_forms(state, arg);
		break;
	case KEY_KERNEL:
		given->kernel = true;
		break;
	case KEY_NO_KERNEL:
		given->no_kernel = true;
		break;
	case KEY_MINIMUM:
		given->minimum = option_number(state, "minimum", arg, SCAN_MIN);
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
		if (given->kernel && given->no_kernel)
			argp_error(state, "--kernel and --no-kernel: which of the two?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int run_scan(struct scan *scan, const struct options *given)
{
	pid_t pid = (pid_t)given->pid;
	char why[512];
	int status;

	if (pid == getpid())
		return output_error("process %d is this very one: it cannot stop itself",
				    (int)pid);
	status = scan_open(scan, (int)given->fd, (size_t)given->minimum, given->forms);
	if (status)
		return status;
	scan->kernel.required = given->kernel;
	scan->kernel.off = given->no_kernel;
	if (scan_process(scan, pid, why, sizeof(why)))
		return output_error("%s", why);
	return report(scan);
}

int scan_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Stop a process, and search all of its memory and registers for a secret, in every form that it may have there.\v"
		       "The exit status is 0 if it is nowhere, 1 if it was found, whole or 8 bytes of it in a row, and 2 if that could not be told.",
	};
	struct options given = {
		.pid = -1, .fd = -1, .minimum = SCAN_MIN, .forms = (1U << NR_FORMS) - 1
	};
	struct scan scan = { .memory = -1, .pagemap = -1 };
	int status;

	output_parse(&argp, argc, argv, &given);
	output_begin("scan");
	status = run_scan(&scan, &given);
	status = output_end(status);
	scan_close(&scan);
	return status;
}
