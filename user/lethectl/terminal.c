// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What is different on a terminal: colour, its width, and a line of progress. The
 * width is asked for each time, so that one that is resized needs no signal; one that
 * vanished is like none. Nothing of somebody else's is printed here unescaped.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"
#include "undo.h"

/* Is there a line of progress on the terminal now? */
static volatile sig_atomic_t drawn;
static const char erase[] = "\r\033[K";

static bool capable(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb");
}

const char *colour(enum colour colour)
{
	static const char *const codes[] = {
		[PLAIN] = "\033[0m", [BOLD] = "\033[1m",  [DIM] = "\033[2m",
		[GOOD] = "\033[32m", [WARN] = "\033[33m", [BAD] = "\033[1;31m",
	};
	static enum { UNASKED, NO, YES } answer;
	const char *no;

	if (answer == UNASKED) {
		no = getenv("NO_COLOR");
		answer = capable(STDOUT_FILENO) && !(no && *no) ? YES : NO;
	}
	return answer == YES ? codes[colour] : "";
}

static unsigned int width_of(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

unsigned int terminal_width(void)
{
	unsigned int width = width_of(STDOUT_FILENO);

	if (!width)
		width = width_of(STDERR_FILENO);
	return width ? width : 80;
}

bool progress_seen(void)
{
	return capable(STDERR_FILENO);
}

/* Also where a signal ends the program. */
static void undraw(void *unused)
{
	(void)unused;
	if (drawn && write(STDERR_FILENO, erase, sizeof(erase) - 1) > 0)
		drawn = 0;
}

void progress(const char *format, ...)
{
	static bool pushed;
	unsigned int width;
	char line[512];
	va_list args;

	if (!progress_seen())
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!pushed)
		undo_push(undraw, NULL);
	pushed = true;
	width = width_of(STDERR_FILENO);
	/* The last column stays empty: many terminals wrap there. */
	fprintf(stderr, "\r%.*s\033[K", width ? (int)width - 1 : 79, line);
	fflush(stderr);
	drawn = 1;
}

void progress_erase(void)
{
	if (!drawn)
		return;
	fputs(erase, stderr);
	fflush(stderr);
	drawn = 0;
}

void complain(const char *format, ...)
{
	va_list args;

	progress_erase();
	fputs("lethectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
