/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies where in a task's XSAVE area: see xsave.c.
 */
#ifndef LETHE_XSAVE_H
#define LETHE_XSAVE_H

#include <linux/types.h>

void lethe_xsave_init(void);
bool lethe_xsave_known(void);
void lethe_xsave_wipe_stale(void);

#endif /* LETHE_XSAVE_H */
