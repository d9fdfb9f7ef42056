/* SPDX-License-Identifier: MIT */
/*
 * What is measured: operations, each to be run plainly and in a section, and the
 * ways to run them. go/cases.go has the same. It knows nothing of time.
 */
#ifndef LETHE_BENCH_CASES_H
#define LETHE_BENCH_CASES_H

#include "slices.h"

/* How many sections deep the nested case is. */
#define DEPTH 8

void do_nothing(void *unused);
/* 4 KiB of stack written, every word of it. */
void do_touch(void *unused);
/* A frame of 64 KiB, one byte a page of it written. */
void do_frame(void *unused);
/* As much memory of zeroes looked through, by libc. */
void do_read_8k(void *unused);
void do_read_256k(void *unused);
/* exchange.c: X25519, HKDF and AES-256-GCM with a new key, by libcrypto. */
void do_exchange(void *unused);

void run_plainly(void (*op)(void *), const struct lethe_options *options);
void run_in_section(void (*op)(void *), const struct lethe_options *options);
/* DEPTH calls, each inside the other. */
void run_deep(void (*op)(void *), const struct lethe_options *options);
void run_deep_in_sections(void (*op)(void *), const struct lethe_options *options);
/* A thread made for it, and joined. */
void run_in_thread(void (*op)(void *), const struct lethe_options *options);
void run_in_thread_section(void (*op)(void *), const struct lethe_options *options);

#endif /* LETHE_BENCH_CASES_H */
