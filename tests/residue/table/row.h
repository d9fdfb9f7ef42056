/* SPDX-License-Identifier: MIT */
/*
 * A row of the residue table: one thing that code can do with a secret, and where that
 * may leave a copy. A row program (row.c) does it once, in a secret section or, with the
 * very same function, plainly; the driver (table.c) searches it before and judges.
 *
 * A row wipes by name what it has of the secret by name, as a careful programmer does
 * (row_scrub()): what is then still found, plainly, is the row's residue and nothing
 * else.
 */
#ifndef RESIDUE_ROW_H
#define RESIDUE_ROW_H

#include <lethe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROW_SECRET 32

/* Where the secret comes from. Of given ones the driver has the bytes already. */
enum row_source {
	/* ROW_SECRET random bytes, which row_take() reads to where they belong. */
	ROW_GIVEN,
	/* ROW_SECRET letters and digits, and a newline: a line of stdin, a pipe. */
	ROW_LINE,
	/* The same; stdin is a terminal. */
	ROW_TERMINAL,
	/* The row makes it, and tells it by row_reveal(): all of them, if several. */
	ROW_MADE,
};

/* When the process is searched. */
enum row_seen {
	ROW_STILL, /* as it stands still, after everything */
	ROW_EXIT,  /* as it exits, its memory all there */
	ROW_EXEC,  /* as it is about to be replaced by another program */
	ROW_CHILD, /* the process that row_child() named stands still and is searched */
};

/* What is looked at. */
enum row_kind {
	ROW_COPIES,
	/* MXCSR and the x87 control word, which hold no secret: are they the caller's? */
	ROW_CONTROL_WORDS,
};

enum { ROW_KMOD, ROW_MEMFD_SECRET, ROW_MLOCK, ROW_BACKENDS };

/* Why there are copies on this backend and have to be: a clause for the reader. */
#define ROW_ON_FALLBACKS(why)  \
	{                      \
		NULL, why, why \
	}
#define ROW_ON_MLOCK(why)       \
	{                       \
		NULL, NULL, why \
	}

/**
 * struct row - one of them
 * @name: as table.py has it
 * @where: the control's copies have to lie there, one of them at least, so that it finds
 *	what the row is of: a part of what lethectl scan says of a place, after the kind of
 *	place ("register zmm17", "memory the stack, its dead part", "memory [heap]"). NULL:
 *	anywhere
 * @inside: what is done with the secret. ROW_GIVEN: @secret is a variable of the section
 *	with the secret in it, and is scrubbed by who calls; else it is NULL
 * @around: own way into the section and out of it, instead of row_run(row); calls
 *	that, or row_section()
 * @before: outside of the section, first of all
 * @options: flags and stack size of the section; size is set by who calls
 * @clause: for each backend, if there the copies have to be above 0; NULL: they are 0.
 *	There is none for kmod
 * @cannot: a sentence on why this machine cannot be asked, or NULL
 */
struct row {
	const char *name;
	const char *where;
	void (*inside)(uint8_t *secret);
	void (*around)(const struct row *row);
	void (*before)(void);
	struct lethe_options options;
	enum row_source source;
	enum row_seen seen;
	enum row_kind kind;
	const char *clause[ROW_BACKENDS];
	const char *(*cannot)(void);
};

/* A file's rows; the last has no name. */
extern const struct row rows_registers[], rows_stack[], rows_ways[];
extern const struct row rows_heap[], rows_text[], rows_crypto[];

/* Is this a section, or the same plainly? */
extern bool row_protected;

/* lethe_do_with(), or plainly fn(arg). A refusal ends the process with a message. */
void row_section(const struct row *row, void (*fn)(void *arg), void *arg);
/* The row's own inside(), as the section's function. */
void row_run(const struct row *row);
/* What row_run() has as the section's function; @row is its arg. */
void row_inside(void *row);

/* The secret, from stdin to where it shall be. */
void row_take(uint8_t secret[ROW_SECRET]);
/* One that the row made: to the driver, with no copy in this process. */
void row_reveal(const void *secret, size_t length);
/* Search this process; it stands still by row_stop(), or will in a moment. */
void row_child(long pid);
/* Zeroes, byte by byte in one general register: no other register is touched by it. */
void row_scrub(volatile void *start, size_t length);
/* Stands still for good. Changes rax, rcx and r11 alone. */
void row_stop(void) __attribute__((noreturn));
/* Ends the process: something that has nothing to do with residue went wrong. */
void row_die(const char *what) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif /* RESIDUE_ROW_H */
