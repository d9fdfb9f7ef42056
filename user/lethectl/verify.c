// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl verify: runs a program, searches it for a secret where its sections end and
 * where it ends itself, under the probes, and gives a verdict. The program has stdin,
 * stdout and stderr as they are; what is said of it comes at the end, on stderr, or as
 * JSON on stdout, and then the program's own stdout is stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "output.h"
#include "verify.h"

enum {
	KEY_SECRET_FD = 256,
	KEY_SECRET_FILE,
	KEY_SECRET,
	KEY_FORMS,
	KEY_MINIMUM,
	KEY_EVERY,
	KEY_AT,
	KEY_WAIT,
	KEY_CORE,
	KEY_KEEP_CORE,
	KEY_PROBES,
	KEY_NO_PROBES,
	KEY_REPORT,
	KEY_JUNIT,
	KEY_JSON_FILE,
};

static const struct argp_option options[] = {
	{ "secret-fd", KEY_SECRET_FD, "FD", 0,
	  "Read the secret from this file descriptor, to its end, before the run", 0 },
	{ "secret-file", KEY_SECRET_FILE, "FILE", 0,
	  "Read it from FILE, as soon as the program has put it there: at the first search",
	  0 },
	{ "forms", KEY_FORMS, "LIST", 0, "Only these forms, as scan has them", 0 },
	{ "minimum", KEY_MINIMUM, "BYTES", 0,
	  "How much of the secret in a row counts; 8, which is the least", 0 },
	{ "every", KEY_EVERY, "N", 0,
	  "Search at each Nth section end (as many as double the run's time)", 0 },
	{ "at", KEY_AT, "PROVIDER:NAME", 0,
	  "Search at these marks (USDT) of the program, too", 0 },
	{ "wait", KEY_WAIT, "S", 0,
	  "Wait so many seconds for what outlives PROGRAM (2); then it is searched, and let go",
	  0 },
	{ "core", KEY_CORE, NULL, 0,
	  "Have it dump its core if it crashes; judge what a dump would have had if not",
	  0 },
	{ "keep-core", KEY_KEEP_CORE, NULL, 0,
	  "Do not delete the core dump once it is searched", 0 },
	{ "probes", KEY_PROBES, NULL, 0, "Without the probes there is no verdict", 0 },
	{ "no-probes", KEY_NO_PROBES, NULL, 0, "Without the probes", 0 },
	{ "report", KEY_REPORT, "FILE", 0, "Write a page for a browser", 0 },
	{ "junit", KEY_JUNIT, "FILE", 0, "Write JUnit XML", 0 },
	{ "json-file", KEY_JSON_FILE, "FILE", 0, "Write the JSON object to FILE", 0 },
	{ "secret", KEY_SECRET, "SECRET", OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static double seconds(struct argp_state *state, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value) || value < 0 || value > 1e6)
		argp_error(state, "--wait: \"%s\" is no number of seconds", text);
	return value;
}

