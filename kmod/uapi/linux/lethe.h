/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The door to lethe.ko: what /dev/lethe understands.
 *
 * This header is the ABI and its manual, for the module, for C11 and C++17
 * programs and for BPF programs alike. It never holds a pointer, a long or
 * anything else whose size depends on who compiles it.
 *
 * Every call takes the address of one structure whose first member is that
 * structure's size as the caller knows it, as clone3(2) and openat2(2) do:
 *
 *   - a structure shorter than its first published form is EINVAL;
 *   - a longer one whose unknown tail is all zero is accepted, and the tail is
 *     left alone;
 *   - a longer one with anything else in its tail, or longer than a page, is
 *     E2BIG;
 *   - an unknown flag or a reserved member that is not zero is EINVAL.
 *
 * The size bits of a command's number are not looked at, so a program built
 * with a later header runs on an earlier module as long as it asks for nothing
 * that the module does not know.
 */
#ifndef _UAPI_LINUX_LETHE_H
#define _UAPI_LINUX_LETHE_H

#ifndef __VMLINUX_H__
#include <linux/ioctl.h>
#include <linux/types.h>
#endif

/* The ABI's version: raised when a structure or a code is added. */
#define LETHE_ABI_VERSION	4

#define LETHE_DEVICE		"/dev/lethe"

/**
 * struct lethe_create - a new region
 * @size: sizeof(struct lethe_create)
 * @flags: none are defined: zero
 * @length: bytes, more than zero; rounded up to whole pages
 *
 * LETHE_IOC_CREATE returns a close-on-exec file descriptor of a region: zeroed
 * pages that are no longer in the kernel's direct map, all of them allocated
 * already, so that no later touch can fail. Map it with mmap(MAP_SHARED), from
 * any page offset, without PROT_EXEC. A child of fork() has no mapping of it.
 * The pages are wiped in the very call that gives up the last descriptor or
 * mapping, whichever way the process ends.
 *
 * Before the machine hibernates (unless the module was told hibernate=veto: then
 * hibernation is EBUSY instead while there is a region), before an image is
 * loaded, and before a restart, every region is revoked. From then on:
 *
 *   - a touch of any mapping of it is SIGBUS, and EFAULT for a system call: it
 *     never shows other bytes than those that were there, nor zeros;
 *   - poll(2) says POLLHUP and POLLERR, without being asked for either, and
 *     wakes who waits: the pages have been wiped by then. At other times a
 *     region is never ready;
 *   - mmap(2) of it is ESTALE;
 *   - its memory and its charge have been given back.
 *
 * It stays so, whether the hibernation succeeds or not. LETHE_IOC_CREATE waits
 * from the beginning of a hibernation to its end, when the machine has resumed,
 * and then goes on; a signal whose handler does not restart calls ends that
 * with EINTR.
 *
 * Errors: EINVAL (length zero, a flag), E2BIG (a tail; a length past what a
 * file can have), ENOMEM (RLIMIT_MEMLOCK without CAP_IPC_LOCK, the memory
 * cgroup, or no memory), EMFILE and ENFILE as for open(2), EINTR.
 */
struct lethe_create {
	__u32 size;
	__u32 flags;
	__u64 length;
};

/* What LETHE_IOC_WIPE wipes: one of these, or several, in this order. */
#define LETHE_WIPE_RANGE	(1U << 0)	/* [start, start + length) */
#define LETHE_WIPE_REGISTERS	(1U << 1)	/* the register residue: last */
#define LETHE_WIPE_DEAD_STACK	(1U << 2)	/* below the stack pointer */
#define LETHE_WIPE_SIGSTACK	(1U << 3)	/* the alternate signal stack */

