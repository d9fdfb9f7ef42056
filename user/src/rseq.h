/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A sign that the kernel had to do with this thread, for the price of a store and
 * a load: the pointer to a restartable sequence, which the kernel clears when it
 * preempts the thread, moves it, or delivers a signal to it, unless the thread is
 * inside that sequence; and nobody is ever inside this one. Not a sign of every
 * copy of the registers that the kernel makes: see LETHE_FAST in lethe.h.
 */
#ifndef LETHE_RSEQ_H
#define LETHE_RSEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libc's, from 2.35 on. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* section_x86_64.S */
extern const char rseq_never[] __attribute__((visibility("hidden")));

/* The kernel's struct rseq, as far as it matters here. */
struct rseq_area {
	uint32_t cpu_id_start;
	int32_t cpu_id; /* negative: not registered */
	uint64_t rseq_cs;
};

static inline volatile struct rseq_area *rseq_area(void)
{
	char *thread;

	if (!&__rseq_size || !__rseq_size)
		return NULL;
	__asm__("movq %%fs:0, %0" : "=r"(thread));
	return (volatile struct rseq_area *)(thread + __rseq_offset);
}

static inline void rseq_arm(void)
{
	volatile struct rseq_area *area = rseq_area();

	if (area)
		area->rseq_cs = (uintptr_t)rseq_never;
}

/* Was there no sign since rseq_arm()? False where there can be none. */
static inline bool rseq_kept(void)
{
	volatile struct rseq_area *area = rseq_area();
	bool kept;

	if (!area || area->cpu_id < 0)
		return false;
	kept = area->rseq_cs == (uintptr_t)rseq_never;
	if (kept)
		area->rseq_cs = 0;
	return kept;
}

#endif /* LETHE_RSEQ_H */
