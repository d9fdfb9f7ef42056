// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where swapped pages go on this machine; and a swap file for lethectl check where they
 * could go nowhere. It has no name until all is written and the guard knows of it, so
 * that a full disk, or an end at a bad moment, leaves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096
#define FUSE_MAGIC 0x65735546

/* The kernel writes blanks in names as \040, and so on. */
static void unescape(char *name)
{
	char *to = name;

	for (; *name; name++) {
		if (name[0] == '\\' && name[1] && name[2] && name[3]) {
			*to++ = (char)((name[1] - '0') * 64 + (name[2] - '0') * 8 +
				       (name[3] - '0'));
			name += 3;
		} else {
			*to++ = *name;
		}
	}
	*to = '\0';
}

size_t swap_areas(struct area *areas)
{
	FILE *file = fopen("/proc/swaps", "re");
	char *line = NULL, type[32], *base;
	size_t room = 0, nr = 0;

	while (file && nr < AREAS_MAX && getline(&line, &room, file) > 0) {
		struct area *area = &areas[nr];

		if (sscanf(line, "%255s %31s %llu %llu", area->name, type, &area->size,
			   &area->used) != 4)
			continue;
		unescape(area->name);
		base = strrchr(area->name, '/');
		area->kind = !strcmp(type, "file")              ? "file" :
			     base && !strncmp(base, "/zram", 5) ? "zram" :
								  "device";
		area->size /= PAGE / 1024;
		area->used /= PAGE / 1024;
		area->temporary = false;
		nr++;
	}
	free(line);
	if (file)
		fclose(file);
	return nr;
}

unsigned long long swap_room(void)
{
	return kernel_number("/proc/meminfo", "SwapFree:") * 1024 / PAGE;
}

/* Where a file cannot be swap, or not without more ado; NULL: it may be. */
static const char *why_no_swap_on(const char *directory)
{
	static const struct {
		long type;
		const char *why;
	} kinds[] = {
		{ TMPFS_MAGIC, "it is in memory itself (tmpfs)" },
		{ RAMFS_MAGIC, "it is in memory itself (ramfs)" },
		{ OVERLAYFS_SUPER_MAGIC, "overlayfs has no swap files" },
		{ BTRFS_SUPER_MAGIC,
		  "on btrfs a swap file must be made without copy-on-write" },
		{ NFS_SUPER_MAGIC, "it is on another machine (NFS)" },
		{ FUSE_MAGIC, "FUSE has no swap files" },
	};
	struct statfs fs;
	size_t i;

	if (statfs(directory, &fs))
		return strerror(errno);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fs.f_type == kinds[i].type)
			return kinds[i].why;
	return NULL;
}

/* What mkswap(8) writes: version 1, the last page, no bad ones. */
static int write_header(int fd, size_t length)
{
	static unsigned char page[PAGE];
	const uint32_t header[] = { 1, (uint32_t)(length / PAGE - 1), 0 };

	memcpy(page + 1024, header, sizeof(header));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, sizeof(page), 0) != sizeof(page))
		return -(errno ? errno : EIO);
	return fsync(fd) ? -errno : 0;
}

/* A file of that length in @directory, that has no name. A descriptor, or -errno. */
static int make_nameless(const char *directory, size_t length)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = fallocate(fd, 0, 0, (off_t)length) ? -errno : 0;
	if (!err)
		err = write_header(fd, length);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* From the moment that it has a name, the guard knows it. */
static int put_on(struct guarded *guarded, int fd, const char *directory, size_t length)
{
	char self[64], path[PATH_MAX];
	struct stat st;
	int n;

	n = snprintf(path, sizeof(path), "%s/lethe-check.%d.swap",
		     strcmp(directory, "/") ? directory : "", getpid());
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (fstat(fd, &st))
		return -errno;
	guarded->device = st.st_dev;
	guarded->inode = st.st_ino;
	guarded->length = length;
	strcpy(guarded->swap, path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		return -errno;
	/* Before what there is, which may be all but full: it is to stay so. */
	return swapon(path, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK) ? -errno : 0;
}

static int make_in(struct guarded *guarded, const char *directory, size_t length,
		   char *why, size_t room)
{
	const char *unfit = why_no_swap_on(directory);
	char real[PATH_MAX];
	int fd, err;

	if (unfit || !realpath(directory, real)) {
		snprintf(why, room, "%.100s: %s", directory,
			 unfit ? unfit : strerror(errno));
		return -ENOTSUP;
	}
	fd = make_nameless(real, length);
	err = fd < 0 ? fd : put_on(guarded, fd, real, length);
	if (fd >= 0)
		close(fd);
	if (err)
		snprintf(why, room, "%.100s: no swap file of %zu MiB there: %s",
			 directory, length >> 20, strerror(-err));
	return err;
}

int swap_file_make(struct guarded *guarded, const char *directory, size_t length,
		   char *why, size_t room)
{
	static const char *const places[] = { "/var/tmp", "/var/lib", "/tmp", "/" };
	int err = -ENOTSUP;
	size_t i;

	if (directory)
		return make_in(guarded, directory, length, why, room);
	for (i = 0; err && i < sizeof(places) / sizeof(places[0]); i++)
		/* One that was put somewhere is the guard's: it is not lost sight of. */
		if (!guarded->swap[0])
			err = make_in(guarded, places[i], length, why, room);
	return err;
}

int swap_file_open(const struct guarded *guarded)
{
	int fd = open(guarded->swap, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && st.st_dev == guarded->device &&
	    st.st_ino == guarded->inode)
		return fd;
	close(fd);
	return -1;
}
