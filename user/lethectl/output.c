// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stdout, as text or as one JSON object, for every verb that gives a verdict. With
 * --json nothing else goes there, whatever happens; and a verdict that did not arrive
 * is never an exit status of 0. Decides nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "undo.h"

static struct {
	const char *verb;
	struct json_object *object, *notes;
	bool json, lines, ended, complained;
} output;

static const char *const verdicts[] = {
	[STATUS_CLEAN] = "clean",
	[STATUS_FOUND] = "violation",
	[STATUS_UNKNOWN] = "unknown",
};

char *escape(char *to, size_t room, const char *text)
{
	size_t at = 0;
	int n;

	to[0] = '\0';
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		n = snprintf(to + at, room - at,
			     c == '\\'            ? "\\\\" :
			     c < 0x20 || c > 0x7e ? "\\x%02x" :
						    "%c",
			     c);
		if ((size_t)n >= room - at) {
			to[at] = '\0';
			break;
		}
		at += (size_t)n;
	}
	return to;
}

/* Out of memory there is no verdict. */
static struct json_object *need(struct json_object *object)
{
	if (!object) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_UNKNOWN);
	}
	return object;
}

static struct json_object *add(struct json_object *to, const char *name,
			       struct json_object *value)
{
	if (json_object_object_add(to, name, value))
		need(NULL);
	return value;
}

static struct json_object *text_object(const char *text)
{
	struct json_object *object;
	size_t room = 4 * strlen(text) + 1;
	char *escaped = malloc(room);

	if (!escaped)
		return need(NULL);
	object = need(json_object_new_string(escape(escaped, room, text)));
	free(escaped);
	return object;
}

void member_text(struct json_object *to, const char *name, const char *text)
{
	add(to, name, text ? text_object(text) : NULL);
}

void member_number(struct json_object *to, const char *name, unsigned long long number)
{
	add(to, name, need(json_object_new_uint64(number)));
}

void member_signed(struct json_object *to, const char *name, long long number)
{
	add(to, name, need(json_object_new_int64(number)));
}

void member_flag(struct json_object *to, const char *name, bool flag)
{
	add(to, name, need(json_object_new_boolean(flag)));
}

void member_null(struct json_object *to, const char *name)
{
	add(to, name, NULL);
}

struct json_object *member_object(struct json_object *to, const char *name)
{
	return add(to, name, need(json_object_new_object()));
}

struct json_object *member_list(struct json_object *to, const char *name)
{
	return add(to, name, need(json_object_new_array()));
}

static void append(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value))
		need(NULL);
}

struct json_object *list_object(struct json_object *list)
{
	struct json_object *object = need(json_object_new_object());

	append(list, object);
	return object;
}

void list_text(struct json_object *list, const char *text)
{
	append(list, text_object(text));
}

struct json_object *output_object(void)
{
	return output.object;
}

void say(const char *format, ...)
{
	va_list args;

	if (output.json)
		return;
	progress_erase();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* What a caller has not escaped does not get at the terminal, nor spoil the JSON. */
static void tame(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
}

void output_note(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tame(text);
	if (output.json)
		append(output.notes, need(json_object_new_string(text)));
	else
		say("%snote:%s %s", colour(DIM), colour(PLAIN), text);
}

int output_error(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tame(text);
	complain("%s", text);
	if (output.json && !json_object_object_get_ex(output.object, "error", NULL))
		add(output.object, "error", need(json_object_new_string(text)));
	return STATUS_UNKNOWN;
}

static int lost(int err)
{
	if (!output.complained)
		complain("the output is not complete: %s", strerror(err));
	output.complained = true;
	return -err;
}

/* What is longer than stdout's buffer is written here, and only here is said why not. */
static void print(struct json_object *object, int flags)
{
	const char *text = json_object_to_json_string_ext(object, flags);

	if (!text)
		need(NULL);
	errno = 0;
	if (puts(text) == EOF)
		lost(errno ? errno : EIO);
}

void output_item(struct json_object *object)
{
	member_number(object, "schema", OUTPUT_SCHEMA);
	member_text(object, "verb", output.verb);
	print(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	json_object_put(object);
	output_flush();
}

void output_lines(void)
{
	output.lines = true;
}

int output_flush(void)
{
	int err;

	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	err = errno ? errno : EIO;
	return lost(err);
}

/* The last thing of all, also of --help: whatever printed it, it has arrived. */
static void close_stdout(int status, void *unused)
{
	(void)unused;
	/* Bad usage, or no memory: even so there is an object. */
	if (output.json && !output.ended && status)
		printf("{\"schema\":%d,\"verb\":\"%s\",\"verdict\":\"unknown\",\"notes\":[],"
		       "\"error\":\"%s\"}\n",
		       OUTPUT_SCHEMA, output.verb ? output.verb : "",
		       output.object ? "it ended early: stderr says why" :
				       "bad usage: stderr says what is wrong");
	output.ended = true;
	/* A file system may say only now that it is full. Who has no stdout wrote nothing. */
	if (!output_flush() && fclose(stdout) && errno != EBADF)
		lost(errno);
	if (output.complained)
		_exit(argp_err_exit_status);
}

/* Before what prints does. */
void output_watch_stdout(void)
{
	on_exit(close_stdout, NULL);
}

static error_t parse_json(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		/* What is ours takes nothing; what is the verb's, the verb has. */
		state->child_inputs[0] = state->input;
		return 0;
	case 'j':
		output.json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void output_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "One JSON object on stdout, and nothing else",
		  0 },
		{ 0 },
	};
	const struct argp_child children[] = { { argp, 0, NULL, 0 }, { 0 } };
	const struct argp all = {
		.options = options,
		.parser = parse_json,
		.children = children,
	};
	int i;

	const char *name = strrchr(argv[0], ' ');

	argp_err_exit_status = STATUS_UNKNOWN;
	output.verb = name ? name + 1 : argv[0];
	/* What is wrong may stand before it. */
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j"))
			output.json = true;
	if (argp_parse(&all, argc, argv, 0, NULL, input))
		exit(STATUS_UNKNOWN);
}

void output_begin(const char *verb)
{
	int fd;

	/* What is opened later is not to be written to as stdout or stderr. */
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open(fd ? "/dev/full" : "/dev/null", fd ? O_WRONLY : O_RDONLY);
	output.verb = verb;
	undo_begin();
	if (!output.json)
		return;
	output.object = need(json_object_new_object());
	member_number(output.object, "schema", OUTPUT_SCHEMA);
	member_text(output.object, "verb", verb);
	member_null(output.object, "verdict");
	output.notes = member_list(output.object, "notes");
}

int output_end(int status)
{
	progress_erase();
	if (output.json) {
		member_text(output.object, "verdict", verdicts[status]);
		print(output.object,
		      JSON_C_TO_STRING_NOSLASHESCAPE |
			      (output.lines ? JSON_C_TO_STRING_PLAIN :
					      JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_SPACED));
		json_object_put(output.object);
		output.object = NULL;
	}
	output.ended = true;
	return output_flush() || output.complained ? STATUS_UNKNOWN : status;
}
