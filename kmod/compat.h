/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that this module is built for, and
 * nothing else: included before all other files, so that those read as if
 * written for the newest of them. Kbuild defines LETHE_HAVE_* after looking
 * into the kernel's headers.
 */
#ifndef LETHE_COMPAT_H
#define LETHE_COMPAT_H

#include <linux/mm.h>

#ifndef LETHE_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif /* LETHE_HAVE_VM_FLAGS_SET */

/*
 * Where a mapping that one remap_pfn_range() has filled is marked, its munmap()
 * reads the first entry to find what memory type to give back, and warns if
 * a revocation has emptied it at that moment. RAM has none to give back.
 */
static inline void lethe_untrack(struct vm_area_struct *vma)
{
#ifdef VM_PAT
	vm_flags_clear(vma, VM_PAT);
#endif
}

#include <linux/shrinker.h>
#include <linux/slab.h>

typedef unsigned long (*lethe_shrink_t)(struct shrinker *shrinker,
					struct shrink_control *control);

/* Registered, or NULL where there is no memory for it. */
static inline struct shrinker *lethe_shrinker_new(const char *name,
						  lethe_shrink_t count,
						  lethe_shrink_t scan)
{
#ifdef LETHE_HAVE_SHRINKER_ALLOC
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);
#else
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
#endif

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
#ifdef LETHE_HAVE_SHRINKER_ALLOC
	shrinker_register(shrinker);
#else
	if (register_shrinker(shrinker, "%s", name)) {
		kfree(shrinker);
		return NULL;
	}
#endif
	return shrinker;
}

static inline void lethe_shrinker_free(struct shrinker *shrinker)
{
#ifdef LETHE_HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
	kfree(shrinker);
#endif
}

/* What page->memcg_data holds beside a pointer. */
#ifdef LETHE_HAVE_OBJEXTS_FLAGS_MASK
#define LETHE_MEMCG_FLAGS	OBJEXTS_FLAGS_MASK
#else
#define LETHE_MEMCG_FLAGS	MEMCG_DATA_FLAGS_MASK
#endif

/* What stands in an entry that is not present: named anew, with a header. */
#ifdef LETHE_HAVE_SOFTLEAF
#include <linux/leafops.h>
#else
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

/* Of the three, stable kernels have the first already. */
#ifndef softleaf_from_pte
#define softleaf_from_pte	pte_to_swp_entry
#endif
#define softleaf_is_migration	is_migration_entry
#define pmd_is_migration_entry	is_pmd_migration_entry
#define softleaf_is_swap(leaf)	(!non_swap_entry(leaf))
/* There is no MADV_GUARD_INSTALL. */
#define softleaf_is_guard_marker(leaf)	false
#define softleaf_t		swp_entry_t
#endif

/* Forgets the pages in a part of a mapping, in memory or not; mmap_lock held. */
static inline void lethe_zap(struct vm_area_struct *vma, unsigned long addr,
			     unsigned long size)
{
#if defined(LETHE_HAVE_ZAP_VMA_RANGE)
	zap_vma_range(vma, addr, size);
#elif defined(LETHE_HAVE_ZAP_PAGE_RANGE)
	zap_page_range(vma, addr, size);
#else
	zap_page_range_single(vma, addr, size, NULL);
#endif
}

/*
 * The user namespace in which one needs CAP_SYS_PTRACE to write to the memory of
 * a task that is not dumpable; NULL if it is. For put_user_ns().
 */
#ifdef LETHE_HAVE_EXEC_STATE
#include <linux/sched/exec_state.h>

static inline struct user_namespace *lethe_undumpable(struct task_struct *task,
						      struct mm_struct *mm)
{
	struct user_namespace *guard = NULL;
	struct task_exec_state *state;

	rcu_read_lock();
	state = rcu_dereference(task->exec_state);
	if (READ_ONCE(state->dumpable) != TASK_DUMPABLE_OWNER)
		guard = get_user_ns(state->user_ns);
	rcu_read_unlock();
	return guard;
}
#else
#include <linux/sched/coredump.h>
#include <linux/user_namespace.h>

static inline struct user_namespace *lethe_undumpable(struct task_struct *task,
						      struct mm_struct *mm)
{
	return get_dumpable(mm) == SUID_DUMP_USER ? NULL :
						    get_user_ns(mm->user_ns);
}
#endif

#include <linux/workqueue.h>

#ifdef LETHE_HAVE_SYSTEM_DFL_WQ
#define lethe_unbound_wq	system_dfl_wq
#else
#define lethe_unbound_wq	system_unbound_wq
#endif

/* Tasks that look like a process's threads, and never run its program. */
#ifdef PF_USER_WORKER
#define LETHE_PF_NO_PROGRAM	(PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)
#else
#define LETHE_PF_NO_PROGRAM	(PF_KTHREAD | PF_IO_WORKER)
#endif

/* Does it run, or is it being switched away from? */
static inline bool lethe_task_on_cpu(struct task_struct *task)
{
#ifdef CONFIG_SMP
	/* Before anything that it saved is looked at. */
	return smp_load_acquire(&task->on_cpu);
#else
	return false;
#endif
}

/*
 * Where a task's saved registers are: behind task_struct in newer ones. What
 * x86_task_fpu() is there depends on the configuration: this, or a function
 * that checks it and is not exported.
 */
#ifdef LETHE_HAVE_FPU_BEHIND_TASK
#define lethe_fpu(task)		((struct fpu *)((task) + 1))
#else
#define lethe_fpu(task)		(&(task)->thread.fpu)
#endif
#define lethe_fpstate(task)	(lethe_fpu(task)->fpstate)

/* cpuid_count(): with a header of its own, or without. */
#ifdef LETHE_HAVE_CPUID_API
#include <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

/*
 * A descriptor whose file has an inode, and so a mapping, of its own. Where the
 * kernel has a function for all of it, it exports no other.
 */
#ifdef LETHE_HAVE_ANON_INODE_CREATE_GETFILE
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>

static inline int lethe_anon_fd(const char *name,
				const struct file_operations *fops, void *private)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = anon_inode_create_getfile(name, fops, private, O_RDWR, NULL);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
#else
#include <linux/anon_inodes.h>
#include <linux/fcntl.h>

static inline int lethe_anon_fd(const char *name,
				const struct file_operations *fops, void *private)
{
	return anon_inode_getfd_secure(name, fops, private, O_RDWR | O_CLOEXEC,
				       NULL);
}
#endif /* LETHE_HAVE_ANON_INODE_CREATE_GETFILE */

/*
 * A command of io_uring: where its bytes are, which are shared with the program
 * unless the kernel copied them, and how it ends with a result that its return
 * value cannot say.
 */
#ifdef LETHE_HAVE_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

static inline const void *lethe_uring_payload(const struct io_uring_cmd *cmd)
{
#ifdef LETHE_HAVE_URING_SQE
	return cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

static inline void lethe_uring_done(struct io_uring_cmd *cmd, s32 result,
				    unsigned int issue_flags)
{
#ifdef LETHE_HAVE_URING_RES2
	io_uring_cmd_done(cmd, result, 0, issue_flags);
#else
	io_uring_cmd_done(cmd, result, issue_flags);
#endif
}

/* A probe on the tracepoint of a thread's end: newer ones say if it was the last. */
#ifdef LETHE_HAVE_THREAD_END_GROUP
#define LETHE_ON_THREAD_END(name) \
	name(void *data, struct task_struct *task, bool last)
#else
#define LETHE_ON_THREAD_END(name) \
	name(void *data, struct task_struct *task)
#endif

#endif /* LETHE_COMPAT_H */
