/* SPDX-License-Identifier: MIT */
/*
 * A thread that is looked at from outside between one job and the next. It waits
 * for a job without a system call, so that what the last one left in the kernel
 * stays as it is. One at a time.
 */
#ifndef RESIDUE_OBSERVED_H
#define RESIDUE_OBSERVED_H

#include <pthread.h>
#include <stdbool.h>

/* What it is to itself (gettid()). */
int observed_start(void);
pthread_t observed_thread(void);

/* Has it do something; waits until it is done; or both. */
void observed_begin(void (*job)(void));
void observed_finish(void);
void observed_do(void (*job)(void));

/* Within 20 s; else the test ends here. */
void observed_until(bool (*condition)(void), const char *what);

void observed_end(void);

#endif /* RESIDUE_OBSERVED_H */
