/* SPDX-License-Identifier: MIT */
/*
 * Whom LETHE_IOC_WIPE may be asked of, as a table: each row is somebody, tried with
 * each flag. A refusal has to leave all that the target has, and a call that is
 * done has to take what was asked for, nothing else of the target's, and nothing of
 * the caller's own at the same address.
 *
 * Each attempt runs in a process of its own, as nobody unless the row is about root.
 * `--table` prints the rows as Markdown, which kmod/README.md carries.
 */
#ifndef LETHE_TESTS_WHO_H
#define LETHE_TESTS_WHO_H

#include "target.h"

/*
 * Returns what came of it: "done" or the name of an error; "SKIP" and what is missing
 * where it cannot be tried.
 */
typedef const char *who_fn(uint32_t flag, long arg);

struct who {
	const char *what;
	const char *expect[NR_PLACES];
	who_fn *act;
	long arg;
	bool root; /* the act begins as root */
};

#define WHO_EACH(text, function, range, dead, alternate, registers, ...)     \
	{                                                                    \
		.what = text, .act = function,                               \
		.expect = { range, dead, alternate, registers }, __VA_ARGS__ \
	}
/* The same whichever flag. */
#define WHO(text, function, all, ...) \
	WHO_EACH(text, function, all, all, all, all, __VA_ARGS__)

UNUSED static const char *const flag_names[] = {
	"LETHE_WIPE_RANGE",
	"LETHE_WIPE_DEAD_STACK",
	"LETHE_WIPE_SIGSTACK",
	"LETHE_WIPE_REGISTERS",
};

static char *outcome; /* where an attempt's process leaves what came of it */
static bool shares;   /* the target's memory is the caller's */

/* From a thread too: the process ends. */
UNUSED __attribute__((noreturn)) static void leave(const char *what)
{
	snprintf(outcome, PAGE, "%s", what);
	_exit(0);
}

/* What came of a call, if the target is as that says; @outcome's text otherwise. */
UNUSED static const char *compare(int err, uint32_t flag)
{
	static char text[128];
	const char *name = err ? strerrorname_np(-err) : "done";

	for (int place = RANGE; place < NR_PLACES; place++) {
		size_t want = place_size[place];

		if (!err && flag == place_flag[place])
			want = 0;
		if (target->left[place] != want) {
			snprintf(text, sizeof(text), "%s, and %s is %zu of %zu", name,
				 flag_names[place], target->left[place], want);
			return text;
		}
	}
	if (!shares && !all_are(RANGE_AT, OWN, PAGE))
		return "the caller's own memory was wiped";
	return name ? name : "no error at all";
}

/* The same, of a target that is free to go on. */
UNUSED static const char *verdict(int err, uint32_t flag)
{
	target->go = 1;
	if (!await(&target->done))
		return "the target is lost";
	return compare(err, flag);
}

/* Of a tracee. */
UNUSED static const char *detach(pid_t pid, int err, uint32_t flag)
{
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return "PTRACE_DETACH failed";
	kill(pid, SIGCONT);
	return verdict(err, flag);
}

/* A tracee that will not come to count: what is there, by the tracer's reading. */
UNUSED static void count_of(pid_t pid)
{
	unsigned char *places[] = { RANGE_AT, target->dead, target->alternate };
	static unsigned char copy[ALTERNATE_SIZE];
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	for (int place = RANGE; place <= SIGSTACK; place++) {
		size_t size = place_size[place];

		if (pread(fd, copy, size, (off_t)places[place]) != (ssize_t)size)
			tap_bail("%s: %s", name, strerror(errno));
		target->left[place] = count(copy, size);
	}
	close(fd);
}

/* So that it may trace those that it makes from now on, as any user may. */
UNUSED static void become_nobody_for_good(void)
{
	if (geteuid())
		return;
	if (!become_nobody() || prctl(PR_SET_DUMPABLE, 1))
		leave("SKIP leave to become nobody");
}

UNUSED static const char *attempt(const struct who *who, enum place place)
{
	static char what[256];
	pid_t pid;
	int end;

	fflush(stdout);
	outcome[0] = 0;
	pid = must_fork();
	if (!pid) {
		alarm(60);
		/* Where a security module wants to be asked first. */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		if (!who->root)
			become_nobody_for_good();
		leave(who->act(place_flag[place], who->arg));
	}
	end = end_of(pid);
	if (end || !outcome[0])
		snprintf(what, sizeof(what), "ended with %d", end);
	else
		snprintf(what, sizeof(what), "%s", outcome);
	return what;
}

UNUSED static void who_run(const struct who *who)
{
	bool registers = must_query().features & LETHE_FEATURE_WIPE_REGISTERS;

	for (int place = RANGE; place < NR_PLACES; place++) {
		const char *what = "SKIP root";

		if (place == REGISTERS && !registers)
			what = "SKIP LETHE_FEATURE_WIPE_REGISTERS";
		else if (!who->root || !geteuid())
			what = attempt(who, place);
		if (!strncmp(what, "SKIP ", 5))
			tap_skip(what + 5, "%s: %s", flag_names[place], who->what);
		else if (!tap_ok(!strcmp(who->expect[place], what), "%s: %s: %s",
				 flag_names[place], who->what, what))
			tap_note("expected: %s", who->expect[place]);
	}
}

UNUSED static void print_who(const struct who *who)
{
	printf("| %s |", who->what);
	for (int place = RANGE; place < NR_PLACES; place++)
		printf(" %s |", who->expect[place]);
	printf(" `%s.c` |\n", program_invocation_short_name);
}

/* A program's main(), which is a target's too where it is told to be one. */
UNUSED static int who_main(int argc, char **argv, const struct who *rows, size_t nr)
{
	if (argc == 2 && !strcmp(argv[1], "--table")) {
		for (size_t i = 0; i < nr; i++)
			print_who(&rows[i]);
		return TAP_PASS;
	}
	if (argc == 3 && !strcmp(argv[1], "--target")) {
		alarm(60);
		target_open(atoi(argv[2]));
		target_run(wait_asleep);
		return TAP_PASS;
	}
	door_open();
	target_open(-1);
	outcome = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	if (outcome == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	tap_plan(nr * NR_PLACES);
	for (size_t i = 0; i < nr; i++)
		who_run(&rows[i]);
	return tap_end();
}

#define WHO_MAIN(rows)                                                             \
	int main(int argc, char **argv)                                            \
	{                                                                          \
		return who_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0])); \
	}

#endif /* LETHE_TESTS_WHO_H */
