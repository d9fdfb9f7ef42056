// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What was asked of the program, one sentence each, and what came of it; and the verdict
 * of all together. What was not searched is never called clean: it is said, and where it
 * is what the verdict stands on, there is none.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "output.h"
#include "verify.h"
#include "watch.h"

static const char *const status_names[] = {
	[CHECK_PASSED] = "passed",
	[CHECK_FAILED] = "failed",
	[CHECK_NOT_ASKED] = "not asked",
	[CHECK_UNKNOWN] = "unknown",
};

void check_add(struct verify *verify, const char *name, enum check_status status,
	       const char *format, ...)
{
	struct json_object *check = list_object(verify->checks);
	char detail[512];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	member_text(check, "name", name);
	member_text(check, "status", status_names[status]);
	member_text(check, "detail", detail);
	verify->statuses[status]++;
}

static void at_sections(struct verify *verify)
{
	static const char name[] = "no copy is left at the end of a section";
	const struct verify_count *count = &verify->count[WHY_SECTION];

	if (!verify->ready)
		check_add(verify, name, CHECK_NOT_ASKED, "%s section ends, and no secret",
			  watch_number(verify->sections));
	else if (count->found)
		check_add(verify, name, CHECK_FAILED,
			  "%s copies, %s whole; searched at %s of %s section ends",
			  watch_number(count->found), watch_number(count->whole),
			  watch_number(count->stops), watch_number(verify->sections));
	else if (verify->unseen_marks)
		check_add(verify, name, CHECK_UNKNOWN,
			  "at %s marks there was no breakpoint, or not in time",
			  watch_number(verify->unseen_marks));
	else if (!verify->sections)
		check_add(
			verify, name, CHECK_NOT_ASKED, "%s",
			verify->liblethe ?
				"liblethe is there, but no section has ended" :
				"there is no mark of liblethe in it: it was searched as it ended, alone");
	else if (!count->stops)
		check_add(
			verify, name, CHECK_UNKNOWN,
			"at none of %s section ends was there a secret yet, or a process to search",
			watch_number(verify->sections));
	else if (count->incomplete)
		check_add(verify, name, CHECK_UNKNOWN,
			  "%s of %s searches are not complete",
			  watch_number(count->incomplete), watch_number(count->stops));
	else
		check_add(verify, name, CHECK_PASSED, "searched at %s of %s section ends",
			  watch_number(verify->searched), watch_number(verify->sections));
}

static void at_marks(struct verify *verify)
{
	static const char name[] = "no copy is there at a mark";
	const struct verify_count *count = &verify->count[WHY_MARK];

	if (!verify->asked.nr_at)
		return;
	if (!verify->ready)
		check_add(verify, name, CHECK_NOT_ASKED, "no secret was given");
	else if (count->found)
		check_add(verify, name, CHECK_FAILED,
			  "%s copies, %s whole, at %s of %s times that one was reached",
			  watch_number(count->found), watch_number(count->whole),
			  watch_number(count->stops), watch_number(verify->reached));
	else if (!count->stops || count->incomplete)
		check_add(
			verify, name, CHECK_UNKNOWN,
			"%s times one was reached, and searched %s times, %s of them completely",
			watch_number(verify->reached), watch_number(count->stops),
			watch_number(count->stops - count->incomplete));
	else
		check_add(verify, name, CHECK_PASSED, "searched at %s of %s",
			  watch_number(count->stops), watch_number(verify->reached));
}

static void at_exit_(struct verify *verify)
{
	static const char name[] = "no copy is left as a process ends";
	struct verify_count count = verify->count[WHY_EXIT];

	count.stops += verify->count[WHY_LEFT].stops;
	count.found += verify->count[WHY_LEFT].found;
	count.whole += verify->count[WHY_LEFT].whole;
	count.incomplete += verify->count[WHY_LEFT].incomplete;
	if (!verify->ready)
		check_add(verify, name, CHECK_NOT_ASKED, "no secret was given");
	else if (count.found)
		check_add(verify, name, CHECK_FAILED,
			  "%s copies, %s whole, in %s processes",
			  watch_number(count.found), watch_number(count.whole),
			  watch_number(count.stops));
	else if (verify->unsearched_exits)
		check_add(verify, name, CHECK_UNKNOWN,
			  "%s processes were gone before they could be searched",
			  watch_number(verify->unsearched_exits));
	else if (count.incomplete || !count.stops)
		check_add(verify, name, CHECK_UNKNOWN,
			  "%s of %s searches are not complete",
			  watch_number(count.incomplete), watch_number(count.stops));
	else
		check_add(verify, name, CHECK_PASSED, "%s processes were searched",
			  watch_number(count.stops));
}

