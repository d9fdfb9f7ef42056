/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LETHE_FPU_H
#define LETHE_FPU_H

void lethe_fpu_init(void);
void lethe_fpu_exit(void);
void lethe_fpu_wipe_exiting(void);

#endif /* LETHE_FPU_H */
