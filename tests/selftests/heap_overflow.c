// SPDX-License-Identifier: MIT
/*
 * A secret heap that is full: ENOMEM; or, if LETHE_OVERFLOW=locked says so, memory of a
 * lower level, which never passes for what it is not. On whichever backend is in use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define PAGE ((size_t)4096)
#define LIMIT (256 * PAGE)
#define NR 2000

static char *blocks[NR];
static enum lethe_level best;

/* A user of its own, to whom the limit applies; and a heap that is not there yet. */
static void begin(const char *overflow)
{
	become_nobody();
	limit_to(RLIMIT_MEMLOCK, LIMIT);
	if (overflow)
		setenv("LETHE_OVERFLOW", overflow, 1);
	/* As it can be without any: what the backend promises. */
	blocks[0] = lethe_malloc(1);
	best = lethe_level_of(blocks[0]);
}

/* From the first that was not had on: how many, and how many of the best level. */
static size_t fill(size_t *nr_best)
{
	size_t n;

	*nr_best = 0;
	for (n = 0; n < NR && (blocks[n] = lethe_malloc(PAGE)); n++) {
		memset(blocks[n], 1, PAGE);
		*nr_best += lethe_level_of(blocks[n]) == best;
	}
	return n;
}

static int full_is_enomem(void *arg)
{
	size_t n, nr_best;

	begin(arg);
	n = fill(&nr_best);
	if (errno != ENOMEM || n == NR || nr_best != n)
		return 1;
	return n < LIMIT / PAGE / 2 ? 2 : 0;
}

/* Is there anything else to be had, where secret pages are charged in full? */
static bool can_lock_more(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	/* Not by libc's name: under a sanitizer that does nothing, and well. */
	bool can = page != MAP_FAILED && !syscall(SYS_mlock, page, PAGE);

	munmap(page, PAGE);
	return can;
}

enum { LOWER = 10, ONE_LIMIT = 77, NONE_LOWER = 78 };

static int goes_on_lower(void *arg)
{
	size_t i, n, nr_best, lower;
	bool more;

	begin("locked");
	(void)arg;
	if (best == LETHE_LEVEL_LOCKED)
		return NONE_LOWER;
	n = fill(&nr_best);
	lower = n - nr_best;
	more = can_lock_more();
	if (!lower)
		return more || errno != ENOMEM ? 2 : ONE_LIMIT;
	if (n == NR || errno != ENOMEM)
		return 3;
	for (i = 0; i < n; i++)
		if (lethe_level_of(blocks[i]) < LETHE_LEVEL_LOCKED)
			return 4;
	/* Once there is room again, that is what is used. */
	for (i = 0; i < n; i++)
		lethe_free(blocks[i]);
	for (i = 0; i < nr_best / 2; i++)
		if (lethe_level_of(lethe_malloc(PAGE)) != best)
			return 5;
	return LOWER;
}

static size_t all, all_best;

static void fill_inside(void *arg)
{
	all = fill(&all_best);
	*(int *)arg = errno;
}

static int required_is_kept(void *arg)
{
	struct lethe_options options = { .size = sizeof(options),
					 .stack_size = 8 * PAGE };
	int err;

	begin("locked");
	(void)arg;
	if (best == LETHE_LEVEL_LOCKED)
		return NONE_LOWER;
	options.require = LETHE_LEVEL_UNMAPPED;
	if (lethe_do_with(&options, fill_inside, &err, NULL))
		return 1;
	if (err != ENOMEM || all != all_best || all < LIMIT / PAGE / 2)
		return 2;
	return 0;
}

static int no_sense(void *arg)
{
	const char *const *pair = arg;

	setenv("LETHE_OVERFLOW", pair[0], 1);
	if (pair[1])
		setenv("LETHE_REQUIRE", pair[1], 1);
	if (lethe_malloc(1) || errno != EINVAL)
		return 1;
	return 0;
}

static void test_lower(void)
{
	static const char what[] =
		"with LETHE_OVERFLOW=locked it goes on lower, as lethe_level_of() says";
	struct ended ended;

	run_child(goes_on_lower, NULL, &ended);
	if (exited_with(&ended, ONE_LIMIT))
		tap_skip("pages of both levels are charged to one limit here", "%s",
			 what);
	else if (exited_with(&ended, NONE_LOWER))
		tap_skip("there is none lower than locked", "%s", what);
	else
		tap_ok(exited_with(&ended, LOWER), "%s: %s", what, how_ended(&ended));
}

static void test_required(void)
{
	static const char what[] = "but not for a section that requires more";
	struct ended ended;

	run_child(required_is_kept, NULL, &ended);
	if (exited_with(&ended, NONE_LOWER))
		tap_skip("there is none lower than locked", "%s", what);
	else
		tap_ok(exited_with(&ended, 0), "%s: %s", what, how_ended(&ended));
}

static void test_no_sense(void)
{
	static const char *const unknown[] = { "yes", NULL };
	static const char *const contrary[] = { "locked", "unmapped" };
	struct ended ended;

	run_child(no_sense, (void *)unknown, &ended);
	tap_ok(exited_with(&ended, 0) && lines_with(&ended, "LETHE_OVERFLOW=yes") == 1,
	       "any other word is a message and EINVAL: %s", how_ended(&ended));
	run_child(no_sense, (void *)contrary, &ended);
	tap_ok(exited_with(&ended, 0) &&
		       lines_with(&ended, "LETHE_REQUIRE=unmapped") == 1,
	       "and so is it beside LETHE_REQUIRE=unmapped: %s", how_ended(&ended));
}

int main(void)
{
	struct ended ended;

	tap_plan(5);
	run_child(full_is_enomem, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "a full heap is ENOMEM, all of it of one level: %s", how_ended(&ended));
	test_lower();
	test_required();
	test_no_sense();
	return tap_end();
}
