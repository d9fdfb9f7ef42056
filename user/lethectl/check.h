/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of lethectl check know of each other. Three processes: the one that
 * measures and reports; the subject, whose pages are pressed; and the guard, which undoes.
 */
#ifndef LETHECTL_CHECK_H
#define LETHECTL_CHECK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "directmap.h"
#include "frames.h"
#include "swap.h"

#include "lethe.h"
#include "lethectl.h"

/**
 * struct guarded - what is undone when the process that measures ends, however
 * @subject: is killed
 * @cgroup: is emptied, by SIGKILL, and removed
 * @enabled: a cgroup.subtree_control from which "memory" is taken again
 * @swap: a swap file: swapped off, removed, overwritten with zeroes
 * @device: where it is
 * @inode: so that it is that file and no other
 * @length: bytes to overwrite
 *
 * In memory that the guard shares. Each is written before the thing is done, and
 * undoing what was not done does nothing.
 */
struct guarded {
	volatile pid_t subject;
	char cgroup[PATH_MAX], enabled[PATH_MAX], swap[PATH_MAX];
	dev_t device;
	ino_t inode;
	size_t length;
};

/* check_guard.c: makes the guard. NULL, or the record that it heeds; errno. */
struct guarded *guard_start(void);
/* Has all undone, and returns whether it was. Also at exit and by signals: undo.h. */
bool guard_end(void);
/* A child that outlives nobody says that the guard is not to wait for it. */
void guard_leave(void);

/**
 * struct pressure - how memory is pressed
 * @by: "cgroup v1", "cgroup v2" or "madvise": for people
 * @version: of cgroups; 0: by process_madvise() alone
 * @parent: the directory that the cgroup is made in
 * @why_not: why there is no cgroup
 */
struct pressure {
	const char *by;
	int version;
	char parent[PATH_MAX];
	char why_not[256];
};

/*
 * check_cgroup.c: where a cgroup with the memory controller can be made. Mounts cgroup2
 * for this process and its children alone, where nobody has mounted any: to be called
 * before guard_start().
 */
void cgroup_find(struct pressure *pressure);
/* Makes it; if it cannot be made, sets pressure->version to 0, and why. */
void cgroup_make(struct pressure *pressure, struct guarded *guarded);
/* The caller goes into it. 0 or -errno. */
int cgroup_enter(const struct guarded *guarded);
/* Asks for all of its pages to leave, once. */
void cgroup_press(const struct pressure *pressure, const struct guarded *guarded);

/* check_kernel.c: a line of a file below /proc or /sys, "" if there is none. */
const char *kernel_line(const char *path, char *line, size_t room);
/* The number after @word at the start of a line; 0 if there is none. */
unsigned long long kernel_number(const char *path, const char *word);
/* 0 or -errno. */
int kernel_write(const char *path, const char *text);

/**
 * struct area - an area of swap
 * @name: as the kernel has it
 * @kind: "file", "zram", "device"
 * @size: pages
 * @used: of them
 * @temporary: the one that was made here
 */
struct area {
	char name[256];
	const char *kind;
	unsigned long long size, used;
	bool temporary;
};

#define AREAS_MAX 32

/* check_swap.c: how many there are. */
size_t swap_areas(struct area *areas);
/* Pages for which there is room in them. */
unsigned long long swap_room(void);
/*
 * Makes a swap file of @length bytes in @directory, or wherever one can be if that is
 * NULL. 0; or -errno, and @why, of @room bytes. What it leaves then is the guard's.
 */
int swap_file_make(struct guarded *guarded, const char *directory, size_t length,
		   char *why, size_t room);
/* The file again, only if it is the very same; else -1. Makes system calls alone. */
int swap_file_open(const struct guarded *guarded);

/**
 * struct subject - the process whose pages are pressed, and what it says of itself
 * @pid: of it
 * @fd: a byte there starts each step, and one answers
 * @failed: why it could not go on; "" if it could
 * @backend: where its secret is
 * @level: of that
 * @secret_pages: pages that hold secrets: a section's stack and heap
 * @decoys: pages of ordinary memory
 * @decoy: the first of them
 * @marked: of decoys, and of the secret if that is in ordinary memory
 * @secret_intact: after all: it is what it was
 * @decoys_intact: how many are
 *
 * In memory that it shares.
 */
struct subject {
	pid_t pid;
	int fd;
	char failed[256];
	char backend[32];
	enum lethe_level level;
	size_t secret_pages, decoys;
	unsigned long long decoy;
	size_t marked;
	bool secret_intact;
	size_t decoys_intact;
};

/* A step of the subject's, in this order. */
enum subject_step {
	SUBJECT_FILL = 'f',   /* after fork: has the secret and the decoys */
	SUBJECT_MARK = 'm',   /* marks the decoys' frames */
	SUBJECT_VERIFY = 'v', /* reads all of it again */
};

/**
 * struct directmap_answers - what the kernel can read by its direct map
 * @asked: it is known
 * @why_not: why it is not
 * @secret: frames of the secret's that were asked of
 * @decoys: of decoys
 */
struct directmap_answers {
	bool asked;
	char why_not[128];
	size_t secret, secret_readable, decoys, decoys_readable;
};

/**
 * struct check - a check: what was asked for, and what came out
 * @ordinary: the secret is in ordinary memory
 * @no_file: no swap file may be made
 * @verbose: say what is done
 * @directory: where; NULL for wherever it can be
 * @backend: by name; NULL for the best
 * @seconds: how long to press
 * @decoys: pages
 * @watched: pages of the secret's that are in the set of secret frames
 * @left: decoys that are in swap
 * @stayed: ordinary pages of the subject's that could not be made to leave
 * @took: seconds that it took until all had
 * @counts: what left while memory was pressed
 * @hooks: of the probe
 * @areas: and, in @used, pages that came to each
 * @compressed: of them, pages that zswap has
 * @reason: of the verdict
 */
struct check {
	bool ordinary, no_file, verbose;
	const char *directory, *backend;
	unsigned int seconds;
	size_t decoys;

	struct guarded *guarded;
	struct pressure pressure;
	struct subject *subject;
	struct directmap_answers directmap;
	size_t watched, left, stayed;
	double took;
	struct swap_counts counts;
	const struct hook *hooks;
	size_t nr_hooks;
	struct area areas[AREAS_MAX];
	size_t nr_areas;
	unsigned long long compressed;
	char reason[256];
};

/* check_subject.c: NULL and errno. */
struct subject *subject_start(const struct check *check, struct frames *frames);
/* Has it do a step. 0; or -errno and subject->failed. */
int subject_step(struct check *check, enum subject_step step, int timeout_ms);
/* Ends it, whatever it does. */
void subject_end(struct check *check);

/* check_directmap.c: fills check->directmap; before memory is pressed. */
void check_directmap(struct check *check, const struct frames *frames);

/* check_press.c: until all of the subject's ordinary pages have left, or time is up.
 * 0; -ETIMEDOUT: some have not; or -errno: it cannot be known. */
int press(struct check *check);

/* check_report.c: the verdict, and check->reason. */
enum status check_verdict(struct check *check);
/* All that was found, as text and for --json. */
void check_print(const struct check *check, enum status verdict);

#endif /* LETHECTL_CHECK_H */
