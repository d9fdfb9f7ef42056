/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door: see device.c.
 */
#ifndef LETHE_DEVICE_H
#define LETHE_DEVICE_H

#include <linux/types.h>

struct file;

long lethe_device_call(struct file *door, unsigned int cmd, void __user *uargs,
		       bool may_wait);
int lethe_device_init(void);
void lethe_device_exit(void);

#endif /* LETHE_DEVICE_H */
