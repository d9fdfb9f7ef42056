/* SPDX-License-Identifier: MIT */
/*
 * Children that put a secret somewhere, tell its needle, and stay.
 *
 * Each function is a forked child's whole life. The secret is random, made in
 * the very place that it is named for, and known to nobody else.
 */
#ifndef RESIDUE_PLANTS_H
#define RESIDUE_PLANTS_H

#include <stdint.h>

#define PLANT_SIZE 32

/* A page that parent and child both see. */
struct shared {
	volatile uint32_t ready;
};

extern struct shared *shared;
extern int pipe_ends[2]; /* needles come out of the first */

void plant_on_stack(void);
void plant_on_dead_stack(void);
void plant_on_thread_stack(void);
void plant_on_heap(void);
/* The shortest there is, and by chance like a line of text that somebody typed. */
void plant_line_on_heap(void);
void plant_in_library_bss(void);
void plant_in_library_data(void);
void plant_in_closed_pages(void);
void plant_in_locked_pages(void);
void plant_in_secret_pages(void);
/* In a register and, by then, nowhere else. */
void plant_in_vector_register(void);
void plant_in_general_register(void);

/* On the heap; and the one thread waits for another program, and cannot be stopped. */
void plant_behind_vfork(void);
/* Says that it is ready, and sleeps. */
_Noreturn void plant_rest(void);

#endif /* RESIDUE_PLANTS_H */
