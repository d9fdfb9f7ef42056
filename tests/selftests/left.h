/* SPDX-License-Identifier: MIT */
/*
 * A secret, and how much of it is left where: on a secret stack, on the ordinary
 * stack below the caller, anywhere in a range. A search never finds itself: it
 * keeps the secret in a register alone, and counts from below up.
 */
#ifndef TESTS_LEFT_H
#define TESTS_LEFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The secret. A new one for each search that follows a control: no scrubbing. */
extern uint64_t pattern;
void pattern_new(void);

/* A frame full of it, dead when the function returns: where it was. */
#define FRAME_WORDS 512
uintptr_t fill_frame(void);
/* The same for what wants to be called by lethe_do(); *@where is uintptr_t. */
void fill_frame_at(void *where);

/* Words of the secret in [start, end), which can be read. */
size_t words_in(uintptr_t start, uintptr_t end);
/* Where fill_frame()'s frame was. */
size_t words_at(uintptr_t frame);

struct extent {
	uintptr_t start, end;
};

/* All of the secret memory that is mapped in one piece around an address. */
struct extent secret_around(uintptr_t address);
/* On all of the secret stack that the address is on. */
size_t words_on_secret_stack(uintptr_t on);
/* On the calling thread's own stack, from the caller's frame @bytes down. */
size_t words_below(size_t bytes);

/* Bytes of secret memory that this process has mapped. */
size_t secret_bytes(void);

#ifdef __cplusplus
}
#endif

#endif /* TESTS_LEFT_H */
