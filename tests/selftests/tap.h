/* SPDX-License-Identifier: MIT */
/*
 * KTAP version 1, in the manner of the kernel's selftests: for every test
 * program of this project. It knows nothing of what is tested.
 *
 * A result that was printed is out: each line is flushed, so that a program
 * which is killed leaves an incomplete plan and never a complete one.
 */
#ifndef LETHE_TAP_H
#define LETHE_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAP_PASS = 0, TAP_FAIL = 1, TAP_SKIP = 4 };

static struct {
	unsigned int planned, run, failed, skipped;
} tap;

#define TAP_PRINTF(f, a) __attribute__((format(printf, f, a), unused))

static inline void tap_vline(const char *start, const char *fmt, va_list ap)
{
	fputs(start, stdout);
	vprintf(fmt, ap);
}

static inline void tap_newline(void)
{
	putchar('\n');
	fflush(stdout);
}

/* First of all: how many results there will be. */
static inline void tap_plan(unsigned int n)
{
	tap.planned = n;
	printf("KTAP version 1\n1..%u", n);
	tap_newline();
}

/* One result; the sentence states the guarantee. Returns @ok. */
TAP_PRINTF(2, 3)
static bool tap_ok(bool ok, const char *fmt, ...)
{
	char start[32];
	va_list ap;

	tap.run++;
	tap.failed += !ok;
	snprintf(start, sizeof(start), "%sok %u - ", ok ? "" : "not ", tap.run);
	va_start(ap, fmt);
	tap_vline(start, fmt, ap);
	va_end(ap);
	tap_newline();
	return ok;
}

/* One result that could not be had, and what was missing. */
TAP_PRINTF(2, 3)
static void tap_skip(const char *what_missing, const char *fmt, ...)
{
	char start[32];
	va_list ap;

	tap.run++;
	tap.skipped++;
	snprintf(start, sizeof(start), "ok %u - ", tap.run);
	va_start(ap, fmt);
	tap_vline(start, fmt, ap);
	va_end(ap);
	printf(" # SKIP %s", what_missing);
	tap_newline();
}

/* A line for whoever reads. */
TAP_PRINTF(1, 2)
static void tap_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_vline("# ", fmt, ap);
	va_end(ap);
	tap_newline();
}

/* Nothing more can be tried: the plan stays incomplete. */
TAP_PRINTF(1, 2)
__attribute__((noreturn)) static void tap_bail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_vline("Bail out! ", fmt, ap);
	va_end(ap);
	tap_newline();
	exit(TAP_FAIL);
}

/* Last of all: main()'s return value. */
__attribute__((unused)) static int tap_end(void)
{
	printf("# Totals: pass:%u fail:%u skip:%u of %u",
	       tap.run - tap.failed - tap.skipped, tap.failed, tap.skipped, tap.planned);
	tap_newline();
	if (tap.failed || tap.run != tap.planned)
		return TAP_FAIL;
	return tap.skipped == tap.run ? TAP_SKIP : TAP_PASS;
}

/* Instead of tap_plan(): the whole program cannot run here. Exits. */
__attribute__((unused, noreturn)) static void tap_skip_all(const char *what_missing)
{
	printf("KTAP version 1\n1..0 # SKIP %s", what_missing);
	tap_newline();
	exit(TAP_SKIP);
}

#endif /* LETHE_TAP_H */
