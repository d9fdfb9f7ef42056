/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has of a thread's registers, counted: the answer of bpf/'s probe,
 * by the components of the processor's state. For no other thread than those of
 * this process.
 */
#ifndef RESIDUE_KERNEL_COPIES_H
#define RESIDUE_KERNEL_COPIES_H

#include <stdbool.h>
#include <stdint.h>

/* As XCR0 and XSTATE_BV number them. */
enum component {
	COMPONENT_X87 = 0,
	COMPONENT_SSE = 1,
	COMPONENT_AVX = 2,
	COMPONENT_OPMASK = 5,
	COMPONENT_ZMM_HI256 = 6,
	COMPONENT_HI16_ZMM = 7,
	COMPONENT_OTHER, /* in the area, and none of those */
	NR_COMPONENTS,
};

/**
 * struct copies - places where a copy begins
 * @component: in the XSAVE area
 * @area: in all of it
 * @frame: in the registers that the last entry to the kernel saved (pt_regs)
 * @dead: in the rest of the kernel stack
 * @searched: bytes
 * @running: see struct registers_answer
 * @switches: likewise
 */
struct copies {
	unsigned int component[NR_COMPONENTS];
	unsigned int area;
	unsigned int frame;
	unsigned int dead;
	unsigned int searched;
	bool running;
	uint64_t switches;
};

/* What is searched for: registers are filled with it, and nobody else reads it. */
extern uint8_t copies_secret[8];

/* Loads the probe and makes the secret, or skips the program, or ends it. */
void copies_open(void);
/* The thread whose copies they are, from now on. */
void copies_of(int tid);
/* Ends the test if there is no answer. */
struct copies copies_look(void);
void copies_close(void);

/* There are none anywhere. */
bool copies_none(const struct copies *copies);
/* Every word of every component is there. */
bool copies_in_all(const struct copies *copies);

/* A line of the table, and the line above it; the first returns what it shows. */
struct copies copies_show(const char *when, struct copies copies);
void copies_show_head(void);

#endif /* RESIDUE_KERNEL_COPIES_H */
