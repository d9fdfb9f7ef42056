/* SPDX-License-Identifier: MIT */
/*
 * The probes' double: what its two halves know of each other. double.c has what is
 * told, double_probes.c answers for it as the probes would.
 */
#ifndef DOUBLE_H
#define DOUBLE_H

#include <stdbool.h>

#include "event.h"
#include "frames.h"

#define DOUBLE_PROBES 3
#define DOUBLE_WAYS 8

/**
 * struct double_probe - one that is played
 * @ring: its ring buffer
 * @request: a map with the event that is to be told
 * @program: tells it
 * @counts: all, marked, unjudged, by way
 * @lost: events for which there was no room
 * @failed: its counts cannot be read any more
 */
struct double_probe {
	int ring, request, program;
	unsigned long long counts[DOUBLE_WAYS][3], lost;
	bool failed;
};

extern struct double_probe double_probes[DOUBLE_PROBES];
extern const char *const double_names[DOUBLE_PROBES];
extern unsigned int double_unreadable;
extern struct frames_holder double_holder;

/* 0, or -errno and @why; from here on it does what the FIFO says. */
int double_open(const char **why);

#endif /* DOUBLE_H */
