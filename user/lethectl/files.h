/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Small files that the kernel shows what it is by, below a root that tests set: "" is
 * this machine's.
 */
#ifndef LETHECTL_FILES_H
#define LETHECTL_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* @to: @root and a path made by @format. False if it does not fit. */
bool file_path(char *to, size_t room, const char *root, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* All of a file, a zero behind, less the newline at its end. Its length, or -errno;
 * -EFBIG if it does not fit. */
int file_read(char *to, size_t room, const char *root, const char *path);
/* A file of one number. 0 or -errno; -EINVAL if it is none. */
int file_number(long long *number, const char *root, const char *path);
bool file_there(const char *root, const char *path);
/* Of "a [b] c", "b". False if nothing is in brackets. */
bool file_chosen(const char *text, char *to, size_t room);
/* Is @word one of those that blanks or newlines part? */
bool file_has_word(const char *text, const char *word);

#endif /* LETHECTL_FILES_H */
