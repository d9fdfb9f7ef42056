/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the tools that watch a program's memory have to be told, so that they find
 * its mistakes inside a section as they do outside, and none of ours: ASan (with
 * LSan) and Valgrind. TSan and UBSan need nothing. Whether a tool is there is found
 * out as the program runs: one library serves programs with and without, at the
 * cost of one test in either direction. Never does anything for whoever has no tool.
 */
#ifndef LETHE_TOOLS_H
#define LETHE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack;

#define TOOLS_UNKNOWN 0
#define TOOLS_NONE 1
#define TOOLS_ASAN (1U << 1)
#define TOOLS_VALGRIND (1U << 2)

extern uint8_t tools_here __attribute__((visibility("hidden")));

/* tools.c: what to do where there is one. */
void tools_reserved_slow(void *start, size_t size);
void tools_stack_new_slow(struct stack *stack);
void tools_stack_gone_slow(struct stack *stack);
void tools_enter_slow(const struct stack *stack);
void tools_leave_slow(bool jumped);
void tools_thread_gone_slow(void);
void tools_look_slow(const void *start, size_t size);

/*
 * Is it Valgrind that runs the signal handlers? It takes an alternate stack that was
 * given up for one that is still there, and a fork's child has ours no more. At any time.
 */
bool tools_run_handlers(void);

static inline bool tools_none(void)
{
	return __builtin_expect(tools_here == TOOLS_NONE, 1);
}

/* All secret memory lies there. Before the others: it looks for the tools. */
static inline void tools_reserved(void *start, size_t size)
{
	tools_reserved_slow(start, size);
}

static inline void tools_stack_new(struct stack *stack)
{
	if (!tools_none())
		tools_stack_new_slow(stack);
}

static inline void tools_stack_gone(struct stack *stack)
{
	if (!tools_none())
		tools_stack_gone_slow(stack);
}

/* Before the stack is switched to. */
static inline void tools_enter(const struct stack *stack)
{
	if (!tools_none())
		tools_enter_slow(stack);
}

/* After it was left; @jumped: by a longjmp(), of which nobody has told. */
static inline void tools_leave(bool jumped)
{
	if (!tools_none())
		tools_leave_slow(jumped);
}

/* Outside of any section. */
static inline void tools_thread_gone(void)
{
	if (!tools_none())
		tools_thread_gone_slow();
}

/* Of any stack: what is dead there is about to be read, or wiped, on purpose. */
static inline void tools_look(const void *start, size_t size)
{
	if (!tools_none())
		tools_look_slow(start, size);
}

#endif /* LETHE_TOOLS_H */