/**
 * struct lethe_wipe - wipe a part of a task
 * @size: sizeof(struct lethe_wipe)
 * @flags: LETHE_WIPE_*
 * @tid: whose, as the caller sees threads' numbers; 0 is the caller
 * @reserved: zero
 * @start: first byte of the range; need not be aligned
 * @length: its bytes; zero is EINVAL. Without LETHE_WIPE_RANGE, both are zero
 * @wiped: returns the bytes that were zeroed, also when the call fails half-way,
 *	as do the next two. What was zero is not counted, if it was left alone
 * @skipped: returns the bytes that are in memory and were left as they are, since
 *	the task could not write them itself, or must not (since version 4, as
 *	what follows)
 * @dropped: returns the bytes that were swapped out and are given up: zero from
 *	now on, and never read back
 *
 * The task is the caller, a thread of the same process, or one that the caller
 * traces and has stopped: see ptrace(2). Of whoever else there is or is not, the
 * call says ESRCH.
 *
 * LETHE_WIPE_RANGE zeroes what is resident of the range and populates nothing:
 * a page that was never touched stays untouched, one that is all zero and shared
 * by copy-on-write stays shared, a huge page stays huge. Pages of private anonymous
 * memory that are swapped out as a whole are dropped; what is swapped out of
 * another kind, or in part of the range alone, is read back and zeroed. (Dropping
 * is as in madvise(MADV_DONTNEED): neither the swap device nor a copy that the
 * kernel keeps of the page while it is written there is wiped.) Bytes that the
 * task could not write itself (read-only, PROT_NONE) and those of a shared mapping
 * of a file on a disk, which would be zeroed there, are skipped.
 *
 * LETHE_WIPE_DEAD_STACK (since version 4) does the same from the task's stack
 * pointer, less the 128 bytes below it that the psABI gives to functions, down to
 * the start of the mapping that the stack pointer is in, or to the first guard page
 * (MADV_GUARD_INSTALL) on the way, or, on the alternate signal stack, to its start.
 * So a stack that is a part of a larger mapping, with something else below it, is
 * for LETHE_WIPE_RANGE.
 *
 * LETHE_WIPE_SIGSTACK (since version 4) does it to the alternate signal stack that
 * the task has installed, if any; EBUSY while that is in use.
 *
 * LETHE_WIPE_REGISTERS (since version 3) erases what the kernel keeps of values
 * that the task's registers had and have no more: in the area they are saved
 * to, in each component that the processor has; on its kernel stack, all that no
 * frame of this very call lies on; and where the CPU that it is on pushes them at
 * an interrupt. So zero the registers first, and then call. What they do hold
 * stays what it is. Out of its reach are the gap that the kernel leaves in this
 * call's frames if booted with randomize_kstack_offset (up to 1 KiB of the
 * stack, a different one each time), and the registers as they were when the
 * task was last interrupted on another CPU, until that is interrupted in a
 * program again.
 *
 * Of another thread of the process, LETHE_WIPE_RANGE is the same memory. All else
 * is done by that thread itself on its way back to its program, so that it cannot
 * run there meanwhile. It is made to come: a system call in which it sleeps is
 * interrupted as by a signal that nobody handles, and so begun again, but for those
 * that are not (see signal(7)), which return EINTR. The caller waits for it, and
 * gets EAGAIN where it does not come: in a sleep that signals do not end, waiting
 * for its vfork(2) child, or in this very call for the caller.
 *
 * A tracee that is not stopped is EAGAIN. All is done while it is, but that its
 * kernel stack is wiped by itself as it goes on, before its program does, or ends.
 *
 * Errors: EINVAL (no flag, an unknown one, length zero, the end wraps round),
 * EFAULT (the range reaches past user space, or the structure cannot be read),
 * ESRCH (no such task, none that the caller may wipe, or one that is ending),
 * EAGAIN and EBUSY (see above), EINTR (killed), ENOMEM,
 * EOPNOTSUPP (LETHE_WIPE_REGISTERS where the processor's areas are not
 * understood, and there is no LETHE_FEATURE_WIPE_REGISTERS; nothing is wiped),
 * E2BIG.
 */