static void in_core(struct verify *verify)
{
	static const char name[] = "no copy is in a core dump";
	const struct verify_count *count = &verify->count[WHY_CORE];
	const char *how =
		verify->core_searched ?
			"the file that was dumped was searched, and" :
		verify->core_piped ?
			"the core went to a program (core_pattern), where it cannot be had:" :
			"no file was dumped, or none found:";

	if (!verify->ready)
		check_add(verify, name, CHECK_NOT_ASKED, "no secret was given");
	else if (!count->stops && !verify->core_made && !verify->asked.core)
		check_add(verify, name, CHECK_NOT_ASKED,
			  "it did not crash; --core judges what a dump would have had");
	else if (!count->stops && !verify->core_made)
		check_add(
			verify, name,
			verify->dumped_found  ? CHECK_FAILED :
			!verify->dumped_stops ? CHECK_UNKNOWN :
						CHECK_PASSED,
			"it did not crash: of what a dump would have had at %s searches, %s copies",
			watch_number(verify->dumped_stops),
			watch_number(verify->dumped_found));
	else
		check_add(verify, name,
			  verify->core_found                 ? CHECK_FAILED :
			  count->incomplete || !count->stops ? CHECK_UNKNOWN :
							       CHECK_PASSED,
			  "%s of what the kernel dumps %s copies", how,
			  watch_number(verify->core_found));
}

static void secret_pages(struct verify *verify)
{
	static const char name[] = "no secret page is dumped";

	if (!verify->secret_maps)
		check_add(verify, name, CHECK_NOT_ASKED,
			  "it had no mapping of secret pages when it was looked at");
	else if (verify->secret_dumped)
		check_add(verify, name, CHECK_FAILED,
			  "%s secret mappings would be in a core dump",
			  watch_number(verify->secret_dumped));
	else
		check_add(verify, name, CHECK_PASSED,
			  "%s times secret mappings were seen, and the kernel dumps none",
			  watch_number(verify->secret_maps));
}

static void its_own_end(struct verify *verify)
{
	static const char name[] = "the program ends well";
	int status = verify->root->status;

	if (!verify->root->ended)
		check_add(verify, name, CHECK_UNKNOWN, "it has not ended");
	else if (WIFEXITED(status) && !WEXITSTATUS(status))
		check_add(verify, name, CHECK_PASSED, "exit status 0");
	else if (WIFEXITED(status))
		check_add(verify, name, CHECK_UNKNOWN,
			  "exit status %d: of a run that failed little is proved",
			  WEXITSTATUS(status));
	else
		check_add(
			verify, name, CHECK_UNKNOWN,
			"ended by signal %d (SIG%s)%s: of a run that failed little is proved",
			WTERMSIG(status), sigabbrev_np(WTERMSIG(status)) ?: "?",
			WCOREDUMP(status) ? ", and dumped its core" : "");
}

static void notes(struct verify *verify)
{
	if (verify->execs)
		record_note(
			verify,
			"%s times a process executed another program: what it had in memory until then was searched only at section ends before",
			watch_number(verify->execs));
	if (verify->used)
		record_note(
			verify,
			"%s copies are not counted: they were in use, in the registers or locked memory of a thread in a section of its own",
			watch_number(verify->used));
	if (verify->let_go)
		record_note(
			verify,
			"%s processes outlived the program: they were searched as they were then, and go on untraced",
			watch_number(verify->let_go));
	if (verify->searched < verify->sections && verify->ready)
		record_note(verify, "searched at %s of %s section ends (%s)",
			    watch_number(verify->searched),
			    watch_number(verify->sections),
			    verify->asked.every ?
				    "--every" :
				    "as the time allows; --every 1 searches at each");
	if (verify->asked.secret_file && !verify->ready && !verify->failed)
		record_note(verify, "--secret-file %s was not there at any search",
			    verify->asked.secret_file);
}

int checks(struct verify *verify)
{
	at_sections(verify);
	at_marks(verify);
	at_exit_(verify);
	in_core(verify);
	secret_pages(verify);
	probes_check(verify);
	its_own_end(verify);
	notes(verify);
	if (verify->statuses[CHECK_FAILED])
		return STATUS_FOUND;
	if (verify->statuses[CHECK_UNKNOWN] || verify->failed ||
	    (verify->asked.secret_file && !verify->ready))
		return STATUS_UNKNOWN;
	return STATUS_CLEAN;
}
