// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe.ko as an operator sees it: by its device where that can be opened, else by
 * sysfs, which tells everybody less. Makes no region.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "files.h"
#include "holders.h"

/* Holders are made while it is asked: as often as it grows. */
#define TRIES 8

static bool number(unsigned long long *to, const char *root, const char *name)
{
	char path[64];
	long long value;

	snprintf(path, sizeof(path), "/sys/class/misc/lethe/%s", name);
	if (file_number(&value, root, path))
		return false;
	*to = (unsigned long long)value;
	return true;
}

static void by_sysfs(struct module *module, const char *root)
{
	struct lethe_query *query = &module->query;
	unsigned long long value;
	size_t i;
	const struct {
		const char *name;
		__u64 *to;
	} files[] = {
		{ "blocks", &query->blocks },
		{ "block_size", &query->block_size },
		{ "pages_used", &query->pages_used },
		{ "pages_free", &query->pages_free },
		{ "regions", &query->regions },
		{ "pages_small", &query->pages_small },
		{ "splits", &query->splits },
	};

	module->there = number(&value, root, "version");
	if (!module->there)
		return;
	query->version = (__u32)value;
	query->page_size = 4096;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (number(&value, root, files[i].name))
			*files[i].to = value;
	module->has_wipes = number(&module->wipes, root, "wipes") &&
			    number(&module->wiped_bytes, root, "wiped_bytes");
	file_read(module->hibernate, sizeof(module->hibernate), root,
		  "/sys/module/lethe/parameters/hibernate");
}

static int query(struct lethe_query *args)
{
	int fd, err;

	fd = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	args->size = sizeof(*args);
	err = ioctl(fd, LETHE_IOC_QUERY, args) < 0 ? -errno : 0;
	close(fd);
	return err;
}

void module_look(struct module *module, const char *root)
{
	struct lethe_query args = { 0 };

	*module = (struct module){ 0 };
	by_sysfs(module, root);
	if (!module->there || *root)
		return;
	module->error = -query(&args);
	module->queried = !module->error;
	if (module->queried)
		module->query = args;
}

int module_holders(struct lethe_holder **rows)
{
	struct lethe_query args = { .flags = LETHE_QUERY_HOLDERS,
				    .holder_size = sizeof(**rows) };
	unsigned int room = 64, try;
	struct lethe_holder *more;
	int err;

	*rows = NULL;
	for (try = 0; try < TRIES; try++) {
		more = realloc(*rows, room * sizeof(*more));
		err = more ? 0 : -ENOMEM;
		if (err)
			break;
		*rows = more;
		args.holders = (__u64)(uintptr_t)more;
		args.nr_holders = room;
		err = query(&args);
		if (err || args.nr_holders <= room)
			break;
		room = args.nr_holders + args.nr_holders / 4;
		err = -EAGAIN;
	}
	if (!err)
		return (int)args.nr_holders;
	free(*rows);
	*rows = NULL;
	return err;
}
