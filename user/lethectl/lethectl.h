/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What lethectl's files know of each other. A verb is a file, a function, and a line
 * in main.c's table.
 */
#ifndef LETHECTL_H
#define LETHECTL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

/* Of every verb that gives a verdict. */
enum status {
	STATUS_CLEAN = 0,
	STATUS_FOUND = 1,   /* a violation, or residue */
	STATUS_UNKNOWN = 2, /* could not tell; bad usage, too */
};

/* Of run, and as env(1) has them; else the program's own. */
enum run_status {
	RUN_REFUSED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
};

/**
 * struct verb - one of what lethectl does
 * @name: as it is typed
 * @does: a line for the list of verbs
 * @run: as main(), with argv[0] "lethectl NAME"; returns the exit status
 */
struct verb {
	const char *name, *does;
	int (*run)(int argc, char **argv);
};

int run_verb(int argc, char **argv);
int status_verb(int argc, char **argv);
int watch_verb(int argc, char **argv);
int check_verb(int argc, char **argv);
int scan_verb(int argc, char **argv);
int verify_verb(int argc, char **argv);

/* terminal.c: "lethectl: " and a line on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * struct program - what would be executed, and what becomes of LD_PRELOAD there
 * @file: what is executed
 * @path: the same; of its interpreter where it is a script
 * @why_not: why nothing can be put in front of its malloc(); NULL if it can
 * @privileged: that is since the kernel gives it privileges of its own
 */
struct program {
	char file[4096], path[4096];
	char why_not[512];
	bool privileged;
};

/*
 * program.c: finds @name as execvp() does, and looks at what would run. 0, with
 * program->why_not empty if it can be run; or -errno: -ENOENT, -EACCES, ...
 */
int program_look(struct program *program, const char *name);

#endif /* LETHECTL_H */
