// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The library's only voice: a line on stderr, and the line before an abort.
 * Never allocates, so that it serves inside malloc().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

static void vmessage(const char *format, va_list args)
{
	static const char prefix[] = "lethe: ";
	char line[256];
	size_t used = sizeof(prefix) - 1;
	int n;

	__builtin_memcpy(line, prefix, used);
	n = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	if (n < 0)
		return;
	used += (size_t)n < sizeof(line) - used - 2 ? (size_t)n : sizeof(line) - used - 2;
	line[used++] = '\n';
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

void message(const char *format, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, format);
	vmessage(format, args);
	va_end(args);
	errno = saved;
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vmessage(format, args);
	va_end(args);
	abort();
}
