/* SPDX-License-Identifier: MIT */
/*
 * What a system call does on memory, as a table: each row is one act, tried on
 * three kinds of memory beside each other, with what has to come of it on each.
 * The ordinary one is the control: where an act does not work there either, it
 * proves nothing, and where this kernel does not have it, the row is skipped.
 *
 * Each act runs in a process of its own, on memory of its own, so that it may
 * crash, and rows may stand in any order. `--table` prints the rows as Markdown,
 * which kmod/README.md carries.
 */
#ifndef LETHE_TESTS_ROWS_H
#define LETHE_TESTS_ROWS_H

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "door.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define NR ((size_t)8)
#define LENGTH (NR * PAGE)
#define FILL 0x5a
#define MARK 0x6c65746865736563UL
#define RW (PROT_READ | PROT_WRITE)

enum kind { REGION, SECRETMEM, ORDINARY, NR_KINDS };

UNUSED static const char *const kind_names[] = { "region", "memfd_secret", "ordinary" };

/* Pages, mapped shared, each full of FILL but for MARK as the very first word. */
struct memory {
	enum kind kind;
	int fd; /* -1: private and anonymous */
	unsigned char *map;
	size_t length;
};

/*
 * An act on @m. Returns what came of it: "done", the name of an error, or what
 * was found; "SKIP" and what is missing where it cannot be tried at all.
 */
typedef const char *act_fn(struct memory *m, long arg);

struct row {
	const char *what;
	/* "x or y" where kernels differ; NULL where the row makes no sense. */
	const char *expect[NR_KINDS];
	act_fn *act;
	long arg;
	bool anonymous;     /* the ordinary memory is private and anonymous */
	bool bare;          /* the act makes its memory itself */
	const char *absent; /* on ordinary memory: not to be had on this kernel */
};

/* What has to come of it on each kind, in their order, and what else there is. */
#define ROW(text, function, region, secretmem, ordinary, ...)            \
	{                                                                \
		.what = text, .act = function,                           \
		.expect = { region, secretmem, ordinary }, ##__VA_ARGS__ \
	}

/* Where an act's process leaves what came of it. */
static char *outcome;

UNUSED static const char *failed(void)
{
	return strerrorname_np(errno);
}

UNUSED static const char *done_if(bool ok)
{
	return ok ? "done" : failed();
}

UNUSED static const char *seen(uint64_t word)
{
	return word == MARK ? "the secret" : "something else";
}

UNUSED static uint64_t first_word(const struct memory *m)
{
	return *(volatile uint64_t *)m->map;
}

UNUSED __attribute__((noreturn)) static void leave(const char *what)
{
	snprintf(outcome, PAGE, "%s", what);
	_exit(0);
}

/* Handled, so that the kernel's log has no line of it. */
UNUSED static void faulted(int number)
{
	leave(number == SIGBUS ? "SIGBUS" : "SIGSEGV");
}

/* @act in a process of its own; what came of it. */
UNUSED static const char *by_child(act_fn *act, struct memory *m, long arg)
{
	static char what[256];
	pid_t pid;
	int end;

	fflush(stdout);
	outcome[0] = 0;
	pid = must_fork();
	if (!pid) {
		signal(SIGSEGV, faulted);
		signal(SIGBUS, faulted);
		alarm(30);
		leave(act(m, arg));
	}
	end = end_of(pid);
	if (end || !outcome[0])
		snprintf(what, sizeof(what), "ended with %d", end);
	else
		snprintf(what, sizeof(what), "%s", outcome);
	return what;
}

UNUSED static int open_secretmem(size_t length)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd >= 0 && ftruncate(fd, length)) {
		close(fd);
		return -1;
	}
	return fd;
}

UNUSED static int open_kind(enum kind kind, size_t length)
{
	int fd;

	switch (kind) {
	case REGION:
		fd = create(length);
		if (fd < 0)
			errno = -fd;
		return fd < 0 ? -1 : fd;
	case SECRETMEM:
		return open_secretmem(length);
	default:
		fd = memfd_create("ordinary", MFD_ALLOW_SEALING);
		return fd >= 0 && ftruncate(fd, length) ? -1 : fd;
	}
}

/* NULL, or what it was refused with; a touch may end in a signal. */
UNUSED static const char *make_memory(struct memory *m, enum kind kind, size_t length)
{
	m->kind = kind;
	m->length = length;
	m->fd = open_kind(kind, length);
	if (m->fd < 0)
		return failed();
	m->map = mmap(NULL, length, RW, MAP_SHARED, m->fd, 0);
	if (m->map == MAP_FAILED)
		return failed();
	memset(m->map, FILL, length);
	*(uint64_t *)m->map = MARK;
	return NULL;
}

