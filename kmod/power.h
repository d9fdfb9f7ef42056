/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to secret pages when the machine ends: see power.c.
 */
#ifndef LETHE_POWER_H
#define LETHE_POWER_H

int lethe_power_init(void);
void lethe_power_exit(void);

#endif /* LETHE_POWER_H */
