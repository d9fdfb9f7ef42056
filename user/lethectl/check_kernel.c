// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Small files of the kernel's: a line, a number behind a word, a word to write. They
 * are there or not; what that means is their caller's to say.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

const char *kernel_line(const char *path, char *line, size_t room)
{
	FILE *file = fopen(path, "re");

	line[0] = '\0';
	if (!file)
		return line;
	if (fgets(line, (int)room, file))
		line[strcspn(line, "\n")] = '\0';
	else
		line[0] = '\0';
	fclose(file);
	return line;
}

unsigned long long kernel_number(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	unsigned long long number = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word))) {
			number = strtoull(line + strlen(word), NULL, 10);
			break;
		}
	if (file)
		fclose(file);
	return number;
}

int kernel_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}
