// SPDX-License-Identifier: MIT
/*
 * Which pages those are: by name where the kernel has one for them, else by their flags,
 * as /proc/pid/smaps has them. No memory is read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret_pages.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

static bool has_name(char *name)
{
	static const char deleted[] = " (deleted)";

	name[strcspn(name, "\n")] = '\0';
	if (ends_with(name, deleted))
		name[strlen(name) - strlen(deleted)] = '\0';
	return ends_with(name, "/secretmem") || ends_with(name, "[lethe]") ||
	       ends_with(name, "/dev/lethe");
}

static int add(struct secret_pages *pages, const struct secret_range *range)
{
	struct secret_range *more;

	more = reallocarray(pages->range, pages->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	pages->range = more;
	more[pages->nr++] = *range;
	return 0;
}

int secret_pages_read(struct secret_pages *pages, pid_t pid)
{
	struct secret_range range = { 0 }, next;
	bool named = false, file = false;
	unsigned long inode;
	char path[64], rights[5], *line = NULL;
	size_t room = 0;
	int name, err = 0;
	FILE *smaps;

	*pages = (struct secret_pages){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	smaps = fopen(path, "re");
	if (!smaps)
		return -errno;
	while (!err && getline(&line, &room, smaps) >= 0) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %lu %n",
			   &next.start, &next.end, rights, &inode, &name) == 4) {
			/* Not before: "Anonymous" begins with what is a number, too. */
			range = next;
			range.readable = rights[0] == 'r';
			file = inode != 0;
			named = file && has_name(line + name);
		} else if (!strncmp(line, "VmFlags:", 8)) {
			/* The last line of each. */
			if (named ||
			    (!file && strstr(line, " lo") && strstr(line, " dd")))
				err = add(pages, &range);
		}
	}
	if (!err && ferror(smaps))
		err = -EIO;
	free(line);
	fclose(smaps);
	return err;
}

bool secret_pages_have(const struct secret_pages *pages, uint64_t address)
{
	for (size_t i = 0; i < pages->nr; i++)
		if (address >= pages->range[i].start && address < pages->range[i].end)
			return true;
	return false;
}
