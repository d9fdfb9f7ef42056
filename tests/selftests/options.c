// SPDX-License-Identifier: MIT
/*
 * What lethe_do_with() takes and what it refuses: a function that is refused is
 * never run, and its report is zeroed. On whichever backend is in use.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

#define ALL_FLAGS                                                                \
	(LETHE_FAST | LETHE_BLOCK_SIGNALS | LETHE_COMPLETE | LETHE_REFUSE_FORK | \
	 LETHE_WIPE_BELOW | LETHE_SCOPED_HEAP)

/* As a program has them that was built with a later version of the header. */
struct later_options {
	struct lethe_options now;
	uint64_t then[2];
};

struct later_report {
	struct lethe_report now;
	uint64_t then[2];
};

static unsigned int runs;

static void count_run(void *arg)
{
	(void)arg;
	runs += lethe_enabled();
}

static struct lethe_report report;

static bool report_is_zero(void)
{
	const struct lethe_report zero = { .size = sizeof(zero) };

	return !memcmp(&report, &zero, sizeof(zero));
}

/* The error, or 1 if the function's run and the report do not go with it. */
static int ask(const struct lethe_options *options)
{
	int err;

	memset(&report, 0xff, sizeof(report));
	report.size = sizeof(report);
	runs = 0;
	err = lethe_do_with(options, count_run, NULL, &report);
	if (err)
		return runs || !report_is_zero() ? 1 : err;
	return runs != 1 || !(report.done & LETHE_DONE_ERASE) ? 1 : 0;
}

static void test_sizes(void)
{
	struct lethe_options options = { .size = sizeof(options) };
	struct later_options later = { .now.size = sizeof(later) };
	unsigned int refused = 0;
	size_t size;

	tap_ok(ask(NULL) == 0 && ask(&options) == 0,
	       "no options, and options of which none is set, run");
	for (size = 0; size < sizeof(options); size++) {
		options.size = size;
		refused += ask(&options) == -EINVAL;
	}
	tap_ok(refused == sizeof(options), "options that are too short are EINVAL");
	tap_ok(ask(&later.now) == 0,
	       "longer ones run, if what is unknown in them is zero");
	later.then[1] = 1;
	tap_ok(ask(&later.now) == -E2BIG, "and are E2BIG if it is not");
	options.size = SIZE_MAX;
	tap_ok(ask(&options) < 0,
	       "a size that is no size is refused, and nothing is read");
}

static void test_flags(void)
{
	struct lethe_options options = { .size = sizeof(options) };
	unsigned int bit, refused = 0, good = 0;

	for (bit = 0; bit < 32; bit++) {
		options.flags = 1U << bit;
		if (ALL_FLAGS & options.flags)
			good += ask(&options) == 0;
		else
			refused += ask(&options) == -EINVAL;
	}
	tap_ok(good == 6 && refused == 26, "6 flags are known, and 26 are EINVAL");
	for (good = 0, options.flags = 0; options.flags <= ALL_FLAGS; options.flags++)
		good += ask(&options) == 0;
	tap_ok(good == 64, "all of their combinations run");
}

static void test_levels(void)
{
	struct lethe_options options = { .size = sizeof(options) };
	bool only_locked = !strcmp(lethe_backend(), "mlock");
	enum lethe_level have = only_locked ? LETHE_LEVEL_LOCKED : LETHE_LEVEL_UNMAPPED;

	options.require = LETHE_LEVEL_LOCKED;
	tap_ok(ask(&options) == 0 && report.level == have,
	       "what requires locked memory runs, on memory of level %d", report.level);
	options.require = LETHE_LEVEL_UNMAPPED;
	if (only_locked)
		tap_ok(ask(&options) == -EOPNOTSUPP,
		       "what requires unmapped memory is EOPNOTSUPP on mlock, not run");
	else
		tap_ok(ask(&options) == 0 && report.level == LETHE_LEVEL_UNMAPPED,
		       "what requires unmapped memory runs on it");
	options.require = (enum lethe_level)3;
	tap_ok(ask(&options) == -EINVAL, "a level that there is not is EINVAL");
}

static void test_functions(void)
{
	memset(&report, 0xff, sizeof(report));
	report.size = sizeof(report);
	tap_ok(lethe_do_with(NULL, NULL, NULL, &report) == -EINVAL && report_is_zero(),
	       "a NULL function is EINVAL, and its report zeroed");
	runs = 0;
	tap_ok(lethe_do_with(NULL, count_run, NULL, NULL) == 0 && runs == 1,
	       "no report need be asked for");
}

static void test_report_sizes(void)
{
	struct later_report later;
	unsigned int refused = 0;
	size_t size;

	memset(&later, 0xff, sizeof(later));
	later.now.size = sizeof(later);
	runs = 0;
	tap_ok(lethe_do_with(NULL, count_run, NULL, &later.now) == 0 && runs == 1 &&
		       later.now.size == sizeof(later) &&
		       later.now.done & LETHE_DONE_ERASE && !later.then[0] &&
		       !later.then[1],
	       "a longer report is filled, and what is unknown in it is zero");
	for (runs = 0, size = 0; size < sizeof(report); size++) {
		memset(&report, 0xff, sizeof(report));
		report.size = size;
		refused += lethe_do_with(NULL, count_run, NULL, &report) == -EINVAL &&
			   report.done == UINT32_MAX && report.signals == UINT32_MAX;
	}
	tap_ok(refused == sizeof(report) && !runs,
	       "one that is too short is EINVAL, not run, and not written to");
}

/* A limit for somebody whom limits bind: the error is the same each time. */
static int at_limit(void *arg)
{
	struct lethe_options options = { .size = sizeof(options),
					 .stack_size = 1024 * 1024 };

	(void)arg;
	become_nobody();
	limit_to(RLIMIT_MEMLOCK, 512 * 1024);
	if (ask(&options) != -ENOMEM || ask(&options) != -ENOMEM)
		return 1;
	/* What fits, runs all the same. */
	options.stack_size = 64 * 1024;
	return ask(&options) ? 2 : 0;
}

static void test_limit(void)
{
	struct ended ended;

	run_child(at_limit, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "a stack larger than RLIMIT_MEMLOCK is ENOMEM, never a SIGBUS, and a smaller one runs (%s)",
	       how_ended(&ended));
	tap_ok(lines_with(&ended, "lethe: ") == 1 &&
		       lines_with(&ended, "RLIMIT_MEMLOCK") == 1,
	       "one line on stderr names the limit");
}

int main(void)
{
	tap_plan(16);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_sizes();
	test_flags();
	test_levels();
	test_functions();
	test_report_sizes();
	test_limit();
	return tap_end();
}
