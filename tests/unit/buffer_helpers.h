/* SPDX-License-Identifier: MIT */
/*
 * What the tests of guarded buffers share: children that die as they should, the
 * system calls of a piece of code, and a search of the whole process.
 */
#ifndef TESTS_UNIT_BUFFER_HELPERS_H
#define TESTS_UNIT_BUFFER_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In a fork's child. By SIGABRT after one line on stderr that ends in @why; or not at all. */
void aborts(void (*misuse)(void), const char *why);
/* By SIGSEGV, with nothing said. */
void faults(void (*misuse)(void));
void lives(void (*use)(void));

/* In a child: it is over unless @ok. */
void must(bool ok);

/* How often @fn makes the system call. It is run in a child, once before it counts. */
unsigned int calls_of(void (*fn)(void), long number);

/* Have this system call fail from now on with EACCES, in this process. */
void forbid(long number);

/* RLIMIT_MEMLOCK, and no privilege to pass it. */
void limit_locked(size_t bytes);

/* A field of /proc/self/status, in kB. */
size_t status_kb(const char *field);

/**
 * struct needle - a secret of 32 bytes, as a search may know it
 * @masked: its words, exclusive or @mask
 */
struct needle {
	uint64_t masked[4], mask;
};

/* Reads the secret; leaves none of it anywhere. */
void needle_take(struct needle *needle, const void *secret);
/* How many of its words there are, at any alignment, in all memory that can be read. */
size_t needle_count(const struct needle *needle);

#endif /* TESTS_UNIT_BUFFER_HELPERS_H */
