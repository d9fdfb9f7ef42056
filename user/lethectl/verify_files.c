// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What verify writes beside what it prints: a page for a browser, with all of it inside;
 * JUnit XML, for the tools that show what a CI run came to; and the JSON. Each is written
 * under another name first, so that nobody reads half of one. Decides nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "verify.h"

/* report_page.c */
extern const char report_page[], report_page_end[];

#define PLACE "@DATA@"

struct file {
	const char *option, *path;
	void (*write)(const struct verify *verify, FILE *to);
};

static const char *text_of(struct json_object *object, const char *name)
{
	return json_object_get_string(json_object_object_get(object, name)) ?: "";
}

/* In an element of a page nothing ends that early: json-c writes "<\/". */
static void write_page(const struct verify *verify, FILE *to)
{
	const char *data = json_object_to_json_string_ext(verify->all,
							  JSON_C_TO_STRING_PLAIN);
	const char *place = memmem(report_page, (size_t)(report_page_end - report_page),
				   PLACE, strlen(PLACE));

	/* Without the place for it, the page was not made by us. */
	if (!place || !data)
		abort();
	fwrite(report_page, 1, (size_t)(place - report_page), to);
	/* "<!--" would begin a comment there, in which an end is none. */
	for (; *data; data++) {
		if (*data == '<')
			fputs("\\u003c", to);
		else
			putc(*data, to);
	}
	place += strlen(PLACE);
	fwrite(place, 1, (size_t)(report_page_end - place), to);
}

static void write_json(const struct verify *verify, FILE *to)
{
	fputs(json_object_to_json_string_ext(
		      verify->all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					   JSON_C_TO_STRING_NOSLASHESCAPE),
	      to);
	putc('\n', to);
}

/* All text here is printable ASCII: the rest was escaped as it was recorded. */
static void xml(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		case '"':
			fputs("&quot;", to);
			break;
		default:
			putc(*text, to);
		}
	}
}

/* The findings that belong to a check, a line each. */
static void xml_findings(const struct verify *verify, const char *check, FILE *to)
{
	const char *why = strstr(check, "section") ? "section end" :
			  strstr(check, "mark")    ? "mark" :
			  strstr(check, "core")    ? "core" :
			  strstr(check, "process") ? "exit" :
						     NULL;
	size_t i, k, nr = json_object_array_length(verify->stops);
	struct json_object *stop, *list, *finding;

	for (i = 0; why && i < nr; i++) {
		stop = json_object_array_get_idx(verify->stops, i);
		list = json_object_object_get(stop, "findings");
		if (strcmp(text_of(stop, "why"), why) &&
		    (strcmp(why, "exit") ||
		     strcmp(text_of(stop, "why"), "still running")))
			continue;
		for (k = 0; list && k < json_object_array_length(list); k++) {
			finding = json_object_array_get_idx(list, k);
			xml(to, text_of(stop, "at"));
			xml(to, " s, process ");
			xml(to, text_of(stop, "pid"));
			xml(to, ": ");
			xml(to, text_of(finding, "what"));
			xml(to, ", ");
			xml(to, text_of(finding, "bytes"));
			xml(to, " bytes: ");
			xml(to, text_of(finding, "place"));
			putc('\n', to);
		}
	}
}

static void xml_check(const struct verify *verify, struct json_object *check, FILE *to)
{
	const char *status = text_of(check, "status"), *element = NULL;

	fputs("    <testcase classname=\"lethectl.verify\" name=\"", to);
	xml(to, text_of(check, "name"));
	putc('"', to);
	if (!strcmp(status, "failed"))
		element = "failure";
	else if (!strcmp(status, "unknown"))
		element = "error";
	else if (!strcmp(status, "not asked"))
		element = "skipped";
	if (!element) {
		fputs(">\n      <system-out>", to);
		xml(to, text_of(check, "detail"));
		fputs("</system-out>\n    </testcase>\n", to);
		return;
	}
	fprintf(to, ">\n      <%s message=\"", element);
	xml(to, text_of(check, "detail"));
	fputs("\">", to);
	if (!strcmp(element, "failure"))
		xml_findings(verify, text_of(check, "name"), to);
	fprintf(to, "</%s>\n    </testcase>\n", element);
}

