/* SPDX-License-Identifier: MIT */
/*
 * Which frames of memory are secret pages now, as the module has it.
 */
#ifndef RESIDUE_FRAMES_H
#define RESIDUE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Those of every region there is; the caller frees @frames. For CAP_SYS_ADMIN.
 * 0 or -errno.
 */
int secret_frames(uint64_t **frames, size_t *nr_frames);

#endif /* RESIDUE_FRAMES_H */