UNUSED static void make_anonymous(struct memory *m)
{
	m->kind = ORDINARY;
	m->length = LENGTH;
	m->fd = -1;
	m->map = must_map_plain(LENGTH);
	memset(m->map, FILL, LENGTH);
	*(uint64_t *)m->map = MARK;
}

/* Runs in a process of its own: makes the memory, and then acts. */
UNUSED static const char *row_act(struct memory *m, long at)
{
	const struct row *row = (const struct row *)at;
	static char text[256];
	const char *err = NULL;

	/* Where a security module wants to be asked first. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (row->bare)
		return row->act(m, row->arg);
	if (m->kind == ORDINARY && row->anonymous)
		make_anonymous(m);
	else
		err = make_memory(m, m->kind, LENGTH);
	if (err) {
		snprintf(text, sizeof(text), "no memory: %s", err);
		return text;
	}
	return row->act(m, row->arg);
}

/* One of the "or"s of @expect is @what. */
UNUSED static bool is_expected(const char *expect, const char *what)
{
	const size_t length = strlen(what);

	for (const char *at = expect; at; at = strstr(at, " or ")) {
		if (at != expect)
			at += 4;
		if (!strncmp(at, what, length) &&
		    (!at[length] || !strncmp(at + length, " or ", 4)))
			return true;
	}
	return false;
}

/* What is missing for a kind of memory, or NULL. */
UNUSED static const char *kind_missing(enum kind kind)
{
	int fd;

	if (kind == REGION)
		return door < 0 ? LETHE_DEVICE : NULL;
	if (kind != SECRETMEM)
		return NULL;
	fd = syscall(SYS_memfd_secret, 0);
	if (fd < 0)
		return "memfd_secret";
	close(fd);
	return NULL;
}

UNUSED static void row_run(const struct row *row)
{
	char control[256];
	const char *missing, *what;

	for (int kind = ORDINARY; kind >= 0; kind--) {
		struct memory m = { .kind = kind, .fd = -1 };

		missing = kind_missing(kind);
		if (kind != ORDINARY && row->expect[ORDINARY] &&
		    (!strncmp(control, "SKIP ", 5) ||
		     (row->absent && is_expected(row->absent, control))))
			missing = *control == 'S' ? control + 5 : "it on this kernel";
		if (!row->expect[kind])
			continue;
		what = missing ? "" : by_child(row_act, &m, (long)row);
		if (kind == ORDINARY)
			snprintf(control, sizeof(control), "%s", what);
		if (!strncmp(what, "SKIP ", 5))
			missing = what + 5;
		else if (kind == ORDINARY && row->absent &&
			 is_expected(row->absent, what))
			missing = "it on this kernel";
		if (missing)
			tap_skip(missing, "%s: %s", kind_names[kind], row->what);
		else if (!tap_ok(is_expected(row->expect[kind], what), "%s: %s: %s",
				 kind_names[kind], row->what, what))
			tap_note("expected: %s", row->expect[kind]);
	}
}

UNUSED static void print_row(const struct row *row, const char *program)
{
	printf("| %s |", row->what);
	for (int kind = 0; kind < NR_KINDS; kind++)
		printf(" %s |", row->expect[kind] ? row->expect[kind] : "-");
	printf(" `%s.c` |\n", program);
}

/* A program's main(). It goes on without a door: the other kinds need none. */
UNUSED static int rows_main(int argc, char **argv, const struct row *rows, size_t nr)
{
	unsigned int planned = 0;

	if (argc == 2 && !strcmp(argv[1], "--table")) {
		for (size_t i = 0; i < nr; i++)
			print_row(&rows[i], program_invocation_short_name);
		return TAP_PASS;
	}
	door_try(LOCK_SH);
	outcome = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	for (size_t i = 0; i < nr; i++)
		for (int kind = 0; kind < NR_KINDS; kind++)
			planned += rows[i].expect[kind] != NULL;
	tap_plan(planned);
	for (size_t i = 0; i < nr; i++)
		row_run(&rows[i]);
	return tap_end();
}

#define ROWS_MAIN(rows)                                                             \
	int main(int argc, char **argv)                                             \
	{                                                                           \
		return rows_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0])); \
	}

#endif /* LETHE_TESTS_ROWS_H */
