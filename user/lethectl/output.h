/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What verbs that give a verdict have in common: text or --json on stdout, and what
 * was written there known to have arrived; colour, and a line of progress, on a
 * terminal alone. The members of the object that --json prints are in lethectl(1).
 */
#ifndef LETHECTL_OUTPUT_H
#define LETHECTL_OUTPUT_H

#include <argp.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "lethectl.h"

/* "schema" in each object: raised when a member is taken away or means otherwise. */
#define OUTPUT_SCHEMA 1

/* From here on it is noticed where stdout is not written whole: exit status
 * argp_err_exit_status then. Of every verb, and --help. */
void output_watch_stdout(void);

/**
 * output_parse() - argp_parse() for a verb, with --json besides its own options
 * @argp: the verb's, without children
 *
 * Where the usage is bad it does not return, as argp_parse(); with --json an object
 * that says so is printed then, too. argp_err_exit_status is STATUS_UNKNOWN from here.
 */
void output_parse(const struct argp *argp, int argc, char **argv, void *input);

/**
 * output_begin() - from here on there is output
 * @verb: "status"
 *
 * After output_parse(). From here on a signal that ends the program undoes first what
 * undo.h has been told of.
 */
void output_begin(const char *verb);

/* Was --json given? The object, then, to put members into; else NULL. */
struct json_object *output_object(void);

/* A line of text on stdout; nothing with --json. Without the newline. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What is of interest and no violation: a line, or a string of "notes". */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Why it cannot be told: complain(), and "error" (the first stays). Returns
 * STATUS_UNKNOWN, for output_end(). */
int output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One object of a stream, on a line of its own, printed at once: takes @object, and adds
 * "schema" and "verb" to it. It has no "verdict", which only the last object has. */
void output_item(struct json_object *object);
/* The last object is a line, as each before it is. */
void output_lines(void);
/* Has everything so far arrived? 0; or -errno, and it was complained of, once. */
int output_flush(void);

/**
 * output_end() - print what --json asked for, and close stdout
 * @status: enum status: the verdict
 *
 * Return: the exit status: @status, or STATUS_UNKNOWN where not all arrived.
 */
int output_end(int status);

/* Members. A name or text that is not ours is escaped, as escape() does. */
void member_text(struct json_object *to, const char *name, const char *text);
void member_number(struct json_object *to, const char *name, unsigned long long number);
void member_signed(struct json_object *to, const char *name, long long number);
void member_flag(struct json_object *to, const char *name, bool flag);
void member_null(struct json_object *to, const char *name);
struct json_object *member_object(struct json_object *to, const char *name);
struct json_object *member_list(struct json_object *to, const char *name);
struct json_object *list_object(struct json_object *list);
void list_text(struct json_object *list, const char *text);

/* Text of somebody else's for a terminal: what is not printable ASCII as \xNN, and a
 * backslash as two. Cut short if @room is; returns @to. */
char *escape(char *to, size_t room, const char *text);

/* terminal.c: colours of stdout; "" where it is no terminal, or TERM or NO_COLOR say so. */
enum colour { PLAIN, BOLD, DIM, GOOD, WARN, BAD };
const char *colour(enum colour colour);
/* Columns of the terminal that stdout, or else stderr, is now; 80 if there is none. */
unsigned int terminal_width(void);
/* The line of progress on stderr, where that is a terminal; cut to its width. say() and
 * complain() take it away for as long as they write; gone for good at the end. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_erase(void);
/* Is there one? So that nobody counts for nobody. */
bool progress_seen(void);

#endif /* LETHECTL_OUTPUT_H */
