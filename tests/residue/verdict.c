// SPDX-License-Identifier: MIT
/*
 * Does what was found hold? Each "nothing was found" needs a control: the same
 * search, with the protection off, has found it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static bool holds;

static __attribute__((format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list args;

	holds = false;
	printf("%sFAIL%s  ", report_colour(RED), report_colour(PLAIN));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

enum keeper verdict_keeper(const struct unreadable *unreadable)
{
	const char *name = unreadable->name;

	if (ends_with(name, "/secretmem") || ends_with(name, "[lethe]") ||
	    ends_with(name, "/dev/lethe"))
		return KEEPER_LETHE;
	if (!strncmp(name, "[vvar", 5) || !strcmp(name, "[vsyscall]"))
		return KEEPER_KERNEL;
	return KEEPER_UNKNOWN;
}

static void judge_unreadable(const struct run *run)
{
	for (unsigned int stop = 0; stop < NR_STOPS; stop++) {
		const struct tally *tally = &run->tally[stop];

		for (unsigned int i = 0; i < tally->nr_unreadable; i++) {
			enum keeper keeper = verdict_keeper(&tally->unreadable[i]);

			if (keeper == KEEPER_UNKNOWN ||
			    (keeper == KEEPER_LETHE && !run->lethe))
				fail("%s could not be searched, and nothing explains why",
				     tally->unreadable[i].name);
		}
	}
}

static void judge_controls(const struct runs *runs)
{
	struct summary all = summarize_all(&runs->plain);

	for (int i = 0; i < NR_SECRETS; i++) {
		struct summary plain = summarize(&runs->plain, i);
		struct summary lethe = summarize(&runs->lethe, i);

		if (!found_all(&plain.in_use))
			fail("control: plainly, not found while in use: %s%s",
			     report_titles[i],
			     i == SECRET_ROUND_KEYS ?
				     " (libcrypto keeps them in another form without AES instructions)" :
				     "");
		if (!lethe.in_use.own)
			fail("control: with Lethe, in use, not even in secret pages: %s",
			     report_titles[i]);
	}
	if (!found_all(&all.after) && !runs->anywhere)
		fail("control: plainly, nothing was left after clean-up, so 0 there with Lethe shows little");
	else if (!found_all(&all.after))
		printf("note  plainly, nothing was left after clean-up either: 0 there with Lethe shows little here\n");
}

static void judge_lethe(const struct run *run)
{
	if (run->level == LETHE_LEVEL_NONE)
		fail("a section ran without any protection");
	for (int i = 0; i < NR_SECRETS; i++) {
		struct summary lethe = summarize(run, i);
		uint64_t left = found_all(&lethe.after) + lethe.after.own;

		if (left)
			fail("with Lethe, copies left after: %" PRIu64 ", %s", left,
			     report_titles[i]);
		if (run->level == LETHE_LEVEL_UNMAPPED && found_memory(&lethe.in_use))
			fail("with Lethe, copies in use that ptrace reads: %" PRIu64
			     ", %s",
			     found_memory(&lethe.in_use), report_titles[i]);
	}
}

static void judge_ram(const struct runs *runs)
{
	struct summary plain = summarize_all(&runs->ram_plain);
	bool module = !strcmp(runs->ram_lethe.backend, "kmod");

	if (!plain.after.ram_elsewhere)
		fail("control: plainly, the host found nothing in the guest's RAM after clean-up");
	for (int i = 0; i < NR_SECRETS; i++) {
		struct summary lethe = summarize(&runs->ram_lethe, i);
		uint64_t left = lethe.after.ram_secret + lethe.after.ram_elsewhere;

		if (!(module ? lethe.in_use.ram_secret : lethe.in_use.ram_elsewhere))
			fail("control: with Lethe, in use, the host did not find: %s",
			     report_titles[i]);
		if (left)
			fail("with Lethe, copies left in the guest's RAM: %" PRIu64
			     ", %s",
			     left, report_titles[i]);
		if (module && lethe.in_use.ram_elsewhere)
			fail("with Lethe, copies in use outside secret pages: %" PRIu64
			     ", %s",
			     lethe.in_use.ram_elsewhere, report_titles[i]);
	}
}

static void say_registers(const struct run *run)
{
	uint64_t copies = summarize_all(run).in_use.places[WHERE_REGISTER];

	if (copies)
		printf("note  %" PRIu64
		       " copies in registers of a running section: whoever may ptrace it can read those\n",
		       copies);
}

bool verdict(const struct runs *runs)
{
	holds = true;
	judge_controls(runs);
	judge_lethe(&runs->lethe);
	judge_unreadable(&runs->plain);
	judge_unreadable(&runs->lethe);
	if (runs->has_ram)
		judge_ram(runs);
	if (runs->lethe.level == LETHE_LEVEL_LOCKED)
		printf("note  this backend only locks pages: what is in use can be read by ptrace; shown, not judged\n");
	say_registers(&runs->lethe);
	if (holds)
		printf("%sPASS%s  plainly the secrets are found; with Lethe none is left\n",
		       report_colour(GREEN), report_colour(PLAIN));
	return holds;
}
