/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels, for every probe: found by what this kernel's types
 * have, never by its version. A type whose name ends in ___ and a word is another
 * kernel's form of it.
 */
#ifndef LETHE_CORE_FIXES_BPF_H
#define LETHE_CORE_FIXES_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Until 6.15: inside task_struct. */
struct thread_struct___inside {
	struct fpu fpu;
} __attribute__((preserve_access_index));

/* Since: right behind it, in the same allocation. */
static __always_inline struct fpu *fix_task_fpu(struct task_struct *task)
{
	struct thread_struct___inside *thread = (void *)&task->thread;

	if (bpf_core_field_exists(thread->fpu))
		return &thread->fpu;
	return (void *)task + bpf_core_type_size(struct task_struct);
}

/* THREAD_SIZE is no type. Where stacks are mapped page by page, those are counted. */
static __always_inline unsigned int fix_stack_size(struct task_struct *task)
{
	if (bpf_core_field_exists(task->stack_vm_area))
		return BPF_CORE_READ(task, stack_vm_area, nr_pages) * 4096;
	return 4 * 4096;
}

/* An int, or (7.3) a byte with others right behind it: read as wide as it is. */
static __always_inline bool fix_on_cpu(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED(task, on_cpu);
}

/* Until 6.17: a word, and no structure of one. */
struct page___word {
	unsigned long flags;
} __attribute__((preserve_access_index));

static __always_inline __u64 fix_page_flags(const struct page *page)
{
	const struct page___word *older = (void *)page;
	__u64 flags = 0;

	if (bpf_core_field_exists(older->flags))
		bpf_probe_read_kernel(&flags, sizeof(flags), &older->flags);
	else
		bpf_probe_read_kernel(&flags, sizeof(flags), &page->flags);
	return flags;
}

/* Until 6.5: a byte of its own. */
struct folio___order {
	unsigned char _folio_order;
} __attribute__((preserve_access_index));

static __always_inline __u64 fix_folio_pages(const struct folio *folio)
{
	const struct folio___order *older = (void *)folio;
	unsigned char order = 0;

	if (bpf_core_field_exists(older->_folio_order))
		bpf_probe_read_kernel(&order, sizeof(order), &older->_folio_order);
	else
		bpf_probe_read_kernel(&order, sizeof(order), &folio->_flags_1);
	return 1ULL << (order & 31);
}

/* The same where the verifier knows what @page is: a load, and no call. */
static __always_inline __u64 fix_known_page_flags(const struct page *page)
{
	const struct page___word *older = (void *)page;

	if (bpf_core_field_exists(older->flags))
		return older->flags;
	return *(const __u64 *)&page->flags;
}

/* Until 7.0: by another name. */
struct bvec_iter___offset {
	unsigned int bi_offset;
} __attribute__((preserve_access_index, packed));

struct bio___offset {
	struct bvec_iter___offset bi_iter;
} __attribute__((preserve_access_index));

/* What is done of the vector that @bio is at; the verifier knows it. */
static __always_inline __u32 fix_bio_done(const struct bio *bio)
{
	if (bpf_core_field_exists(bio->bi_iter.bi_bvec_done))
		return bio->bi_iter.bi_bvec_done;
	return ((const struct bio___offset *)bio)->bi_iter.bi_offset;
}

#endif /* LETHE_CORE_FIXES_BPF_H */
