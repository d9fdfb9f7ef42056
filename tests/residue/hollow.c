// SPDX-License-Identifier: MIT
/*
 * Sections that protect from nothing, to be preloaded over the real ones: whatever finds
 * nothing in a section has to notice. Erases nothing, and gives no secret memory.
 */
#include "lethe.h"

#define SHOWN __attribute__((visibility("default")))

SHOWN int lethe_do_with(const struct lethe_options *options, void (*fn)(void *arg),
			void *arg, struct lethe_report *report)
{
	(void)options;
	if (report) {
		size_t size = report->size;

		*report = (struct lethe_report){ .size = size };
	}
	fn(arg);
	return 0;
}

SHOWN int lethe_do(void (*fn)(void *arg), void *arg)
{
	return lethe_do_with(NULL, fn, arg, NULL);
}

SHOWN int lethe_wipe_thread(void)
{
	return 0;
}

SHOWN int lethe_wipe_stack(pid_t tid, void *start, size_t length)
{
	(void)tid;
	(void)start;
	(void)length;
	return 0;
}
