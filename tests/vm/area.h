/* SPDX-License-Identifier: MIT */
/*
 * Areas to swap to: of a disk, of a file on one, of zram, and with zswap before one.
 * For the virtual machine: they are made of disks whose bytes are given up.
 *
 * Every function that can fail returns 0 or -errno.
 */
#ifndef VM_AREA_H
#define VM_AREA_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The disk that the host has as its @drive-th (machine.py): in @path, of at least 32
 * bytes. They have a number of their own here, by which came first.
 */
int area_disk(unsigned int drive, char *path);

/* Writes @bytes to @path, which may be a file that is not there yet: an empty area. */
int area_format(const char *path, uint64_t bytes);

/* A file of @bytes at @path, on the ext4 of the disk @disk, mounted at its folder. */
int area_file(const char *disk, const char *path, uint64_t bytes);

/* The block device zram0, as an empty area of @bytes. */
int area_zram(uint64_t bytes);
/* It is empty once more, and has no size. */
int area_zram_reset(void);
/* Pages that it holds, and that it was told to forget since it has a size. */
int area_zram_stored(uint64_t *pages, uint64_t *forgotten);

/* Has this kernel zswap? Without it, the next is -ENOENT. */
bool area_has_zswap(void);
int area_zswap(bool on);
/* Pages that it holds, and that it has given on to the area since boot. */
int area_zswap_holds(uint64_t *stored, uint64_t *given_on);
/* Has it give on all that it holds, but what is in memory again, too. */
int area_zswap_empty(void);

/* Waits until every write has reached its device. */
int area_settle(void);

/* A counter of /proc/vmstat; 0 where there is none of that name. */
uint64_t area_vmstat(const char *name);

#endif /* VM_AREA_H */
