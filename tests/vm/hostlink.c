// SPDX-License-Identifier: MIT
/*
 * The guest's end of the link to the host. See hostlink.h; link.py is the
 * other end.
 *
 * This file handles needles and never a secret: it must not add a copy of its
 * own to what the host then finds.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#include "hostlink.h"

/* The host answers a search of 6 GiB in less; a lost host must not hang us. */
#define ANSWER_MS (300 * 1000)
#define LINE_MAX_LENGTH 256

/*
 * Opened anew for each search: the lock below is the open file's, and one that
 * a fork's child had inherited would keep nobody out.
 */
static int open_tty(void)
{
	const char *path = getenv("LETHE_HOSTLINK");
	struct termios mode;
	int fd, err;

	if (!path || !*path)
		return -ENOENT;
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &mode))
		goto fail;
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &mode))
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

int hostlink_open(void)
{
	int tty = open_tty();

	if (tty < 0)
		return tty;
	close(tty);
	return 0;
}

static bool request_ok(const char *label, const struct needle *needles, size_t n)
{
	if (!label || strpbrk(label, "\r\n") || !n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (needle_check(&needles[i]))
			return false;
		/* An answer belongs to a needle by its name. */
		for (size_t j = 0; j < i; j++)
			if (!strcmp(needles[i].name, needles[j].name))
				return false;
	}
	return true;
}

/* Frames that follow each other make one line: a region is mostly that. */
static void print_frames(FILE *out, const uint64_t *frames, size_t n)
{
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n; run++)
			if (frames[i + run] != frames[i] + run)
				break;
		fprintf(out, "FRAMES %" PRIu64 " %zu\n", frames[i], run);
	}
}

/* What is asked: @drive is the line that names it, or "". */
struct request {
	const char *verb, *label, *drive;
	const struct needle *needles;
	size_t n;
	const uint64_t *frames;
	size_t nr_frames;
};

static int send_request(int tty, const struct request *request)
{
	int fd = fcntl(tty, F_DUPFD_CLOEXEC, 0);
	int err = 0;
	FILE *out;

	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		err = -errno;
		close(fd);
		return err;
	}
	fprintf(out, "%s %s\n%s", request->verb, request->label, request->drive);
	for (size_t i = 0; i < request->n && !err; i++)
		err = needle_print(out, &request->needles[i]);
	print_frames(out, request->frames, request->nr_frames);
	fputs("GO\n", out);
	if (ferror(out))
		err = -EIO;
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

/* One line without its end. A byte a read: the host sends little. */
static int read_line(int tty, char *line, size_t room)
{
	struct pollfd readable = { .fd = tty, .events = POLLIN };
	size_t length = 0;

	for (;;) {
		char c;
		ssize_t got;
		int ready = poll(&readable, 1, ANSWER_MS);

		if (!ready)
			return -ETIMEDOUT;
		got = ready < 0 ? -1 : read(tty, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EPIPE;
		if (c == '\n')
			break;
		if (length + 1 >= room)
			return -EPROTO;
		line[length++] = c;
	}
	line[length] = '\0';
	return 0;
}

/* The needle that the line is about, or -EPROTO. */
static int parse_found(const char *line, const struct needle *needles, size_t n,
		       struct hostlink_found *found)
{
	struct hostlink_found got = { 0 };

	if (sscanf(line,
		   "FOUND %31s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNx64,
		   got.name, &got.copies, &got.whole, &got.longest, &got.in_frames,
		   &got.elsewhere, &got.address) != 7)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(needles[i].name, got.name))
			continue;
		/* Answered already? */
		if (found[i].name[0])
			return -EPROTO;
		found[i] = got;
		return 0;
	}
	return -EPROTO;
}

static int read_answer(int tty, const struct needle *needles, size_t n,
		       struct hostlink_found *found, uint64_t *searched_bytes)
{
	char line[LINE_MAX_LENGTH];
	uint64_t searched;
	int err;

	memset(found, 0, n * sizeof(*found));
	while (!(err = read_line(tty, line, sizeof(line)))) {
		if (!strncmp(line, "ERROR ", 6)) {
			fprintf(stderr, "host link: %s\n", line + 6);
			return -EREMOTEIO;
		}
		if (sscanf(line, "DONE %" SCNu64, &searched) == 1)
			break;
		err = parse_found(line, needles, n, found);
		if (err)
			break;
	}
	if (err)
		return err;

	/* A needle without an answer was not searched for: not the same as 0. */
	for (size_t i = 0; i < n; i++)
		if (!found[i].name[0])
			return -EPROTO;
	if (searched_bytes)
		*searched_bytes = searched;
	return 0;
}

/* @answered of the needles are to be told of in the answer. */
static int ask(const struct request *request, size_t answered,
	       struct hostlink_found *found, uint64_t *searched_bytes)
{
	int tty, err;

	if (!request_ok(request->label, request->needles, request->n))
		return -EINVAL;
	tty = open_tty();
	if (tty < 0)
		return tty;
	while (flock(tty, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		err = -errno;
		goto out;
	}

	/* What is left of an answer that somebody gave up waiting for. */
	tcflush(tty, TCIFLUSH);
	err = send_request(tty, request);
	if (!err)
		err = read_answer(tty, request->needles, answered, found, searched_bytes);
out:
	/* And with it the lock. */
	close(tty);
	return err;
}

int hostlink_search(const char *label, const struct needle *needles, size_t n,
		    const uint64_t *frames, size_t nr_frames,
		    struct hostlink_found *found, uint64_t *searched_bytes)
{
	struct request request = {
		.verb = "SEARCH",
		.label = label,
		.drive = "",
		.needles = needles,
		.n = n,
		.frames = frames,
		.nr_frames = nr_frames,
	};

	return ask(&request, n, found, searched_bytes);
}

int hostlink_search_drive(const char *label, unsigned int drive,
			  const struct needle *needles, size_t n,
			  struct hostlink_found *found, uint64_t *searched_bytes)
{
	char line[32];
	struct request request = {
		.verb = "SEARCH",
		.label = label,
		.drive = line,
		.needles = needles,
		.n = n,
	};

	snprintf(line, sizeof(line), "DRIVE %u\n", drive);
	return ask(&request, n, found, searched_bytes);
}

int hostlink_later(const char *label, const struct needle *needles, size_t n)
{
	struct request request = {
		.verb = "LATER",
		.label = label,
		.drive = "",
		.needles = needles,
		.n = n,
	};
	struct hostlink_found none;

	return ask(&request, 0, &none, NULL);
}
