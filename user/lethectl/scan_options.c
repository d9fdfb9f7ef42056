// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the verbs that search have to read alike on the command line. What is wrong there
 * is said, and the program ends: no secret has been read yet.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

long option_number(struct argp_state *state, const char *option, const char *text,
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

unsigned int option_forms(struct argp_state *state, const char *list)
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
