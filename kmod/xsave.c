// SPDX-License-Identifier: GPL-2.0-only
/*
 * What lies where in a task's XSAVE area, as the processor says. There is no
 * list of components here: whatever the next processor adds is in it.
 *
 * A component in its initial state is not written when registers are saved, and
 * its part of the area not read when they are loaded. So what was there before
 * stays there, and can be erased at any time.
 */
#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/thread_info.h>

#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "xsave.h"

#define LEAF		0xd	/* of CPUID: the components */
#define FIRST		2	/* of those described there: x87 and SSE are not */
#define LAST		62	/* bit 63 is no component */
#define ALIGNED		BIT(1)	/* in the compacted format, to 64 bytes */
#define X87_INITIAL	0x37f	/* its control word */

/* All that there are; asked once, as a hypervisor may make that slow. */
static struct {
	u32 size;
	u32 offset;	/* in the standard format */
	bool aligned;
} components[LAST + 1] __ro_after_init;

static bool known __ro_after_init;

/* Which of them the area has, beside x87 and SSE. */
static u64 described(const struct fpstate *fpstate)
{
	u64 compacted = fpstate->regs.xsave.header.xcomp_bv;

	if (!(compacted & XCOMP_BV_COMPACTED_FORMAT))
		compacted = fpstate->xfeatures;
	return compacted & GENMASK_ULL(LAST, FIRST);
}

/*
 * Where component @i begins; @end is where the one before it does, and becomes
 * where this one does.
 */
static u32 place(const struct fpstate *fpstate, int i, u32 *end)
{
	u32 at = components[i].offset;

	if (fpstate->regs.xsave.header.xcomp_bv & XCOMP_BV_COMPACTED_FORMAT)
		at = components[i].aligned ? ALIGN(*end, 64) : *end;
	*end = at + components[i].size;
	return at;
}

/* Is the area what the processor says it should be? */
static bool fits(const struct fpstate *fpstate)
{
	unsigned long left = described(fpstate);
	u32 end = sizeof(struct xregs_state);
	int i;

	for_each_set_bit(i, &left, LAST + 1) {
		place(fpstate, i, &end);
		if (!components[i].size || end > fpstate->size)
			return false;
	}
	return true;
}

/**
 * lethe_xsave_init() - ask the processor
 */
void __init lethe_xsave_init(void)
{
	u32 eax, ebx, ecx, edx;
	u64 all;
	int i;

	/* Without XSAVE everything is written, each time. */
	if (!boot_cpu_has(X86_FEATURE_XSAVE)) {
		known = true;
		return;
	}

	cpuid_count(LEAF, 0, &eax, &ebx, &ecx, &edx);
	all = (u64)edx << 32 | eax;
	cpuid_count(LEAF, 1, &eax, &ebx, &ecx, &edx);
	all |= (u64)edx << 32 | ecx;

	for (i = FIRST; i <= LAST; i++) {
		if (!(all & BIT_ULL(i)))
			continue;
		cpuid_count(LEAF, i, &eax, &ebx, &ecx, &edx);
		components[i].size = eax;
		components[i].offset = ebx;
		components[i].aligned = ecx & ALIGNED;
	}
	known = fits(lethe_fpstate(current));
}

/**
 * lethe_xsave_known() - is it understood?
 *
 * Return: that.
 */
bool lethe_xsave_known(void)
{
	return known;
}

/*
 * As the kernel saves, to the same area: an instruction may leave out what has
 * not changed since it was loaded from there.
 */
static void save(struct fpstate *fpstate)
{
	struct xregs_state *xsave = &fpstate->regs.xsave;
	u32 high = fpstate->xfeatures >> 32;
	u32 low = fpstate->xfeatures;

	if (!(xsave->header.xcomp_bv & XCOMP_BV_COMPACTED_FORMAT)) {
		if (boot_cpu_has(X86_FEATURE_XSAVEOPT))
			asm volatile("xsaveopt64 %0" : "+m" (*xsave)
				     : "a" (low), "d" (high) : "memory");
		else
			asm volatile("xsave64 %0" : "+m" (*xsave)
				     : "a" (low), "d" (high) : "memory");
	} else if (boot_cpu_has(X86_FEATURE_XSAVES)) {
		asm volatile("xsaves64 %0" : "+m" (*xsave)
			     : "a" (low), "d" (high) : "memory");
	} else {
		asm volatile("xsavec64 %0" : "+m" (*xsave)
			     : "a" (low), "d" (high) : "memory");
	}
}

static void wipe_x87(struct fxregs_state *fx)
{
	/* As it is in the initial state, which is what it stands for. */
	fx->cwd = X87_INITIAL;
	fx->swd = 0;
	fx->twd = 0;
	fx->fop = 0;
	fx->rip = 0;
	fx->rdp = 0;
	memzero_explicit(fx->st_space, sizeof(fx->st_space));
}

/*
 * All components in their initial state. Every other was just written, so that
 * what is in the area is what is in the registers.
 */
static void wipe_initial(struct fpstate *fpstate)
{
	struct xregs_state *xsave = &fpstate->regs.xsave;
	unsigned long left = described(fpstate);
	u32 end = sizeof(*xsave);
	u64 written;
	u32 at;
	int i;

	written = xsave->header.xfeatures;
	if (!(written & XFEATURE_MASK_FP))
		wipe_x87(&xsave->i387);
	/* MXCSR is not of a component alone, and is always written. */
	if (!(written & XFEATURE_MASK_SSE))
		memzero_explicit(xsave->i387.xmm_space,
				 sizeof(xsave->i387.xmm_space));

	for_each_set_bit(i, &left, LAST + 1) {
		at = place(fpstate, i, &end);
		if (!(written & BIT_ULL(i)))
			memzero_explicit((void *)xsave + at,
					 components[i].size);
	}
}

/**
 * lethe_xsave_wipe_stale() - erase what the caller's registers no longer hold
 *
 * What they do hold stays in them, or, where they are to be loaded before its
 * program goes on, in the area.
 */
void lethe_xsave_wipe_stale(void)
{
	struct fpstate *fpstate = lethe_fpstate(current);

	if (!boot_cpu_has(X86_FEATURE_XSAVE)) {
		kernel_fpu_begin();
		kernel_fpu_end();
		return;
	}

	/* Whoever saves or loads them meanwhile would undo it. */
	fpregs_lock();
	if (!test_thread_flag(TIF_NEED_FPU_LOAD))
		save(fpstate);
	wipe_initial(fpstate);
	fpregs_unlock();
}

/**
 * lethe_xsave_wipe_stopped() - the same of a task that is stopped
 * @task: which does not run its program before this returns, or never again
 *
 * Its registers were saved as it was switched away from. Killed, it may run in the
 * kernel meanwhile, and need not save them once more.
 */
void lethe_xsave_wipe_stopped(struct task_struct *task)
{
	/* It said that it is stopped a moment before it was. */
	while (lethe_task_on_cpu(task) && task_is_traced(task))
		cond_resched();
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		wipe_initial(lethe_fpstate(task));
}
