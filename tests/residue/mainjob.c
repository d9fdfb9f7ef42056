// SPDX-License-Identifier: MIT
/*
 * lethe-mainjob: sends a file from one process to another under a key that
 * nobody can have later, plainly and with Lethe, and searches what is left. Or does it
 * once, and leaves the search to others.
 *
 * Exit status: 0 all that the report says holds; 1 something does not; 2 the
 * job could not be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A descriptor of a file whose bytes can be read twice. */
static int open_file(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &status) < 0) {
		fprintf(stderr, "lethe-mainjob: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(status.st_mode)) {
		fprintf(stderr, "lethe-mainjob: %s: not a regular file\n", path);
		close(fd);
		return -1;
	}
	return fd;
}

static int do_run(struct run *run, const char *what)
{
	if (!run_job(run))
		return 0;
	fprintf(stderr, "lethe-mainjob: %s: %s\n", what, run->error);
	return -1;
}

static int do_runs(struct runs *runs, int file)
{
	double start = now();

	runs->plain = (struct run){ .file = file };
	runs->lethe = (struct run){ .file = file, .lethe = true };
	runs->ram_plain = (struct run){ .file = file, .look = LOOK_RAM };
	runs->ram_lethe = runs->ram_plain;
	runs->ram_lethe.lethe = true;
	runs->has_ram = look_has_ram();

	/* RAM first: before any ptrace has put registers into it. */
	if (runs->has_ram && (do_run(&runs->ram_plain, "plainly") ||
			      do_run(&runs->ram_lethe, "with Lethe")))
		return -1;
	if (do_run(&runs->plain, "plainly") || do_run(&runs->lethe, "with Lethe"))
		return -1;
	runs->seconds = now() - start;
	return 0;
}

/* For lethectl verify, which searches it: no copy is made for a search of one's own. */
static int do_once(const char *how, const char *path, int key_fd)
{
	static struct run run;

	run.lethe = !strcmp(how, "lethe");
	run.file = open_file(path);
	if (run.file < 0 || (!run.lethe && strcmp(how, "plain") != 0))
		return 2;
	if (!run_once(&run, key_fd))
		return 0;
	fprintf(stderr, "lethe-mainjob: %s: %s\n", how, run.error);
	return 1;
}

static int usage(void)
{
	fputs("usage: lethe-mainjob [--anywhere] FILE\n"
	      "       lethe-mainjob --once plain|lethe [--key-fd FD] FILE\n",
	      stderr);
	return 2;
}

static int once(int argc, char **argv)
{
	bool keyed = argc == 6 && !strcmp(argv[3], "--key-fd");
	char *end = NULL;
	long fd = keyed ? strtol(argv[4], &end, 10) : -1;

	if ((argc != 4 && !keyed) || (keyed && (*end || fd < 0 || fd > 1 << 20)))
		return usage();
	signal(SIGPIPE, SIG_IGN);
	return do_once(argv[2], argv[argc - 1], (int)fd);
}

int main(int argc, char **argv)
{
	bool anywhere = argc > 1 && !strcmp(argv[1], "--anywhere");
	static struct runs runs;
	int file;

	if (argc > 2 && !strcmp(argv[1], "--once"))
		return once(argc, argv);
	if (argc != 2 + anywhere || argv[1 + anywhere][0] == '-')
		return usage();
	runs.path = argv[1 + anywhere];
	runs.anywhere = anywhere;
	/* A peer or a searcher that is gone is an error, not our end. */
	signal(SIGPIPE, SIG_IGN);
	file = open_file(runs.path);
	if (file < 0 || do_runs(&runs, file))
		return 2;
	report_print(&runs);
	return verdict(&runs) ? 0 : 1;
}
