// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One event as a line: text, or an object of JSON. A hundred thousand a second have to
 * be possible, so numbers are written by hand, and a stack that came before is not
 * looked up again. Names are other people's: nothing in them reaches a terminal as it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access.h"
#include "watch.h"

struct line {
	char *at, *end;
	bool json;
};

static void add_bytes(struct line *line, const char *bytes, size_t length)
{
	if (length > (size_t)(line->end - line->at))
		length = (size_t)(line->end - line->at);
	memcpy(line->at, bytes, length);
	line->at += length;
}

static void add(struct line *line, const char *text)
{
	add_bytes(line, text, strlen(text));
}

static void add_digits(struct line *line, unsigned long long number, unsigned int base,
		       int least)
{
	char digits[24], *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[number % base];
		number /= base;
	} while (number || digits + sizeof(digits) - at < least);
	add_bytes(line, at, (size_t)(digits + sizeof(digits) - at));
}

static void add_number(struct line *line, long long number)
{
	if (number < 0)
		add(line, "-");
	add_digits(line,
		   number < 0 ? -(unsigned long long)number : (unsigned long long)number,
		   10, 1);
}

/* JSON has no numbers of 64 bits that every reader keeps: addresses are strings. */
static void add_address(struct line *line, unsigned long long address)
{
	add(line, line->json ? "\"0x" : "0x");
	add_digits(line, address, 16, 1);
	if (line->json)
		add(line, "\"");
}

/* As escape() of output.h does it; and then as JSON has it. */
static void add_name(struct line *line, const char *name, size_t most)
{
	const char *backslash = line->json ? "\\\\" : "\\";

	for (; *name && most; name++, most--) {
		unsigned char c = (unsigned char)*name;

		if (c == '\\') {
			add(line, backslash);
			add(line, backslash);
		} else if (c < 0x20 || c > 0x7e) {
			add(line, backslash);
			add(line, "x");
			add_digits(line, c, 16, 2);
		} else {
			if (c == '"' && line->json)
				add(line, "\\");
			add_bytes(line, name, 1);
		}
	}
}

static void add_time(struct line *line, const struct watch *watch,
		     unsigned long long when)
{
	static char text[16];
	static time_t of = -1;
	long long now = (long long)when + watch->clock;
	time_t seconds = now / 1000000000;
	struct tm tm;

	if (line->json) {
		add_number(line, seconds);
	} else {
		if (seconds != of) {
			localtime_r(&seconds, &tm);
			strftime(text, sizeof(text), "%H:%M:%S", &tm);
			of = seconds;
		}
		add(line, text);
	}
	add(line, ".");
	add_digits(line, (unsigned long long)(now % 1000000000) / 1000, 10, 6);
}

static void add_frame(struct line *line, pid_t pid, unsigned long long address)
{
	unsigned long long offset = 0;
	const char *mapping = watch_mapping(pid, address, &offset), *name;

	if (line->json) {
		add(line, "{\"address\":");
		add_address(line, address);
		add(line, ",\"mapping\":");
		if (mapping) {
			add(line, "\"");
			add_name(line, mapping, 200);
			add(line, "\",\"offset\":");
			add_address(line, offset);
			add(line, "}");
		} else {
			add(line, "null,\"offset\":null}");
		}
		return;
	}
	if (!mapping || !*mapping) {
		add_address(line, address);
		return;
	}
	name = strrchr(mapping, '/');
	add_name(line, name ? name + 1 : mapping, 60);
	add(line, "+");
	add_address(line, offset);
}

#define STACKS 64
#define STACK_TEXT 6144

/* How a stack was written the last time, for as long as its process is remembered. */
static struct known_stack {
	unsigned long long when;
	pid_t pid;
	unsigned int depth;
	size_t length;
	unsigned long long stack[EVENT_STACK];
	char text[STACK_TEXT];
} * known_stacks;

static struct known_stack *find_stack(const struct event *event, unsigned int depth)
{
	unsigned long long hash = (unsigned long long)event->pid * 0x9e3779b97f4a7c15ULL;
	unsigned int i;

	if (!known_stacks)
		known_stacks = calloc(STACKS, sizeof(*known_stacks));
	if (!known_stacks)
		return NULL;
	for (i = 0; i < depth; i++)
		hash = (hash ^ event->stack[i]) * 0x9e3779b97f4a7c15ULL;
	return &known_stacks[hash >> 58];
}

static void write_stack(struct known_stack *known, bool json)
{
	struct line line = { known->text, known->text + sizeof(known->text), json };
	unsigned int i;

	for (i = 0; i < known->depth; i++) {
		/* What it says of the last one is never cut. */
		if (line.end - line.at < 1280)
			break;
		if (i)
			add(&line, json ? "," : " < ");
		add_frame(&line, known->pid, known->stack[i]);
	}
	known->length = (size_t)(line.at - known->text);
}

static void add_stack(struct line *line, const struct event *event)
{
	unsigned int depth = event->depth < EVENT_STACK ? event->depth : EVENT_STACK;
	struct known_stack *known = find_stack(event, depth);
	size_t bytes = depth * sizeof(event->stack[0]);

	if (!known || !depth)
		return;
	if (known->pid != event->pid || known->depth != depth ||
	    memcmp(known->stack, event->stack, bytes) ||
	    event->when - known->when > 1000000000) {
		known->pid = event->pid;
		known->depth = depth;
		known->when = event->when;
		memcpy(known->stack, event->stack, bytes);
		write_stack(known, line->json);
	}
	add_bytes(line, known->text, known->length);
}

