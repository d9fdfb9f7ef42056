/* SPDX-License-Identifier: MIT */
/*
 * What record.c, which records every malloc() of a program, and the handshakes that
 * it records know of each other.
 */
#ifndef LETHE_BENCH_RECORD_H
#define LETHE_BENCH_RECORD_H

/* Who the calling thread is in the trace; 0 is the first. */
void record_as(unsigned int thread);
/* @server and @client in threads of their own, joined; each is given its end of a wire. */
void record_pair(void *(*server)(void *end), void *(*client)(void *end));

/* What the handshakes have in common; then one of them, from a new socket to its end. */
void tls_prepare(void);
void tls_shake_hands(void);
void ssh_prepare(void);
void ssh_shake_hands(void);

#endif /* LETHE_BENCH_RECORD_H */
