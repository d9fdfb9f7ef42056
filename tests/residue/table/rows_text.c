// SPDX-License-Identifier: MIT
/*
 * libc's rows: a key put into words, and a passphrase read. The program wipes its own
 * buffers; what stdio has in its buffers, nobody but stdio could.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "row.h"

#define HEX (2 * ROW_SECRET)
#define LINE 128

/* Word by word, as many print a key: a call for each byte would leave less. */
#define KEY_FORMAT "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64

static void take_words(uint64_t words[ROW_SECRET / 8], const uint8_t *secret)
{
	for (size_t i = 0; i < ROW_SECRET; i++)
		words[i / 8] = (i % 8 ? words[i / 8] << 8 : 0) | secret[i];
}

static void print(uint8_t *secret)
{
	uint64_t words[ROW_SECRET / 8];
	char line[LINE];

	take_words(words, secret);
	if (snprintf(line, sizeof(line), "key = " KEY_FORMAT "\n", words[0], words[1],
		     words[2], words[3]) != HEX + 7)
		row_die("snprintf");
	row_scrub(words, sizeof(words));
	row_scrub(line, sizeof(line));
}

/*
 * The stream is the section's own. (Of one that was written to before it, the buffer is
 * no secret memory, and keeps what a section writes to it.)
 */
static void print_to_stream(uint8_t *secret)
{
	uint64_t words[ROW_SECRET / 8];
	FILE *stream = fopen("/dev/null", "w");

	take_words(words, secret);
	if (!stream || fprintf(stream, "a line before it\nkey = " KEY_FORMAT "\n",
			       words[0], words[1], words[2], words[3]) < HEX)
		row_die("fprintf");
	row_scrub(words, sizeof(words));
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
	{ .name = "snprintf of a hex key", .where = "stack", .inside = print },
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
