/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A task's stacks in user space: see ustack.c.
 */
#ifndef LETHE_USTACK_H
#define LETHE_USTACK_H

struct task_struct;

/**
 * struct lethe_extent - a part of an address space
 * @start: its first byte
 * @end: past its last; no higher than @start if there is nothing
 */
struct lethe_extent {
	unsigned long start;
	unsigned long end;
};

int lethe_ustack_dead(struct task_struct *task, unsigned long sp,
		      struct lethe_extent *dead);
int lethe_ustack_signal(struct task_struct *task, unsigned long sp,
			struct lethe_extent *stack);

#endif /* LETHE_USTACK_H */
