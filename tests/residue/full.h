/* SPDX-License-Identifier: MIT */
/*
 * Code under test that has a secret in every register that there is, at a moment
 * that is known: in a system call, or on the processor in user space. Erases
 * nothing; that is for who calls it.
 */
#ifndef RESIDUE_FULL_H
#define RESIDUE_FULL_H

/* full_call, for the assembler. */
#define FULL_NUMBER 0
#define FULL_ARGUMENT(n) (8 + 8 * (n))

#ifndef __ASSEMBLER__

#include <stdint.h>

/* The system call that full_in_call() is in. */
struct full_call {
	long number;
	long arguments[3];
};
extern struct full_call full_call;

/* full_on_processor() ends when this is not zero. */
extern volatile int full_end;

/*
 * Both: registers_fill(), and then the eight bytes in every other general register
 * that is free. In a system call: rbx, rbp, r8 to r10 and r12 to r15 are.
 */
void full_in_call(void *pattern);
void full_on_processor(void *pattern);

#define FULL_IN_CALL_GENERAL 9
#define FULL_ON_PROCESSOR_GENERAL 15

#endif /* __ASSEMBLER__ */
#endif /* RESIDUE_FULL_H */