static void add_backends(struct line *line, unsigned int kind)
{
	static const char *const names[] = { "kmod", "memfd_secret", "mlock" };
	const char *between = "";
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(kind & 1U << i))
			continue;
		add(line, between);
		add(line, line->json ? "\"" : "");
		add(line, names[i]);
		add(line, line->json ? "\"" : "");
		between = line->json ? "," : "+";
	}
}

static void add_who(struct line *line, const char *command, pid_t pid)
{
	if (*command)
		add_name(line, command, 16);
	else
		add(line, "?");
	add(line, "[");
	add_number(line, pid);
	add(line, "]");
}

static const char *const judgements[] = {
	[WATCH_OTHERS] = "others",
	[WATCH_NOTED] = "noted",
	[WATCH_DOUBT] = "doubt",
	[WATCH_VIOLATION] = "violation",
};

/* The command of an event need not end in it. */
static const char *command_of(const struct event *event)
{
	static char command[sizeof(event->command) + 1];

	memcpy(command, event->command, sizeof(event->command));
	return command;
}

static void add_json_or_null(struct line *line, const char *name, long long number,
			     bool known)
{
	add(line, ",\"");
	add(line, name);
	add(line, "\":");
	if (known)
		add_number(line, number);
	else
		add(line, "null");
}

static void add_json_name(struct line *line, const char *name, const char *value)
{
	add(line, ",\"");
	add(line, name);
	add(line, "\":\"");
	add_name(line, value, 64);
	add(line, "\"");
}

static void write_json(struct line *line, const struct watch *watch,
		       const struct event *event, enum watch_judgement judgement)
{
	add(line, "{\"schema\":1,\"verb\":\"watch\",\"event\":\"");
	add(line, watch_kinds[watch_probe_of(event)].name);
	add(line, "\",\"time\":");
	add_time(line, watch, event->when);
	add_json_name(line, "way", watch_way(event));
	add_json_name(line, "judgement", judgements[judgement]);
	add_json_or_null(line, "pid", event->pid, true);
	add_json_or_null(line, "tid", event->tid, true);
	add_json_name(line, "command", command_of(event));
	add_json_or_null(line, "target", event->target, event->target);
	add_json_name(line, "target_command", watch_command(event->target));
	add_json_or_null(line, "result", event->result, event->what == EVENT_ACCESS);
	add_json_or_null(line, "length", (long long)event->length, event->length);
	add_json_or_null(line, "frame", (long long)event->frame, event->frame);
	add(line, ",\"address\":");
	if (event->address)
		add_address(line, event->address);
	else
		add(line, "null");
	add(line, ",\"backends\":[");
	add_backends(line, event->kind);
	add(line, "],\"stack\":[");
	add_stack(line, event);
	add(line, "]}\n");
}

static void add_place(struct line *line, const struct event *event)
{
	if (event->address || event->length) {
		add(line, " ");
		add_address(line, event->address);
	}
	if (event->length) {
		add(line, "+");
		add_number(line, (long long)event->length);
	}
	if (event->frame) {
		add(line, " frame ");
		add_address(line, event->frame);
	}
	if (event->kind & FRAME_SECRET) {
		add(line, " ");
		add_backends(line, event->kind);
	}
}

/* What came of an access that is no violation. */
static void add_outcome(struct line *line, const struct event *event)
{
	const char *error = event->result < 0 ? strerrorname_np(-event->result) : NULL;

	switch (-event->result) {
	case EFAULT:
	case EIO:
	case EPERM:
	case EACCES:
		add(line, ": refused");
		break;
	default:
		if (event->result < 0)
			add(line, ": failed");
		else if (watch_refused(event))
			add(line, ": refused");
		else
			add(line, event->target == event->pid ? ": its own" :
								": no secret page");
	}
	if (error) {
		add(line, ", ");
		add(line, error);
	}
}

static void add_result(struct line *line, const struct event *event,
		       enum watch_judgement judgement)
{
	if (judgement == WATCH_VIOLATION && event->what == EVENT_SWAP)
		add(line, ": A SECRET PAGE LEFT");
	else if (judgement == WATCH_VIOLATION)
		add(line, ": NOT REFUSED");
	else if (judgement == WATCH_DOUBT)
		add(line, event->what == EVENT_SWAP ?
				  ": a secret page left, of whom is not known" :
				  ": not refused, and what it took is not seen");
	else if (event->what == EVENT_ACCESS)
		add_outcome(line, event);
}

static void write_text(struct line *line, const struct watch *watch,
		       const struct event *event, enum watch_judgement judgement)
{
	add_time(line, watch, event->when);
	add(line, " ");
	add(line, watch_kinds[watch_probe_of(event)].name);
	add(line, " ");
	add(line, watch_way(event));
	add(line, " ");
	add_who(line, command_of(event), event->pid);
	if (event->target &&
	    (event->target != event->pid || event->what == EVENT_ACCESS)) {
		add(line, event->what == EVENT_ACCESS ? " on " : " of ");
		add_who(line, watch_command(event->target), event->target);
	}
	add_place(line, event);
	add_result(line, event, judgement);
	if (event->depth) {
		add(line, " at ");
		add_stack(line, event);
	}
	add(line, "\n");
}

size_t watch_line(const struct watch *watch, const struct event *event,
		  enum watch_judgement judgement, char *to)
{
	struct line line = { to, to + WATCH_LINE, watch->json };

	if (watch->json)
		write_json(&line, watch, event, judgement);
	else
		write_text(&line, watch, event, judgement);
	return (size_t)(line.at - to);
}
