// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl: one program, a verb a file. Here is what all verbs share: their table,
 * and help. Decides nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lethectl.h"
#include "output.h"

static const struct verb verbs[] = {
	{ "run", "run a program on a secret heap", run_verb },
	{ "status", "show who holds secret pages, and what is lacking", status_verb },
	{ "watch", "see what leaves, and who tries to get at it, live", watch_verb },
	{ "check", "try whether secret pages stay out of swap here", check_verb },
	{ "scan", "search a process for a secret", scan_verb },
	{ "verify", "run a program, and see whether a secret is left", verify_verb },
};

const char *argp_program_version = "lethectl 0.1";

static char *help_filter(int key, const char *text, void *input)
{
	size_t i, length;
	char *list = NULL;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_EXTRA)
		return (char *)text;
	out = open_memstream(&list, &length);
	if (!out)
		return NULL;
	fputs("Verbs (lethectl VERB --help says more of each):\n", out);
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(out, "  %-26s %s\n", verbs[i].name, verbs[i].does);
	fclose(out);
	return list;
}

static int run_of_verb(const struct verb *verb, int argc, char **argv)
{
	static char name[64];

	snprintf(name, sizeof(name), "lethectl %s", verb->name);
	argv[0] = name;
	return verb->run(argc, argv);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	size_t i;

	switch (key) {
	case ARGP_KEY_ARG:
		for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
			if (strcmp(arg, verbs[i].name))
				continue;
			/* All that follows is the verb's. */
			*(int *)state->input = run_of_verb(&verbs[i],
							   state->argc - state->next + 1,
							   state->argv + state->next - 1);
			state->next = state->argc;
			return 0;
		}
		argp_error(state, "there is no verb \"%s\"", arg);
		return EINVAL;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "VERB [ARGUMENT...]",
		.doc = "Who holds secret memory, what leaves it, and programs run on it.\v",
		.help_filter = help_filter,
	};
	int status = STATUS_UNKNOWN;

	output_watch_stdout();
	argp_err_exit_status = STATUS_UNKNOWN;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &status))
		return STATUS_UNKNOWN;
	return status;
}
