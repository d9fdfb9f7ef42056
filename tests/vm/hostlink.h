/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the link to the host: have all of this machine's memory, or a
 * disk, searched from outside, where nothing in it can hide.
 *
 * The host stops the machine, writes its whole RAM to a file, lets it go on,
 * searches the file, deletes it and answers (link.py). What goes over the link
 * is masked; neither end ever puts a secret together.
 *
 * Every function returns 0 or -errno.
 */
#ifndef VM_HOSTLINK_H
#define VM_HOSTLINK_H

#include <stddef.h>
#include <stdint.h>

#include "../residue/needle.h"

/**
 * struct hostlink_found - what a search found of one needle
 * @name: the needle's
 * @copies: runs of NEEDLE_MIN bytes of it or more
 * @whole: those among them that are all of it
 * @longest: bytes of the longest run
 * @in_frames: copies in the frames that were named
 * @elsewhere: copies anywhere else
 * @address: physical, of the first copy elsewhere, or else of the first; 0
 *	where there is none
 */
struct hostlink_found {
	char name[32];
	uint64_t copies;
	uint64_t whole;
	uint64_t longest;
	uint64_t in_frames;
	uint64_t elsewhere;
	uint64_t address;
};

/**
 * hostlink_open() - is there a link?
 *
 * Return: 0; -ENOENT where there is none (not in the virtual machine); or why
 * it cannot be used.
 */
int hostlink_open(void);

/**
 * hostlink_search() - search all of RAM for needles
 * @label: for the host's own notes; one line of text
 * @needles: what to search for; names must differ
 * @n: how many, at least one
 * @frames: frame numbers where finding one is expected; need not be sorted
 * @nr_frames: how many
 * @found: returns what was found, in the order of @needles
 * @searched_bytes: returns how much memory was looked at; may be NULL
 *
 * Everything in the machine stands still while its memory is written down. Two
 * processes may call this: one waits for the other.
 *
 * Return: 0; -ENOENT, no link; -EINVAL, a request that cannot be sent;
 * -ETIMEDOUT; -EPROTO, an answer that makes no sense; -EREMOTEIO, the host
 * could not search (why goes to stderr).
 */
int hostlink_search(const char *label, const struct needle *needles, size_t n,
		    const uint64_t *frames, size_t nr_frames,
		    struct hostlink_found *found, uint64_t *searched_bytes);

/**
 * hostlink_search_drive() - search the raw image of a disk of this machine
 * @label: as above
 * @drive: which: the serial number of its NVMe is lethe and this
 * @needles: as above
 * @n: how many, at least one
 * @found: as above; an address is an offset in the image, and all is elsewhere
 * @searched_bytes: as above
 *
 * What was written is found: not what a file system or the page cache still has.
 *
 * Return: as hostlink_search(); -EREMOTEIO where there is no such disk.
 */
int hostlink_search_drive(const char *label, unsigned int drive,
			  const struct needle *needles, size_t n,
			  struct hostlink_found *found, uint64_t *searched_bytes);

/**
 * hostlink_later() - have the host remember needles until the machine is at rest
 * @label: as above
 * @needles: as above; those of an earlier call are forgotten
 * @n: how many, at least one
 *
 * For what is left once nothing runs here any more: the host searches and judges
 * by itself (power.py).
 *
 * Return: as hostlink_search().
 */
int hostlink_later(const char *label, const struct needle *needles, size_t n);

#endif /* VM_HOSTLINK_H */
