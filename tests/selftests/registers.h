/* SPDX-License-Identifier: MIT */
/*
 * Every register that a function may leave anything in, as it was right after a
 * call. For the tests that ask what is left there.
 */
#ifndef TESTS_REGISTERS_H
#define TESTS_REGISTERS_H

#define HAVE_SSE 0
#define HAVE_AVX 1
#define HAVE_AVX512 2

#define REGISTERS_XSAVE 128
/* XCR0's bits: x87, SSE, AVX, and AVX-512's three. */
#define REGISTERS_COMPONENTS 0xe7

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct registers {
	uint64_t general[9]; /* rax rcx rdx rsi rdi r8 r9 r10 r11 */
	uint32_t mxcsr;
	uint16_t x87_control;
	/* Zero before: what the processor leaves out is in its initial state. */
	uint8_t xsave[4096] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

#ifndef __cplusplus
_Static_assert(offsetof(struct registers, xsave) == REGISTERS_XSAVE,
	       "the assembler's offset");
#endif

/* A kind of register: where it lies in xsave, and how wide one is there. */
struct register_class {
	const char *name;
	size_t offset;
	size_t stride;
	size_t width;
	unsigned int count;
	int needs; /* HAVE_... */
};

/* Ends with a name of NULL. Offsets are there after registers_look(). */
extern struct register_class register_classes[];
extern uint32_t registers_have;

void registers_look(void);
void registers_fill(void *pattern);
void registers_after(void (*fn)(void *), void *arg, struct registers *out);

/* How many registers of a class hold the eight bytes anywhere. */
unsigned int registers_holding(const struct registers *, const struct register_class *,
			       uint64_t pattern);
unsigned int general_holding(const struct registers *, uint64_t pattern);

#endif /* __ASSEMBLER__ */
#endif /* TESTS_REGISTERS_H */
