// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Frames of signals, found in memory by what the kernel writes into each: the
 * layout is its ABI (struct _fpx_sw_bytes, FP_XSTATE_MAGIC1 and 2). Reads the memory that it is pointed at, and nothing else.
 */
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

#include "internal.h"
#include "tools.h"

/* Where the saved registers begin, above the frame. */
#define STATE_ALIGNMENT ((uintptr_t)64)
/* What FXSAVE writes; the kernel has the end of it for its struct _fpx_sw_bytes. */
#define STATE_LEGACY_SIZE ((size_t)512)
#define STATE_SOFTWARE (STATE_LEGACY_SIZE - sizeof(struct _fpx_sw_bytes))

/* struct rt_sigframe: the handler's return address, a ucontext, a siginfo. */
#define FRAME_UCONTEXT sizeof(void *)
#define FRAME_SIZE (FRAME_UCONTEXT + KERNEL_UCONTEXT_SIZE + sizeof(siginfo_t))
/* libc's is longer: a signal set of its own, and room for more. */
#define KERNEL_UCONTEXT_SIZE (offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t))

static uint32_t word_at(const char *p)
{
	return *(const volatile uint32_t *)p;
}

/* Are these saved registers, as the kernel writes them into a signal's frame? */
static bool is_state(const char *state, const char *high)
{
	const char *software = state + STATE_SOFTWARE;
	uint32_t size;

	if ((size_t)(high - state) < STATE_LEGACY_SIZE + sizeof(uint32_t))
		return false;
	/* Word by word: a copy of what may be a secret would be on an ordinary stack. */
	if (word_at(software + offsetof(struct _fpx_sw_bytes, magic1)) !=
	    FP_XSTATE_MAGIC1)
		return false;
	size = word_at(software + offsetof(struct _fpx_sw_bytes, xstate_size));
	if (size < STATE_LEGACY_SIZE || size > (size_t)(high - state) - sizeof(uint32_t))
		return false;
	/* The kernel's size is a multiple of what a word must be aligned to. */
	return !(size % sizeof(uint32_t)) && word_at(state + size) == FP_XSTATE_MAGIC2;
}

/* Is the frame that points to them where the kernel puts it? */
static bool has_frame(const char *state, const char *low)
{
	uintptr_t frame = ((uintptr_t)state - FRAME_SIZE) / 16 * 16 - sizeof(void *);
	const ucontext_t *context;
	const void *registers;

	if (frame < (uintptr_t)low || frame > (uintptr_t)state)
		return false;
	context = (const ucontext_t *)(frame + FRAME_UCONTEXT);
	memcpy(&registers, &context->uc_mcontext.fpregs, sizeof(registers));
	return registers == state;
}

unsigned int signal_frames(const char *low, const char *high)
{
	uintptr_t first = round_up((uintptr_t)low, STATE_ALIGNMENT);
	const char *state;
	unsigned int n = 0;

	tools_look(low, (size_t)(high - low));
	for (state = (const char *)first; state < high; state += STATE_ALIGNMENT)
		n += is_state(state, high) && has_frame(state, low);
	return n;
}
