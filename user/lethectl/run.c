// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethectl run: executes an unmodified program with liblethe-run.so before its libc,
 * so that all of its heap is on secret pages. It becomes that program. Where that
 * library would not come to work, the program is not run at all.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lethe.h"
#include "lethectl.h"

#define LIBRARY "liblethe-run.so.0"

struct run {
	const char *backend, *require;
	bool only, no_new_privileges, verbose;
	char **program;
};

enum { KEY_REQUIRE = 256, KEY_ONLY, KEY_NO_NEW_PRIVS };

static const struct argp_option options[] = {
	{ "backend", 'b', "NAME", 0, "Where pages come from: kmod, memfd_secret or mlock",
	  0 },
	{ "require", KEY_REQUIRE, "LEVEL", 0, "Do not run at less: unmapped, or locked",
	  0 },
	{ "only", KEY_ONLY, NULL, 0,
	  "PROGRAM alone: what it executes in its turn runs plainly", 0 },
	{ "no-new-privs", KEY_NO_NEW_PRIVS, NULL, 0,
	  "Run it, and all that it executes, without the privileges of set-ID bits and file capabilities",
	  0 },
	{ "verbose", 'v', NULL, 0, "Say what is set for it, and what the limit is", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *run = state->input;

	switch (key) {
	case 'b':
		run->backend = arg;
		break;
	case KEY_REQUIRE:
		run->require = arg;
		break;
	case KEY_ONLY:
		run->only = true;
		break;
	case KEY_NO_NEW_PRIVS:
		run->no_new_privileges = true;
		break;
	case 'v':
		run->verbose = true;
		break;
	case ARGP_KEY_ARG:
		/* All that follows is the program's. */
		run->program = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The library beside the liblethe that this program has. 0 or -errno. */
static int find_library(char *path, size_t room)
{
	const char *slash;
	char real[PATH_MAX];
	Dl_info info;
	int n;

	if (!dladdr((void *)lethe_backend, &info) || !realpath(info.dli_fname, real))
		return -ENOENT;
	slash = strrchr(real, '/');
	n = snprintf(path, room, "%.*s/" LIBRARY, (int)(slash - real), real);
	if (n < 0 || (size_t)n >= room)
		return -ENAMETOOLONG;
	return access(path, R_OK) < 0 ? -errno : 0;
}

static int set_preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *list;
	int err;

	if (!others || !*others)
		return setenv("LD_PRELOAD", library, 1);
	if (asprintf(&list, "%s:%s", library, others) < 0)
		return -1;
	err = setenv("LD_PRELOAD", list, 1);
	free(list);
	return err;
}

/* The soft limit as high as it goes. What it is then, in words. */
static const char *raise_limit(void)
{
	static char text[64];
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return "unknown";
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		return "unlimited";
	snprintf(text, sizeof(text), "%llu KiB",
		 (unsigned long long)limit.rlim_cur / 1024);
	return text;
}

static int set_environment(const struct run *run, const char *library)
{
	/* Else Python hands out small blocks from mappings that it makes itself. */
	if (set_preload(library) || setenv("PYTHONMALLOC", "malloc", 1))
		return -1;
	return run->only ? setenv("LETHE_RUN_ONLY", "1", 1) : unsetenv("LETHE_RUN_ONLY");
}

/* The library says why; here it is said that nothing was run. */
static bool has_backend(const struct run *run, const char **backend)
{
	if ((run->backend && setenv("LETHE_BACKEND", run->backend, 1)) ||
	    (run->require && setenv("LETHE_REQUIRE", run->require, 1)))
		return false;
	*backend = lethe_backend();
	/* A level below the best was said now, and need not be by every program. */
	return *backend && !setenv("LETHE_REQUIRE", "locked", 0);
}

static int look(const struct run *run, struct program *program)
{
	const char *name = run->program[0];
	int err = program_look(program, name);

	if (err) {
		complain("%s: %s", name, strerror(-err));
		return err == -ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
	}
	if (!program->why_not[0])
		return 0;
	complain(
		"%s: not run: %s %s%s", name, program->path, program->why_not,
		program->privileged ?
			", and LD_PRELOAD is not for such; --no-new-privs runs it without" :
			"");
	return RUN_REFUSED;
}

static int execute(const struct run *run)
{
	const char *name = run->program[0], *backend = NULL, *limit;
	char library[PATH_MAX];
	struct program program;
	int status, err;

	err = find_library(library, sizeof(library));
	if (err) {
		complain("no " LIBRARY " beside liblethe: %s", strerror(-err));
		return RUN_REFUSED;
	}
	if (strpbrk(library, ": ")) {
		complain(
			"%s: the dynamic linker takes no path with a blank or a colon in LD_PRELOAD",
			library);
		return RUN_REFUSED;
	}
	if (run->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		complain("--no-new-privs: %s", strerror(errno));
		return RUN_REFUSED;
	}
	status = look(run, &program);
	if (status)
		return status;
	limit = raise_limit();
	if (!has_backend(run, &backend)) {
		complain("%s: not run: no secret memory as it is asked for (%s)", name,
			 strerror(errno));
		return RUN_REFUSED;
	}
	if (set_environment(run, library)) {
		complain("%s", strerror(errno));
		return RUN_REFUSED;
	}
	if (run->verbose) {
		complain("pages from %s, RLIMIT_MEMLOCK is %s", backend, limit);
		complain("LD_PRELOAD=%s PYTHONMALLOC=malloc", getenv("LD_PRELOAD"));
	}
	execvp(program.file, run->program);
	complain("%s: %s", name, strerror(errno));
	return errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

int run_verb(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[--] PROGRAM [ARGUMENT...]",
		.doc = "Run PROGRAM, as it is, with all of its heap on secret pages.\v"
		       "The exit status is PROGRAM's; 125 if it was not run because it would "
		       "not have been protected, 126 if it cannot be executed, 127 if there is none.",
	};
	struct run run = { 0 };

	argp_err_exit_status = RUN_REFUSED;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &run))
		return RUN_REFUSED;
	return execute(&run);
}
