// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a caller asks for in struct lethe_options, checked: a later version's caller
 * too, whose structure is longer.
 */
#include <errno.h>

#include "internal.h"

#define FLAGS                                                                    \
	(LETHE_FAST | LETHE_BLOCK_SIGNALS | LETHE_COMPLETE | LETHE_REFUSE_FORK | \
	 LETHE_WIPE_BELOW | LETHE_SCOPED_HEAP)

/* As far as this version knows it: what it does not know must not be asked for. */
int options_read(const struct lethe_options *options, struct plan *plan)
{
	const unsigned char *tail = (const unsigned char *)(options + 1);
	size_t i;

	if (options->size < sizeof(*options) || options->size > PAGE)
		return -EINVAL;
	for (i = 0; i < options->size - sizeof(*options); i++)
		if (tail[i])
			return -E2BIG;
	if (options->flags & ~FLAGS || options->require > LETHE_LEVEL_UNMAPPED)
		return -EINVAL;
	plan->flags = options->flags;
	plan->require = options->require;
	if (options->stack_size) {
		if (options->stack_size < STACK_SIZE_MIN ||
		    options->stack_size > STACK_SIZE_MAX)
			return -EINVAL;
		plan->stack_size = round_up(options->stack_size, PAGE);
	}
	return 0;
}
