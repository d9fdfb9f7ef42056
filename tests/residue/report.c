// SPDX-License-Identifier: MIT
/*
 * The table that a person sees. It judges nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define CELL 40
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const char *const report_titles[NR_SECRETS] = {
	[SECRET_SENDER_KEY] = "sender's private key",
	[SECRET_RECEIVER_KEY] = "receiver's private key",
	[SECRET_SHARED] = "shared secret",
	[SECRET_SESSION_KEY] = "session key",
	[SECRET_ROUND_KEYS] = "AES round keys",
};

static const char *const place_titles[NR_WHERE] = {
	[WHERE_STACK] = "stack",        [WHERE_HEAP] = "heap",
	[WHERE_REGISTER] = "register",  [WHERE_LIBRARY] = "library data",
	[WHERE_SECRET] = "locked page", [WHERE_ANONYMOUS] = "other memory",
};

const char *report_colour(enum colour colour)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m",
		[RED] = "\033[31m",
		[GREEN] = "\033[32m",
		[BOLD] = "\033[1m",
	};
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no) ? codes[colour] : "";
}

/* The @line-th kind of place that has copies, as "2 stack"; "0" for none. */
static bool format_cell(char *cell, const uint64_t places[NR_WHERE], int line)
{
	int kinds = 0;

	*cell = 0;
	for (int i = 0; i < NR_WHERE; i++) {
		if (places[i] && kinds++ == line)
			snprintf(cell, CELL, "%" PRIu64 " %s", places[i],
				 place_titles[i]);
	}
	if (!kinds && !line)
		strcpy(cell, "0");
	return *cell;
}

/* As many lines as the cell with the most kinds of place needs. */
static void print_row(const struct runs *runs, enum secret secret)
{
	const struct summary plain = summarize(&runs->plain, secret);
	const struct summary lethe = summarize(&runs->lethe, secret);
	const uint64_t *const places[] = {
		plain.in_use.places,
		plain.after.places,
		lethe.in_use.places,
		lethe.after.places,
	};
	char cells[ARRAY_SIZE(places)][CELL], own[CELL], text[6 * CELL];
	int n;

	snprintf(own, sizeof(own), "%" PRIu64, lethe.in_use.own);
	for (int line = 0;; line++) {
		bool any = false;

		for (size_t i = 0; i < ARRAY_SIZE(places); i++)
			any |= format_cell(cells[i], places[i], line);
		if (!any)
			break;
		n = snprintf(text, sizeof(text), "  %-23s %-17s %-17s %-17s %-13s %s",
			     line ? "" : report_titles[secret], cells[0], cells[1],
			     cells[2], line ? "" : own, cells[3]);
		while (n > 0 && text[n - 1] == ' ')
			n--;
		printf("%.*s\n", n, text);
	}
}

static void print_ram_row(const struct runs *runs)
{
	const struct summary plain = summarize_all(&runs->ram_plain);
	const struct summary lethe = summarize_all(&runs->ram_lethe);

	printf("  %-23s %-17" PRIu64 " %-17" PRIu64 " %-17" PRIu64 " %-13" PRIu64
	       " %" PRIu64 "\n",
	       "guest RAM", plain.in_use.ram_elsewhere, plain.after.ram_elsewhere,
	       lethe.in_use.ram_elsewhere, lethe.in_use.ram_secret,
	       lethe.after.ram_elsewhere + lethe.after.ram_secret);
}

static void print_table(const struct runs *runs)
{
	printf("\n  %-23s %s%-35s %s%s\n", "copies found", report_colour(BOLD), "plainly",
	       "with Lethe", report_colour(PLAIN));
	printf("  %-23s %-17s %-17s %-17s %-13s %s\n", "", "in use", "after clean-up",
	       "in use", "secret pages", "after");
	for (int i = 0; i < NR_SECRETS; i++)
		print_row(runs, i);
	if (runs->has_ram)
		print_ram_row(runs);
}

static void print_unreadable(const struct tally *tally)
{
	static const char *const keepers[] = {
		[KEEPER_LETHE] = "secret pages: each peer searched its own",
		[KEEPER_KERNEL] = "the kernel's, the same in every process",
		[KEEPER_UNKNOWN] = "not known why",
	};

	for (unsigned int i = 0; i < tally->nr_unreadable; i++) {
		const struct unreadable *u = &tally->unreadable[i];

		printf("  %-13s%s, %" PRIu64 " KiB (%s)\n",
		       i ? "" : "unreadable:", u->name, u->bytes >> 10,
		       keepers[verdict_keeper(u)]);
	}
}

static const char *level_title(int level)
{
	switch (level) {
	case LETHE_LEVEL_UNMAPPED:
		return "unmapped: the kernel itself does not map the pages, and ptrace cannot read them";
	case LETHE_LEVEL_LOCKED:
		return "locked: never swapped or dumped; but while in use, ptrace can read them";
	default:
		return "none";
	}
}

static void print_note(const struct runs *runs)
{
	const char *backend = runs->lethe.backend;

	if (getenv("LETHE_BACKEND"))
		printf("  %-13sas LETHE_BACKEND asks\n", "");
	else if (!strcmp(backend, "kmod"))
		printf("  %-13sthe module, lethe.ko, by /dev/lethe\n", "");
	else
		printf("  %-13sthe best of what is here: no /dev/lethe can be used%s;\n"
		       "  %-13smake run-vm does this on the module, in a virtual machine\n",
		       "", strcmp(backend, "mlock") ? "" : ", nor memfd_secret", "");
}

static void print_digest(const uint8_t digest[32])
{
	for (int i = 0; i < 32; i++)
		printf("%02x", digest[i]);
}

void report_print(const struct runs *runs)
{
	const struct run *lethe = &runs->lethe;
	const struct tally *after = &lethe->tally[NR_STOPS - 1];

	printf("A file sent from one process to another: X25519, HKDF-SHA256, AES-256-GCM by libcrypto.\n\n");
	printf("  %-13s%s, %" PRIu64 " bytes, arrived intact in every run\n",
	       "file:", runs->path, lethe->size);
	printf("  %-13s", "SHA-256:");
	print_digest(lethe->digest);
	printf("\n  backend:     %s\n", lethe->backend);
	if (runs->anywhere)
		print_note(runs);
	printf("  %-13s%s\n", "level:", level_title(lethe->level));
	print_table(runs);
	printf("\n  %-13severy register and %.1f MB of memory of the two peers by ptrace, at each stop;\n"
	       "  %-13swith Lethe, %.1f MB of secret pages more by their owners\n",
	       "searched:", after->bytes / 1e6, "", after->own_bytes / 1e6);
	if (runs->has_ram)
		printf("  %-13sall %" PRIu64
		       " MiB of the machine's memory by its host, in runs of their own\n",
		       "", runs->ram_lethe.tally[NR_STOPS - 1].ram_bytes >> 20);
	print_unreadable(after);
	printf("  %-13sexchange plainly %.0f ms, with Lethe %.0f ms; all in all %.1f s\n\n",
	       "time:", runs->plain.seconds * 1e3, lethe->seconds * 1e3, runs->seconds);
}