struct lethe_wipe {
	__u32 size;
	__u32 flags;
	__s32 tid;
	__u32 reserved;
	__u64 start;
	__u64 length;
	__u64 wiped;
	__u64 skipped;
	__u64 dropped;
};

/* lethe_query.flags */
#define LETHE_QUERY_FRAMES	(1U << 0)	/* fill @frames; CAP_SYS_ADMIN */
#define LETHE_QUERY_REGION	(1U << 1)	/* of the region @fd alone */
#define LETHE_QUERY_HOLDERS	(1U << 2)	/* fill @holders; CAP_SYS_ADMIN */

/* lethe_query.features: what this module, on this machine, does */
#define LETHE_FEATURE_REGIONS	(1ULL << 0)	/* LETHE_IOC_CREATE */
#define LETHE_FEATURE_WIPE_RANGE (1ULL << 1)	/* LETHE_WIPE_RANGE, the caller */
#define LETHE_FEATURE_WIPE_REGISTERS (1ULL << 2) /* LETHE_WIPE_REGISTERS, likewise */
#define LETHE_FEATURE_WIPE_STACKS (1ULL << 3)	/* _DEAD_STACK and _SIGSTACK */
#define LETHE_FEATURE_WIPE_OTHERS (1ULL << 4)	/* a tid that is not the caller's */
#define LETHE_FEATURE_URING	(1ULL << 5)	/* struct lethe_uring_cmd */
#define LETHE_FEATURE_HOLDERS (1ULL << 6)	/* LETHE_QUERY_HOLDERS */

/**
 * struct lethe_holder - what one process holds (since version 4)
 * @pid: the process, in the caller's pid namespace; 0 where it has no number
 *	there, or is gone
 * @regions: how many regions it made that are alive
 * @bytes: of their pages
 * @command: its name when it made the newest of these, as in /proc/pid/comm; ends
 *	with a zero
 *
 * A region is held by the process that made it: that one pays for it, and no
 * other. It stays so when the descriptor is passed on, inherited by a child, or kept
 * over execve(2), and when the process has ended while others still have the
 * region: then @pid is 0, and @command is all that is known. What was revoked is
 * held by nobody.
 */
struct lethe_holder {
	__s32 pid;
	__u32 regions;
	__u64 bytes;
	__u8 command[16];
};

/**
 * struct lethe_query - what the module is and holds
 * @size: sizeof(struct lethe_query)
 * @flags: zero; LETHE_QUERY_FRAMES with or without LETHE_QUERY_REGION;
 *	LETHE_QUERY_HOLDERS; or both
 * @version: returns LETHE_ABI_VERSION of the module
 * @page_size: returns the bytes of a page, and of a frame
 * @features: returns LETHE_FEATURE_* bits
 * @blocks: returns the whole blocks that are out of the direct map now
 * @block_size: returns the bytes of a block
 * @pages_used: returns the pages in regions now
 * @pages_free: returns the pages out of the direct map that are in no region
 * @regions: returns the regions alive now; not those that were revoked
 * @fd: with LETHE_QUERY_REGION, a descriptor that LETHE_IOC_CREATE returned
 * @nr_frames: with LETHE_QUERY_FRAMES, how many numbers @frames has room for;
 *	returns how many there are, which may be more than were written
 * @frames: address of an array of __u64 frame numbers
 * @pages_small: returns how many of the pages used and free are not in whole
 *	blocks, since memory was in pieces (since version 2, as all below)
 * @splits: returns how many larger entries of the direct map were split to
 *	4 KiB for such pages since the module was loaded
 * @max_blocks: returns how many blocks, or as many pages in pieces, may be out
 *	at once; 0 is no limit
 * @keep_blocks: returns how many blocks stay out while they are wholly free
 * @holders: with LETHE_QUERY_HOLDERS, address of an array of struct lethe_holder,
 *	one for each process that holds a region, those that hold most first (since
 *	version 4, as what follows)
 * @nr_holders: how many the array has room for; returns how many there are, which
 *	may be more than were written
 * @holder_size: sizeof(struct lethe_holder): how far apart they are. What a later
 *	caller knows more than the module is zeroed
 *
 * The holders are those of one moment; regions that are made while it is being
 * asked may be left out.
 *
 * Errors: EINVAL (flags; LETHE_QUERY_REGION without frames; @holder_size of less
 * than 32), EPERM (frames or holders without CAP_SYS_ADMIN in the first user
 * namespace), EBADF (@fd is not open, or not a region), EFAULT, E2BIG (a tail; a
 * @holder_size of more than a page), ENOMEM.
 */
