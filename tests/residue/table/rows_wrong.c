// SPDX-License-Identifier: MIT
/*
 * Rows that are not as they say, for the driver to say so: judge_test.py.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "fill.h"
#include "tables.h"

/* What a section's function writes to on purpose is not erased. */
static uint8_t kept[ROW_SECRET];

static void nothing(uint8_t *secret)
{
	(void)secret;
}

static void keep(uint8_t *secret)
{
	fill_memory(kept, ROW_SECRET, secret);
}

static void leave_frame(uint8_t *secret)
{
	fill_frame(secret);
}

static void end(uint8_t *secret)
{
	(void)secret;
	_exit(3);
}

static void be_killed(uint8_t *secret)
{
	(void)secret;
	raise(SIGKILL);
}

static void tell_of_weak(uint8_t *secret)
{
	static const uint8_t weak[ROW_SECRET];

	(void)secret;
	row_reveal(weak, sizeof(weak));
}

static void end_in_section(uint8_t *secret)
{
	if (row_protected)
		_exit(4);
	fill_frame(secret);
}

static const char *without_what(void)
{
	return "what it needs is not here";
}

static const struct row rows_wrong[] = {
	{ .name = "no residue", .inside = nothing },
	{ .name = "elsewhere", .where = "register zmm", .inside = leave_frame },
	{ .name = "left", .inside = keep },
	{ .name = "told", .inside = keep, .clause = ROW_ON_FALLBACKS("it is kept") },
	{ .name = "stale", .inside = leave_frame, .clause = ROW_ON_MLOCK("it is kept") },
	{ .name = "ends", .inside = end },
	{ .name = "killed", .inside = be_killed },
	{ .name = "ends in the section", .inside = end_in_section },
	{ .name = "mute", .inside = nothing, .source = ROW_MADE },
	{ .name = "weak", .inside = tell_of_weak, .source = ROW_MADE },
	{ .name = "cannot", .inside = nothing, .cannot = without_what },
	{ .name = NULL },
};

const struct row *const row_tables[] = { rows_wrong, NULL };
