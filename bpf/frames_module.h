/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The part of the set of secret frames that is the module's, for frames.c.
 */
#ifndef LETHE_BPF_FRAMES_MODULE_H
#define LETHE_BPF_FRAMES_MODULE_H

struct frames;

/* The frames of every region, where there is a module. 0 or -errno. */
int frames_ask_module(struct frames *frames);
/* Takes bits away from every frame. */
void frames_clear_all(struct frames *frames, unsigned int bits);

#endif /* LETHE_BPF_FRAMES_MODULE_H */