static void check(struct argp_state *state, const struct verify_options *asked)
{
	if (!asked->program)
		argp_error(state, "which program? -- PROGRAM [ARGUMENT...]");
	if (asked->secret_fd >= 0 && asked->secret_file)
		argp_error(state, "--secret-fd and --secret-file: one secret is enough");
	if (asked->secret_fd >= 0 && asked->secret_fd <= STDERR_FILENO)
		argp_error(
			state,
			"--secret-fd %d: that is the program's; use --secret-fd 3 3<FILE",
			asked->secret_fd);
	if (asked->keep_core && !asked->core)
		argp_error(state, "--keep-core is of no use without --core");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct verify_options *asked = state->input;

	switch (key) {
	case KEY_SECRET_FD:
		asked->secret_fd = (int)option_number(state, "secret-fd", arg, 0);
		break;
	case KEY_SECRET_FILE:
		asked->secret_file = arg;
		break;
	case KEY_SECRET:
		memset(arg, '*', strlen(arg));
		argp_error(
			state,
			"a secret on the command line is one that every user can read in /proc, and the shell may keep: hold it for known. Use --secret-fd 3 3<FILE");
		break;
	case KEY_FORMS:
		asked->forms = option_forms(state, arg);
		break;
	case KEY_MINIMUM:
		asked->minimum = option_number(state, "minimum", arg, SCAN_MIN);
		break;
	case KEY_EVERY:
		asked->every = option_number(state, "every", arg, 1);
		break;
	case KEY_AT:
		if (!strchr(arg, ':') || asked->nr_at == 16)
			argp_error(
				state,
				"--at: \"%s\" is no PROVIDER:NAME, or one too many (16)",
				arg);
		asked->at[asked->nr_at++] = arg;
		break;
	case KEY_WAIT:
		asked->wait = seconds(state, arg);
		break;
	case KEY_CORE:
		asked->core = true;
		break;
	case KEY_KEEP_CORE:
		asked->keep_core = true;
		break;
	case KEY_PROBES:
		asked->probes = PROBES_REQUIRED;
		break;
	case KEY_NO_PROBES:
		asked->probes = PROBES_NONE;
		break;
	case KEY_REPORT:
		asked->html = arg;
		break;
	case KEY_JUNIT:
		asked->junit = arg;
		break;
	case KEY_JSON_FILE:
		asked->json = arg;
		break;
	case ARGP_KEY_ARG:
		/* What is not behind it could be an option of ours, or of the program's. */
		if (!state->quoted || state->next - 1 < state->quoted)
			argp_error(state,
				   "put -- before \"%s\": -- PROGRAM [ARGUMENT...]", arg);
		asked->program = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_END:
		check(state, asked);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Those that end us wait, but for what whoever started us ignores, as nohup(1) does. */
static int take_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	sigset_t set;
	size_t i;

	/* Where it is ignored, nobody could be waited for. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Its stdout; and ours where that is not for JSON: the program's is not written to. */
static int part_outputs(struct verify *verify)
{
	bool json = output_object();

	verify->program_stdout = fcntl(json ? STDERR_FILENO : STDOUT_FILENO,
				       F_DUPFD_CLOEXEC, 0);
	if (verify->program_stdout < 0 ||
	    (!json && dup2(STDERR_FILENO, STDOUT_FILENO) < 0))
		return -errno;
	return 0;
}

static const char *member_of(struct json_object *object, const char *name)
{
	return json_object_get_string(json_object_object_get(object, name));
}

static void say_findings(struct verify *verify)
{
	size_t i, k, said = 0, nr = json_object_array_length(verify->stops), all;
	struct json_object *stop, *list, *finding;

	for (i = 0; i < nr; i++) {
		stop = json_object_array_get_idx(verify->stops, i);
		list = json_object_object_get(stop, "findings");
		all = list ? json_object_array_length(list) : 0;
		for (k = 0; k < all; k++) {
			finding = json_object_array_get_idx(list, k);
			if (++said > 20) {
				say("... and more: --json, or --report, has them");
				return;
			}
			say("  %.9ss, %s%s%s: %s, %s of %zu bytes: %s",
			    member_of(stop, "at"), member_of(stop, "why"),
			    member_of(stop, "pid") ? ", process " : "",
			    member_of(stop, "pid") ?: "", member_of(finding, "what"),
			    member_of(finding, "bytes"), verify->scan.secret_length,
			    member_of(finding, "place"));
		}
	}
}

static void say_all(struct verify *verify, int status)
{
	static const enum colour colours[] = { GOOD, BAD, WARN };
	static const char *const verdicts[] = { "clean", "found", "unknown" };
	struct json_object *one;
	const char *is;
	size_t i, nr;

	if (!verify->ready)
		say("%s", verify->asked.secret_fd < 0 && !verify->asked.secret_file ?
				  "no secret was given: nothing was searched for" :
				  "there was no secret to search for");
	say_findings(verify);
	nr = json_object_array_length(verify->checks);
	for (i = 0; i < nr; i++) {
		one = json_object_array_get_idx(verify->checks, i);
		is = member_of(one, "status");
		say("%s%-9s%s %s: %s",
		    colour(*is == 'p' ? GOOD :
			   *is == 'f' ? BAD :
			   *is == 'n' ? DIM :
					WARN),
		    is, colour(PLAIN), member_of(one, "name"), member_of(one, "detail"));
	}
	nr = json_object_array_length(verify->notes);
	for (i = 0; i < nr; i++)
		say("%snote:%s %s", colour(DIM), colour(PLAIN),
		    json_object_get_string(json_object_array_get_idx(verify->notes, i)));
	say("%s%s%s", colour(colours[status]), verdicts[status], colour(PLAIN));
}

/* The object that --json prints has all that the files have. */
static void hand_over(struct verify *verify)
{
	struct json_object *to = output_object();

	if (!to)
		return;
	json_object_object_foreach(verify->all, name, value)
	{
		if (strcmp(name, "verdict"))
			json_object_object_add(to, name, json_object_get(value));
	}
}

static int finish(struct verify *verify)
{
	static const char *const verdicts[] = { "clean", "violation", "unknown" };
	int status = checks(verify);

	record_end(verify);
	member_text(verify->all, "verdict", verdicts[status]);
	say_all(verify, status);
	hand_over(verify);
	/* What somebody relies on that is not there is no verdict. */
	if (files_write(verify))
		status = STATUS_UNKNOWN;
	return status;
}

/* An exit status: enum status, or of enum run_status where it was not run. */
static int run(struct verify *verify)
{
	int status, err;

	if (files_check(verify))
		return STATUS_UNKNOWN;
	if (verify->asked.secret_fd >= 0) {
		status = scan_open(&verify->scan, verify->asked.secret_fd,
				   verify->asked.minimum, verify->asked.forms);
		if (status)
			return status;
		/* To stop a thread puts its registers there: what is found would be ours. */
		verify->scan.kernel.off = true;
		verify->ready = true;
	}
	verify->signals = take_signals();
	err = verify->signals < 0 ? -errno : part_outputs(verify);
	if (err)
		return output_error("not run: %s", strerror(-err));
	notes_want(verify->asked.at, verify->asked.nr_at);
	probes_open(verify);
	record_begin(verify);
	status = verify_start(verify);
	if (status)
		return status;
	err = verify_trace(verify);
	if (err)
		return output_error("it is not traced any more: %s", strerror(-err));
	if (!verify->root->executed)
		return verify_start_failed(verify);
	return finish(verify);
}

int verify_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "-- PROGRAM [ARGUMENT...]",
		.doc = "Run PROGRAM, search it for a secret as each of its sections ends and as it ends itself, and say whether any is left.\v"
		       "The exit status is 0 if nothing was found, 1 if something was, 2 if that could not be told, "
		       "or PROGRAM failed; 125 to 127 if it was not run.",
	};
	static struct verify verify = {
		.asked = { .secret_fd = -1,
			   .minimum = SCAN_MIN,
			   .forms = (1U << NR_FORMS) - 1,
			   .wait = 2 },
		.scan = { .memory = -1, .pagemap = -1 },
		.failure = -1,
	};
	int status;

	output_parse(&argp, argc, argv, &verify.asked);
	output_begin("verify");
	status = run(&verify);
	probes_close(&verify);
	if (status >= RUN_REFUSED)
		output_end(STATUS_UNKNOWN);
	else
		status = output_end(status);
	scan_close(&verify.scan);
	json_object_put(verify.all);
	tracees_free(&verify);
	return status;
}
