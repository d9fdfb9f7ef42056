/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is dead of the kernel's own stacks: see kstack.c.
 */
#ifndef LETHE_KSTACK_H
#define LETHE_KSTACK_H

void lethe_kstack_wipe(void);

#endif /* LETHE_KSTACK_H */
