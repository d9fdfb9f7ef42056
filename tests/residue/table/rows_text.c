// SPDX-License-Identifier: MIT
/*
 * libc's rows: a key put into words, and a passphrase read. The program wipes its own
 * buffers; what stdio has in its buffers, nobody but stdio could.
 */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "row.h"

#define HEX (2 * ROW_SECRET + 1)
#define LINE 128

/* Of the length that is known; a compiler that sees it is no matter. */
static void print_hex(char hex[HEX], const uint8_t *secret)
{
	for (size_t i = 0; i < ROW_SECRET; i++)
		if (snprintf(hex + 2 * i, 3, "%02x", secret[i]) != 2)
			row_die("snprintf");
}

static void print(uint8_t *secret)
{
	char hex[HEX], line[LINE];

	print_hex(hex, secret);
	if (snprintf(line, sizeof(line), "key = %s\n", hex) != HEX + 6)
		row_die("snprintf");
	row_scrub(hex, sizeof(hex));
	row_scrub(line, sizeof(line));
}

/*
 * The stream is the section's own. (Of one that was written to before it, the buffer is
 * no secret memory, and keeps what a section writes to it.)
 */
static void print_to_stream(uint8_t *secret)
{
	FILE *stream = fopen("/dev/null", "w");
	char hex[HEX];

	print_hex(hex, secret);
	if (!stream || fprintf(stream, "a line before it\nkey = %s\n", hex) < HEX)
		row_die("fprintf");
	row_scrub(hex, sizeof(hex));
	if (fclose(stream))
		row_die("fclose");
}

static void get_line(uint8_t *secret)
{
	char *line = NULL;
	size_t room = 0;

	(void)secret;
	if (getline(&line, &room, stdin) != ROW_SECRET + 1)
		row_die("getline");
	row_scrub(line, room);
	free(line);
	if (fclose(stdin))
		row_die("fclose");
}

/* As a prompt does; but what was typed ahead is not thrown away: it is the passphrase. */
static void get_line_unseen(uint8_t *secret)
{
	struct termios as_it_was, unseen;

	if (tcgetattr(STDIN_FILENO, &as_it_was))
		row_die("tcgetattr");
	unseen = as_it_was;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &unseen))
		row_die("tcsetattr");
	get_line(secret);
}

const struct row rows_text[] = {
	{ .name = "snprintf of a hex key", .inside = print },
	{ .name = "fprintf of a hex key", .where = "heap", .inside = print_to_stream },
	{ .name = "getline from a pipe",
	  .where = "heap",
	  .inside = get_line,
	  .source = ROW_LINE },
	{ .name = "getline from a terminal",
	  .where = "heap",
	  .inside = get_line_unseen,
	  .source = ROW_TERMINAL },
	{ .name = NULL },
};
