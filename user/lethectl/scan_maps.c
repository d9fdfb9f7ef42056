// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What is mapped in a stopped process, and what kind of memory each is: of that depends
 * what it means if it cannot be read. Reads /proc/pid/smaps, and no memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

static bool is_secret(const char *name)
{
	char plain[4096];
	size_t length = strlen(name);

	if (ends_with(name, " (deleted)"))
		length -= strlen(" (deleted)");
	snprintf(plain, sizeof(plain), "%.*s", (int)length, name);
	return !strcmp(plain, "/secretmem") || !strcmp(plain, "/dev/lethe") ||
	       !strcmp(plain, "anon_inode:[lethe]") || ends_with(plain, "[lethe]");
}

static enum kind kind_of(const struct map *map)
{
	static const char *const kernels[] = { "[vvar]", "[vvar_vclock]", "[vsyscall]",
					       "[uprobes]" };
	size_t i;

	for (i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (!strcmp(map->name, kernels[i]))
			return KIND_KERNEL;
	if (is_secret(map->name))
		return KIND_SECRET;
	if (map->device)
		return KIND_DEVICE;
	if (!strcmp(map->name, "[heap]"))
		return KIND_HEAP;
	if (!strcmp(map->name, "[stack]"))
		return KIND_STACK;
	return map->inode || *map->name == '/' ? KIND_FILE : KIND_ANONYMOUS;
}

/* A first line of one's; false: one of the others. */
static bool parse(const char *line, struct map *map)
{
	int name = 0;

	*map = (struct map){ .file = SIZE_MAX };
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 " %n",
		   &map->start, &map->end, map->rights, &map->offset, &map->inode,
		   &name) < 5)
		return false;
	map->name = strndup(line + name, strcspn(line + name, "\n"));
	return true;
}

static void detail(const char *line, struct map *map)
{
	unsigned long kib;

	if (sscanf(line, "Rss: %lu", &kib) == 1 || sscanf(line, "Swap: %lu", &kib) == 1)
		map->populated |= kib > 0;
	if (!strncmp(line, "VmFlags:", 8)) {
		map->io = strstr(line, " io");
		map->device = map->io || strstr(line, " pf");
		map->huge = strstr(line, " ht");
		map->faults = strstr(line, " um") || strstr(line, " ui");
	}
}

static int add(struct maps *maps, const struct map *map, size_t *room)
{
	struct map *more;

	if (!map->name)
		return -ENOMEM;
	if (maps->nr == *room) {
		*room = *room ? 2 * *room : 64;
		more = reallocarray(maps->map, *room, sizeof(*more));
		if (!more) {
			free(map->name);
			return -ENOMEM;
		}
		maps->map = more;
	}
	maps->map[maps->nr++] = *map;
	return 0;
}

/* What follows a file's without a gap may be its .bss. */
static void settle(struct maps *maps)
{
	size_t i;

	for (i = 0; i < maps->nr; i++) {
		struct map *map = &maps->map[i], *before = i ? map - 1 : NULL;

		map->kind = kind_of(map);
		if (map->kind == KIND_FILE)
			map->file = i;
		else if (map->kind == KIND_ANONYMOUS && before &&
			 before->end == map->start)
			map->file = before->file;
	}
}

int maps_read(struct maps *maps, pid_t pid, pid_t tid)
{
	size_t line_room = 0, room = 0;
	char path[64], *line = NULL;
	struct map map;
	FILE *smaps;
	int err = 0;

	*maps = (struct maps){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/task/%d/smaps", (int)pid, (int)tid);
	smaps = fopen(path, "re");
	if (!smaps)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && getline(&line, &line_room, smaps) >= 0) {
		if (parse(line, &map))
			err = add(maps, &map, &room);
		else if (maps->nr)
			detail(line, &maps->map[maps->nr - 1]);
	}
	if (!err && ferror(smaps))
		err = -EIO;
	free(line);
	fclose(smaps);
	settle(maps);
	/* One that is ending has none: that is not clean. */
	return err ? err : maps->nr ? 0 : -ESRCH;
}

void maps_free(struct maps *maps)
{
	size_t i;

	for (i = 0; i < maps->nr; i++)
		free(maps->map[i].name);
	free(maps->map);
	*maps = (struct maps){ 0 };
}

struct map *maps_find(const struct maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->nr, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (maps->map[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < maps->nr && maps->map[low].start <= address ? &maps->map[low] : NULL;
}