static void write_junit(const struct verify *verify, FILE *to)
{
	size_t i, nr = json_object_array_length(verify->checks);

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", to);
	fprintf(to,
		"  <testsuite name=\"lethectl verify\" tests=\"%zu\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\" timestamp=\"%s\">\n",
		nr, verify->statuses[CHECK_FAILED], verify->statuses[CHECK_UNKNOWN],
		verify->statuses[CHECK_NOT_ASKED], verify_seconds(verify),
		verify->started);
	fputs("    <properties>\n      <property name=\"program\" value=\"", to);
	for (i = 0; verify->asked.program[i]; i++) {
		char word[1024];

		if (i)
			putc(' ', to);
		xml(to, escape(word, sizeof(word), verify->asked.program[i]));
	}
	fputs("\"/>\n      <property name=\"verdict\" value=\"", to);
	xml(to, text_of(verify->all, "verdict"));
	fputs("\"/>\n    </properties>\n", to);
	for (i = 0; i < nr; i++)
		xml_check(verify, json_object_array_get_idx(verify->checks, i), to);
	fputs("  </testsuite>\n</testsuites>\n", to);
}

static size_t list(const struct verify *verify, struct file *files)
{
	const struct file all[] = {
		{ "report", verify->asked.html, write_page },
		{ "junit", verify->asked.junit, write_junit },
		{ "json-file", verify->asked.json, write_json },
	};
	size_t i, nr = 0;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].path)
			files[nr++] = all[i];
	return nr;
}

/* Is it something that is written to as it is, as /dev/stderr? */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static int check_one(const struct file *file)
{
	char *copy = strdup(file->path);
	struct stat st;
	int err = 0;

	if (!copy)
		return ENOMEM;
	if (!stat(file->path, &st) && S_ISDIR(st.st_mode))
		err = EISDIR;
	else if (access(is_special(file->path) ? file->path : dirname(copy), W_OK))
		err = errno;
	free(copy);
	return err;
}

/* Before the program is run for nothing. */
int files_check(const struct verify *verify)
{
	struct file files[3];
	size_t i, nr = list(verify, files);
	int err;

	for (i = 0; i < nr; i++) {
		err = check_one(&files[i]);
		if (!err)
			continue;
		output_error("--%s %s: cannot be written: %s", files[i].option,
			     files[i].path, strerror(err));
		return -err;
	}
	return 0;
}

static int write_to(const struct verify *verify, const struct file *file, int fd)
{
	FILE *to = fdopen(fd, "w");
	int err;

	if (!to) {
		err = -errno;
		close(fd);
		return err;
	}
	errno = 0;
	file->write(verify, to);
	err = fflush(to) || ferror(to) || (fsync(fd) && errno != EINVAL) ?
		      -(errno ?: EIO) :
		      0;
	if (fclose(to) && !err)
		err = -errno;
	return err;
}

static int write_one(const struct verify *verify, const struct file *file)
{
	mode_t mask = umask(0);
	char *other;
	int fd, err;

	umask(mask);
	if (is_special(file->path)) {
		fd = open(file->path, O_WRONLY | O_CLOEXEC);
		return fd < 0 ? -errno : write_to(verify, file, fd);
	}
	if (asprintf(&other, "%s.XXXXXX", file->path) < 0)
		return -ENOMEM;
	fd = mkostemp(other, O_CLOEXEC);
	err = fd < 0 ? -errno : 0;
	if (!err) {
		fchmod(fd, 0666 & ~mask);
		err = write_to(verify, file, fd);
		if (!err && rename(other, file->path))
			err = -errno;
		if (err)
			unlink(other);
	}
	free(other);
	return err;
}

int files_write(struct verify *verify)
{
	struct file files[3];
	size_t i, nr = list(verify, files);
	int err, failed = 0;

	for (i = 0; i < nr; i++) {
		err = write_one(verify, &files[i]);
		if (!err)
			continue;
		output_error("--%s %s: not written: %s", files[i].option, files[i].path,
			     strerror(-err));
		failed = err;
	}
	return failed;
}