struct lethe_query {
	__u32 size;
	__u32 flags;
	__u32 version;
	__u32 page_size;
	__u64 features;
	__u64 blocks;
	__u64 block_size;
	__u64 pages_used;
	__u64 pages_free;
	__u64 regions;
	__s32 fd;
	__u32 nr_frames;
	__u64 frames;
	__u64 pages_small;
	__u64 splits;
	__u64 max_blocks;
	__u64 keep_blocks;
	__u64 holders;
	__u32 nr_holders;
	__u32 holder_size;
};

/*
 * A magic number of our own, far from the VFS's: a bare 1 or 2 is answered
 * there (FIBMAP, FIGETBSZ) before a driver sees it.
 */
#define LETHE_IOC_MAGIC		0xb7
#define LETHE_IOC_CREATE	_IOWR(LETHE_IOC_MAGIC, 0x10, struct lethe_create)
#define LETHE_IOC_WIPE		_IOWR(LETHE_IOC_MAGIC, 0x11, struct lethe_wipe)
#define LETHE_IOC_QUERY		_IOWR(LETHE_IOC_MAGIC, 0x12, struct lethe_query)

/**
 * struct lethe_uring_cmd - the same calls by io_uring (LETHE_FEATURE_URING)
 * @args: address of the structure that the code takes
 * @reserved: zero
 *
 * This stands in the 16 bytes @cmd of a submission entry whose opcode is
 * IORING_OP_URING_CMD, @fd a descriptor of the device, or a registered one, and
 * @cmd_op one of the codes above; lethe_uring.h prepares it. What the ioctl returns
 * is the completion's @res. The structure is read, and written to, as the command
 * runs: it stays where it is until the completion is there.
 *
 * A command runs in the task that submits it, and is that task's: the addresses,
 * the limits and the registers are those of whoever calls io_uring_enter(2), also
 * on a ring that came by fork(2), or that another process or thread made.
 * Capabilities are those of the entry's personality, where it has one.
 *
 * It runs within io_uring_enter(2), with what was submitted before it done or
 * begun; behind a link, as soon as the task itself is about to run again, in the
 * kernel, after what it is linked to. It is never handed to another thread. What
 * cannot run so is EOPNOTSUPP, and has done nothing:
 *
 *   - an entry with IOSQE_ASYNC, which is for a worker thread; one with
 *     IOSQE_IO_DRAIN, and any that is submitted while such a one waits, where the
 *     kernel gives these to a worker (6.1 does not);
 *   - any on a ring with IORING_SETUP_SQPOLL, or, where the kernel has no commands
 *     on such a one (7.3 has), with IORING_SETUP_IOPOLL;
 *   - LETHE_IOC_WIPE with a @tid that is neither zero nor the submitter's own.
 *
 * Nor does it wait: LETHE_IOC_CREATE during a hibernation is EBUSY. A task that
 * ends, or execs, does not run what it has still queued; nor does one that closes
 * the ring.
 *
 * On a ring with IORING_SETUP_SQE128 the other 64 bytes of the entry are not looked
 * at, and with IORING_SETUP_CQE32 those of the completion are zero.
 *
 * Errors: those of the code; ENOTTY (none of the codes), EINVAL (@reserved),
 * EOPNOTSUPP and EBUSY (see above).
 */
struct lethe_uring_cmd {
	__u64 args;
	__u64 reserved;
};

#endif /* _UAPI_LINUX_LETHE_H */
