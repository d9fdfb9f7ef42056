// SPDX-License-Identifier: MIT
/*
 * For LD_PRELOAD of lethectl: between PTRACE_SEIZE and what follows it is a moment, in which
 * a signal stops the thread before lethectl does. It is some microseconds long; here it is
 * long enough for a test to hit it.
 */
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOMENT 100000

/* Not for PTRACE_PEEK*, whose result libc gives otherwise, and lethectl has no use for. */
long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	pid_t pid;
	void *address, *data;
	long result;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);
	result = syscall(SYS_ptrace, request, pid, address, data);
	if (!result && request == PTRACE_SEIZE)
		usleep(MOMENT);
	return result;
}
