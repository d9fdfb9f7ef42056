// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * liblethe-run.so: what `lethectl run` puts in front of an unmodified program, beside
 * malloc.c with LETHE_ALL: all of its heap is secret, its children have theirs, and
 * what does not fit is said. Never falls back on ordinary memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

void *run_refused(size_t size);

void *run_refused(size_t size)
{
	static bool explained;
	struct rlimit limit;
	int saved = errno;

	/* What no machine has is asked for by programs that try. */
	if (saved != ENOMEM || size > PTRDIFF_MAX ||
	    __atomic_exchange_n(&explained, true, __ATOMIC_RELAXED))
		return NULL;
	if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur != RLIM_INFINITY)
		message("no %zu bytes more for %s: %zu KiB of secret heap are in use, and RLIMIT_MEMLOCK is %zu KiB; raise it (ulimit -l, LimitMEMLOCK=)",
			size, program_invocation_short_name, lethe_space_mapped() / KIB,
			(size_t)limit.rlim_cur / KIB);
	else
		message("no %zu bytes more for %s: %zu KiB of secret heap are in use, and the machine has no more",
			size, program_invocation_short_name, lethe_space_mapped() / KIB);
	errno = saved;
	return NULL;
}

/* In front of libc's, which calls its own. */
PUBLIC pid_t fork(void)
{
	return lethe_fork();
}

/* Of LD_PRELOAD, what is not this library. */
static void forget_preload(const char *path)
{
	const char *list = getenv("LD_PRELOAD"), *end;
	size_t length = strlen(path);
	char *rest, *to;

	if (!list)
		return;
	rest = to = malloc(strlen(list) + 1);
	if (!rest)
		return;
	for (; *list; list = *end ? end + 1 : end) {
		end = list + strcspn(list, ": ");
		if ((size_t)(end - list) == length && !memcmp(list, path, length))
			continue;
		if (to > rest)
			*to++ = ':';
		to = mempcpy(to, list, (size_t)(end - list));
	}
	*to = '\0';
	if (*rest)
		setenv("LD_PRELOAD", rest, 1);
	else
		unsetenv("LD_PRELOAD");
	free(rest);
}

static __attribute__((constructor)) void begin(void)
{
	Dl_info info;

	lethe_fork_copies = true;
	/* lethectl run --only: what this program runs is not meant. */
	if (getenv("LETHE_RUN_ONLY") && dladdr(run_refused, &info)) {
		forget_preload(info.dli_fname);
		unsetenv("LETHE_RUN_ONLY");
	}
}
