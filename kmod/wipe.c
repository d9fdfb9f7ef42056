// SPDX-License-Identifier: GPL-2.0-only
/*
 * LETHE_IOC_WIPE: zeroes what is resident of a range of the caller's, with the
 * caller's own rights, and populates nothing; and has its register residue wiped
 * elsewhere. It holds no lock while it writes, and never copies a byte of what it
 * wipes to anywhere, the kernel's stack included.
 */
#include <linux/errno.h>
#include <linux/lethe.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kstack.h"
#include "resident.h"
#include "wipe.h"
#include "xsave.h"

#define WIPE_FLAGS	(LETHE_WIPE_RANGE | LETHE_WIPE_REGISTERS)

/* Between two looks for a signal and for somebody else's turn. */
#define WIPE_STRIDE	PMD_SIZE

/*
 * Is every byte of this part of a page zero? False also where that cannot be
 * read without a fault. The bytes pass through a register alone.
 */
static bool reads_zero(unsigned long addr, unsigned long end)
{
	const u64 __user *word;
	const u8 __user *byte;
	u64 seen = 0;
	u64 part;
	u8 one;

	pagefault_disable();
	if (!user_read_access_begin((void __user *)addr, end - addr))
		goto out;
	while (addr < end && !seen) {
		if (IS_ALIGNED(addr, sizeof(part)) &&
		    end - addr >= sizeof(part)) {
			word = (const u64 __user *)addr;
			unsafe_get_user(part, word, fault);
			seen = part;
			addr += sizeof(part);
		} else {
			byte = (const u8 __user *)addr;
			unsafe_get_user(one, byte, fault);
			seen = one;
			addr += sizeof(one);
		}
	}
	user_read_access_end();
	pagefault_enable();
	return !seen;

fault:
	user_read_access_end();
out:
	pagefault_enable();
	return false;
}

/*
 * The part of one page that lies below @end, by a fault if need be. Copy-on-write
 * that holds nothing is left shared. Where the caller may not write, neither
 * do we: that fails and is passed over. Returns the bytes zeroed.
 */
static unsigned long wipe_guarded(unsigned long addr, unsigned long end)
{
	end = min(end, (addr & PAGE_MASK) + PAGE_SIZE);
	if (reads_zero(addr, end))
		return 0;
	return end - addr - clear_user((void __user *)addr, end - addr);
}

/*
 * Pages that can be written to as they are, unless that changed just now: so
 * without faults, which would bring back a page that has gone meanwhile.
 * Returns the bytes zeroed.
 */
static unsigned long wipe_writable(unsigned long addr, unsigned long end)
{
	unsigned long left;

	pagefault_disable();
	left = clear_user((void __user *)addr, end - addr);
	pagefault_enable();
	return end - addr - left;
}

/* Wipes from @addr on; returns how far it came, which is past @addr. */
static unsigned long wipe_step(unsigned long addr, unsigned long end,
			       u64 *wiped)
{
	unsigned long next, done;

	switch (lethe_resident_run(addr, end, &next)) {
	case LETHE_ABSENT:
		return next;
	case LETHE_WRITABLE:
		done = wipe_writable(addr, min(next, addr + WIPE_STRIDE));
		*wiped += done;
		if (done)
			return addr + done;
		/* An old TLB entry, a protection key, or gone: ask properly. */
		fallthrough;
	case LETHE_GUARDED:
		*wiped += wipe_guarded(addr, end);
		return min(end, (addr & PAGE_MASK) + PAGE_SIZE);
	}
	return end;
}

static int wipe_range(struct lethe_wipe *args)
{
	unsigned long addr = args->start;
	unsigned long end = addr + args->length;

	while (addr < end) {
		if (fatal_signal_pending(current))
			return -EINTR;
		addr = wipe_step(addr, end, &args->wiped);
		cond_resched();
	}
	return 0;
}

static int check_range(const struct lethe_wipe *args)
{
	if (!(args->flags & LETHE_WIPE_RANGE))
		return args->start || args->length ? -EINVAL : 0;
	if (!args->length || args->start + args->length < args->start)
		return -EINVAL;
	if (args->start + args->length > TASK_SIZE_MAX)
		return -EFAULT;
	return 0;
}

/**
 * lethe_wipe_check() - may this be done, and does it mean anything?
 * @args: as the caller gave it
 *
 * Return: 0, or -errno as LETHE_IOC_WIPE has it.
 */
int lethe_wipe_check(const struct lethe_wipe *args)
{
	int err;

	if (!args->flags || args->flags & ~WIPE_FLAGS || args->reserved)
		return -EINVAL;
	if (args->tid && args->tid != task_pid_vnr(current))
		return -ESRCH;
	err = check_range(args);
	if (err)
		return err;
	if (args->flags & LETHE_WIPE_REGISTERS && !lethe_xsave_known())
		return -EOPNOTSUPP;
	return 0;
}

/**
 * lethe_wipe_run() - wipe what lethe_wipe_check() let pass
 * @args: @wiped is set, also when this fails
 *
 * Return: 0, or -EINTR where the caller was killed.
 */
int lethe_wipe_run(struct lethe_wipe *args)
{
	int err;

	args->wiped = 0;
	if (args->flags & LETHE_WIPE_RANGE) {
		err = wipe_range(args);
		if (err)
			return err;
	}
	/* Last, since whatever runs in the kernel may leave something. */
	if (args->flags & LETHE_WIPE_REGISTERS) {
		lethe_xsave_wipe_stale();
		lethe_kstack_wipe();
	}
	return 0;
}
