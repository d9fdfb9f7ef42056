/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The set of secret frames: one byte for each frame of RAM, shared by who asks and
 * by every probe. Of the module and of memfd_secret it is exact at every moment, by
 * tracepoints; of what is only locked, it is as new as the last frames_refresh() or
 * frames_settle(), but for frames that were freed since: those are out of it at once.
 *
 * What it does not have: pages of a memfd_secret that were there before frames_open()
 * and that nobody has mapped; and where one is moved to by the kernel (compaction), a
 * page that is only locked, until its process is looked at again.
 */
#ifndef LETHE_BPF_FRAMES_H
#define LETHE_BPF_FRAMES_H

#define FRAME_KMOD (1U << 0)
#define FRAME_MEMFD (1U << 1)  /* memfd_secret */
#define FRAME_LOCKED (1U << 2) /* mlock, kept from dumps */
#define FRAME_SECRET (FRAME_KMOD | FRAME_MEMFD | FRAME_LOCKED)
#define FRAME_DECOY (1U << 3) /* a control's: marked by who asks */

#ifndef __VMLINUX_H__
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hook.h"
#include "layout.h"

struct frames;

/**
 * struct frames_total - how many there are
 * @kmod: frames in the set by the module
 * @memfd: by memfd_secret
 * @locked: by mlock
 * @decoys: marked by frames_mark()
 * @processes: that hold any
 * @unreadable: processes that could not be looked into: the set lacks theirs
 */
struct frames_total {
	unsigned long long kmod, memfd, locked, decoys;
	unsigned int processes, unreadable;
};

/**
 * struct frames_holder - a process that holds secret pages
 * @pid: it, in the first pid namespace
 * @command: its name
 * @pages: that it has mapped, by kind: kmod, memfd_secret, mlock
 */
struct frames_holder {
	pid_t pid;
	char command[16];
	unsigned long long pages[3];
};

/* 0, or -errno and @why. @layout has to stay. */
int frames_open(struct frames **frames, const struct layout *layout, const char **why);
/*
 * Looks again, in @pid alone if it is not 0. 0 or -errno: of @pid -ESRCH, where it is
 * gone, and -EACCES.
 */
int frames_refresh(struct frames *frames, pid_t pid);
/*
 * Looks again in those processes alone whose mappings may have changed: costs nothing
 * where there is none, so that it can be called several times a second. How many, or
 * -errno.
 */
int frames_settle(struct frames *frames);
/*
 * Adds FRAME_* bits to the frame of this process's page at @address, or takes them
 * away. 0, or -ENODATA: no page is there now; -errno. The bits go with the page when it
 * is freed, swapped out or not: but for FRAME_KMOD, which is the module's to take away,
 * and is none for others' pages (-EINVAL).
 */
int frames_mark(struct frames *frames, const void *address, unsigned int bits);
int frames_unmark(struct frames *frames, unsigned long long frame, unsigned int bits);
/* The FRAME_* bits that @frame has now. */
unsigned int frames_kind(const struct frames *frames, unsigned long long frame);
/*
 * Whether @frame, which had @kind at an event, was secret, or only out of date in the
 * set: locked once, and unlocked before anybody looked again. False where it is its
 * owner who says so: the page is no longer locked there. What is the module's,
 * memfd_secret's or marked by hand, is never out of date; of an owner that is gone, true.
 */
bool frames_confirm(const struct frames *frames, unsigned long long frame,
		    unsigned int kind);
/*
 * Whose frame it was when it was last looked at: the process, or 0, and where. Of the
 * module's 0: /proc does not say, of a region, on which frames it is.
 */
pid_t frames_owner(const struct frames *frames, unsigned long long frame,
		   unsigned long long *address);
void frames_total(const struct frames *frames, struct frames_total *total);
/* The holders, most pages first, in an array to free(). How many, or -errno. */
int frames_holders(const struct frames *frames, struct frames_holder **holders);
/* Does [address, address + length) of @pid touch a secret mapping? FRAME_* bits. */
unsigned int frames_at(const struct frames *frames, pid_t pid, unsigned long long address,
		       unsigned long long length);
/*
 * How often a region may have come or gone unseen: the kernel runs no program that runs
 * already on that processor. If it is not what it was, the set may have lacked a frame.
 */
unsigned long long frames_missed(const struct frames *frames);
/*
 * The map to share with a probe (bpf_map__reuse_fd): "secret_frames", bytes by frame
 * number, eight to an entry; and "holders", a hash by process, for filters.
 */
int frames_map_fd(const struct frames *frames);
/* Where in it the summary begins (pages.bpf.h): behind the entries of all frames. */
unsigned int frames_summary_at(const struct frames *frames);
int frames_holders_fd(const struct frames *frames);
const struct layout *frames_layout(const struct frames *frames);
/* What keeps it current, and what is not. */
const struct hook *frames_hooks(const struct frames *frames, size_t *nr);
void frames_close(struct frames *frames);
#endif

#endif /* LETHE_BPF_FRAMES_H */
