// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * stdout of watch: lines are gathered, and written as fast as they are taken, never
 * waiting for who takes them; that would make the probes' buffers overflow. A pipe
 * gets every line (where it does not take them, nothing more should come:
 * watch_out_full()); a terminal gets as many as a person can read, is told how many of
 * which kind it did not get, and has the total in its last line.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "watch.h"

/* Half a second of 100,000 events a second; touched as far as it is needed. */
#define ROOM (32U << 20)
#define FULL (ROOM - 65536)
/* It is full until there is so much room again: else all would be moved for a few. */
#define ROOMY (ROOM / 2)
/* Of a pipe, if it can be: who reads it is woken less often. */
#define PIPE_ROOM (1 << 20)
/* A terminal that has not taken so much gets no more of it. */
#define TERMINAL_ENOUGH 65536
/* Lines an interval: of one kind, and of all. */
#define OF_A_KIND 10
#define OF_ALL 100
#define KINDS 64

/* Events that differ in nothing a person would want to see each of. */
struct kind {
	unsigned int what, how;
	int pid, target;
	unsigned int lines;
	unsigned long long more;
	char command[16];
};

static struct {
	char *bytes;
	size_t begin, end;
	int fd, error;
	bool terminal, json, drawn, full;
	unsigned int lines;
	unsigned long long more;
	struct kind kinds[KINDS];
	unsigned int nr_kinds;
} out;

/*
 * A description of the same terminal or pipe of our own: O_NONBLOCK on the one that we
 * were given would be everybody's who has it. Files never wait.
 */
static int own_description(void)
{
	struct stat st;
	int fd;

	if (fstat(STDOUT_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || out.terminal))
		return STDOUT_FILENO;
	if (!out.terminal)
		fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_ROOM);
	fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

int watch_out_open(bool json)
{
	const char *term = getenv("TERM");

	out.bytes = malloc(ROOM);
	if (!out.bytes)
		return -ENOMEM;
	out.json = json;
	out.terminal = isatty(STDOUT_FILENO) && !json;
	out.fd = own_description();
	/* One that cannot take its last line back has it as a pipe has: at the end. */
	if (!term || !*term || !strcmp(term, "dumb"))
		out.terminal = false;
	return 0;
}

bool watch_out_terminal(void)
{
	return out.terminal;
}

int watch_out_fd(void)
{
	return out.fd;
}

bool watch_out_pending(void)
{
	return out.end > out.begin && !out.error;
}

bool watch_out_full(void)
{
	size_t pending = watch_out_pending() ? out.end - out.begin : 0;

	out.full = pending >= FULL || (out.full && pending >= ROOMY);
	return out.full;
}

static void append(const char *bytes, size_t length)
{
	if (out.end + length > ROOM) {
		memmove(out.bytes, out.bytes + out.begin, out.end - out.begin);
		out.end -= out.begin;
		out.begin = 0;
	}
	/* Who heeds watch_out_full() does not get here. */
	if (out.end + length > ROOM || out.error) {
		if (!out.error)
			out.error = -ENOBUFS;
		return;
	}
	memcpy(out.bytes + out.end, bytes, length);
	out.end += length;
}

static void append_text(const char *text)
{
	append(text, strlen(text));
}

void watch_out_erase(void)
{
	if (out.drawn)
		append_text("\r\033[K");
	out.drawn = false;
}

void watch_out_text(const char *text, size_t length)
{
	watch_out_erase();
	append(text, length);
}

void watch_out_print(const char *format, ...)
{
	char text[4096];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		watch_out_text(text,
			       (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static struct kind *find_kind(const struct event *event)
{
	struct kind *kind;
	unsigned int i;

	for (i = 0; i < out.nr_kinds; i++) {
		kind = &out.kinds[i];
		if (kind->what == event->what && kind->how == event->how &&
		    kind->pid == event->pid && kind->target == event->target)
			return kind;
	}
	if (out.nr_kinds == KINDS)
		return NULL;
	kind = &out.kinds[out.nr_kinds++];
	memset(kind, 0, sizeof(*kind));
	kind->what = event->what;
	kind->how = event->how;
	kind->pid = event->pid;
	kind->target = event->target;
	memcpy(kind->command, event->command, sizeof(kind->command) - 1);
	return kind;
}

/* Before its line is made, which takes the most time. */
bool watch_out_wants(const struct event *event)
{
	struct kind *kind;

	if (!out.terminal)
		return true;
	kind = find_kind(event);
	if (!kind) {
		out.more++;
		return false;
	}
	if (kind->lines >= OF_A_KIND || out.lines >= OF_ALL ||
	    out.end - out.begin > TERMINAL_ENOUGH) {
		kind->more++;
		return false;
	}
	kind->lines++;
	out.lines++;
	return true;
}

void watch_out_tick(void)
{
	struct event event = { 0 };
	char command[64];
	struct kind *kind;
	unsigned int i;

	if (!out.terminal || out.end - out.begin > TERMINAL_ENOUGH)
		return;
	for (i = 0; i < out.nr_kinds; i++) {
		kind = &out.kinds[i];
		if (!kind->more)
			continue;
		event.what = kind->what;
		event.how = kind->how;
		watch_out_print("%s%15s %s more: %s %s %s[%d]%s\n", colour(DIM), "",
				watch_number(kind->more),
				watch_kinds[watch_probe_of(&event)].name,
				watch_way(&event),
				escape(command, sizeof(command), kind->command),
				kind->pid, colour(PLAIN));
	}
	if (out.more)
		watch_out_print("%s%15s %s more, of other kinds%s\n", colour(DIM), "",
				watch_number(out.more), colour(PLAIN));
	out.nr_kinds = 0;
	out.lines = 0;
	out.more = 0;
}

void watch_out_total(const char *text)
{
	size_t length = strlen(text), width = terminal_width();

	/* One that does not take it would get an old one. */
	if (!out.terminal || watch_out_pending())
		return;
	/* The last column stays empty: many terminals wrap there. */
	if (length >= width)
		length = width - 1;
	append_text("\r");
	append(text, length);
	append_text("\033[K");
	out.drawn = true;
}

int watch_out_flush(void)
{
	ssize_t n;

	while (watch_out_pending()) {
		n = write(out.fd, out.bytes + out.begin, out.end - out.begin);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0) {
			out.error = -errno;
			break;
		}
		out.begin += (size_t)n;
		if (out.begin == out.end)
			out.begin = out.end = 0;
	}
	return out.error;
}

int watch_out_close(int ms)
{
	struct pollfd pollfd = { .fd = out.fd, .events = POLLOUT };
	unsigned long long until = watch_now() + (unsigned long long)ms * 1000000;

	watch_out_erase();
	while (!watch_out_flush() && watch_out_pending() && watch_now() < until)
		poll(&pollfd, 1, 100);
	if (watch_out_pending())
		out.error = -ETIMEDOUT;
	if (out.fd != STDOUT_FILENO)
		close(out.fd);
	free(out.bytes);
	out.bytes = NULL;
	out.begin = out.end = 0;
	return out.error;
}
