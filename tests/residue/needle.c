// SPDX-License-Identifier: MIT
/*
 * Making, checking, sending and receiving needles.
 *
 * needle_make() is the only place of the search tools that ever sees a secret,
 * and it runs inside the code under test. So it must not add a copy of its own
 * to those it is there to find: it calls no memcpy(), and never holds more than
 * one byte of the secret.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "needle.h"

/*
 * Volatile, so that the compiler neither joins bytes to words nor makes this a
 * loop of vectors: what a register holds afterwards is one byte of the secret,
 * an eighth of what would count as a copy.
 */
static void mask_bytes(volatile uint8_t *masked, const volatile uint8_t *mask,
		       const volatile uint8_t *secret, size_t length)
{
	for (size_t i = 0; i < length; i++)
		masked[i] = secret[i] ^ mask[i];
}

static bool name_ok(const char *name, size_t room)
{
	size_t length = strnlen(name, room);

	if (length == 0 || length == room)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isgraph((unsigned char)name[i]))
			return false;
	}
	return true;
}

static bool length_ok(size_t length)
{
	return length >= NEEDLE_MIN && length <= NEEDLE_MAX;
}

int needle_make(struct needle *needle, const char *name, const void *secret,
		size_t length)
{
	ssize_t got;

	if (!name_ok(name, sizeof(needle->name)) || !length_ok(length))
		return -EINVAL;
	memset(needle, 0, sizeof(*needle));
	strcpy(needle->name, name);
	needle->length = length;
	got = getrandom(needle->mask, length, 0);
	if (got < 0)
		return -errno;
	/* The kernel gives up to 256 bytes whole, signals or not. */
	if ((size_t)got != length)
		return -EIO;
	mask_bytes(needle->masked, needle->mask, secret, length);
	return 0;
}

int needle_check(const struct needle *needle)
{
	if (!name_ok(needle->name, sizeof(needle->name)) || !length_ok(needle->length) ||
	    needle->reserved)
		return -EBADMSG;
	for (size_t i = needle->length; i < NEEDLE_MAX; i++) {
		if (needle->mask[i] || needle->masked[i])
			return -EBADMSG;
	}
	return 0;
}

int needle_write(int fd, const struct needle *needle)
{
	const char *from = (const char *)needle;
	size_t left = sizeof(*needle);

	while (left) {
		ssize_t n = write(fd, from, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		left -= n;
	}
	return 0;
}

int needle_read(int fd, struct needle *needle)
{
	char *to = (char *)needle;
	size_t left = sizeof(*needle);

	while (left) {
		ssize_t n = read(fd, to, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return left == sizeof(*needle) ? 0 : -EBADMSG;
		to += n;
		left -= n;
	}
	return needle_check(needle) ?: 1;
}

static void print_hex(FILE *out, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		fprintf(out, "%02x", bytes[i]);
}

int needle_print(FILE *out, const struct needle *needle)
{
	fprintf(out, "NEEDLE %s ", needle->name);
	print_hex(out, needle->mask, needle->length);
	fputc(' ', out);
	print_hex(out, needle->masked, needle->length);
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many bytes the text stands for; 0 if it is not hex, or too long. */
static size_t parse_hex(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	for (; *text; text += 2, n++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || n == NEEDLE_MAX)
			return 0;
		bytes[n] = high << 4 | low;
	}
	return n;
}

int needle_parse(const char *line, struct needle *needle)
{
	char mask[2 * NEEDLE_MAX + 2], masked[2 * NEEDLE_MAX + 2], more;

	memset(needle, 0, sizeof(*needle));
	if (sscanf(line, "NEEDLE %31s %513s %513s %c", needle->name, mask, masked,
		   &more) != 3)
		return -EBADMSG;
	needle->length = parse_hex(mask, needle->mask);
	if (parse_hex(masked, needle->masked) != needle->length)
		return -EBADMSG;
	return needle_check(needle);
}
