/* SPDX-License-Identifier: MIT */
/*
 * A process whose registers are searched: it puts a word there, or into a system
 * call's argument, as it is told, and stays. It has the word from shared memory alone,
 * and is the first of a pid namespace of its own. What fails ends the test.
 */
#ifndef LETHE_PROBES_SEARCHED_H
#define LETHE_PROBES_SEARCHED_H

#include <stdint.h>
#include <sys/types.h>

/* What it does before it waits with the word in its registers. */
enum searched_order {
	SEARCHED_WAIT, /* nothing else */
	SEARCHED_SPIN, /* has it there already, and asks the kernel for nothing */
	SEARCHED_POLL, /* calls with the argument, which stays on its kernel stack */
	SEARCHED_WIPE, /* has the module wipe what there is */
};

/**
 * struct searched_words - with what
 * @word: goes into its registers
 * @argument: it calls poll() with
 * @times: so often
 */
struct searched_words {
	uint64_t word, argument;
	unsigned int times;
};

/* @device: of the module, or -1. Its number here; there, it is 1. */
pid_t searched_start(int device);
/* Returns as it waits, or, if that is the order, spins. */
void searched_tell(enum searched_order order, const struct searched_words *words);
/* It spins no longer, and waits. */
void searched_rest(void);
/* It is ended, and not yet gone. */
void searched_kill(void);
/* Random; as poll() takes it: no descriptor, and nothing returned. */
uint64_t searched_new_word(void);

#endif /* LETHE_PROBES_SEARCHED_H */
