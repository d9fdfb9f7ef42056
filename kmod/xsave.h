/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies where in a task's XSAVE area: see xsave.c.
 */
#ifndef LETHE_XSAVE_H
#define LETHE_XSAVE_H

#include <linux/types.h>

struct task_struct;

void lethe_xsave_init(void);
bool lethe_xsave_known(void);
void lethe_xsave_wipe_stale(void);
void lethe_xsave_wipe_stopped(struct task_struct *task);

#endif /* LETHE_XSAVE_H */
