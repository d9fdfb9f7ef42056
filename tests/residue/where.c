// SPDX-License-Identifier: MIT
/*
 * What residue-search calls the kinds of places, and whoever asks it.
 */
#include "where.h"

const char *const where_names[NR_WHERE] = {
	[WHERE_STACK] = "stack",       [WHERE_HEAP] = "heap",
	[WHERE_REGISTER] = "register", [WHERE_LIBRARY] = "library",
	[WHERE_SECRET] = "secret",     [WHERE_ANONYMOUS] = "anonymous",
};
