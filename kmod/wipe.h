/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wiping what belongs to a task: see wipe.c.
 */
#ifndef LETHE_WIPE_H
#define LETHE_WIPE_H

struct file;
struct lethe_wipe;

int lethe_wipe_check(const struct lethe_wipe *args);
int lethe_wipe_run(struct lethe_wipe *args, struct file *door);

#endif /* LETHE_WIPE_H */
