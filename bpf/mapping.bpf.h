/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is there a secret mapping in a range of addresses? Of a task itself under the lock
 * of its mappings, so that the answer is right or "it is being changed"; of somebody
 * else without it, as of a moment that may just have passed.
 */
#ifndef LETHE_MAPPING_BPF_H
#define LETHE_MAPPING_BPF_H

#include "core_fixes.bpf.h"

#include "frames.h"
#include "layout.h"

#define EBUSY 16

#define VM_LOCKED 0x00002000
#define VM_DONTCOPY 0x00020000
#define VM_DONTDUMP 0x04000000
#define LOCKED_AWAY (VM_LOCKED | VM_DONTCOPY | VM_DONTDUMP)

/* A range is judged as far as that. */
#define MAPPINGS_MAX 64

const volatile struct layout layout;

static __always_inline __u32 mapping_kind(__u64 flags, __u64 f_op, __u64 a_ops)
{
	if (f_op && f_op == layout.region_fops)
		return FRAME_KMOD;
	if (a_ops && a_ops == layout.secretmem_aops)
		return FRAME_MEMFD;
	return (flags & LOCKED_AWAY) == LOCKED_AWAY ? FRAME_LOCKED : 0;
}

/**
 * struct stretch - what is looked for, and what was found
 * @mm: whose
 * @at: begin; afterwards, as far as was looked
 * @end: end
 * @found: where its first secret mapping is
 * @kind: of that; 0 is none
 * @unjudged: it could not be looked at, or not so far
 */
struct stretch {
	struct mm_struct *mm;
	__u64 at, end, found;
	__u32 kind, unjudged;
};

static __always_inline void stretch_begin(struct stretch *stretch, struct mm_struct *mm,
					  __u64 address, __u64 length)
{
	stretch->mm = mm;
	stretch->at = address;
	stretch->end = address + length < address ? -1ULL : address + length;
	stretch->found = 0;
	stretch->kind = 0;
	stretch->unjudged = false;
}

static __always_inline void stretch_pass(struct stretch *stretch, __u32 kind, __u64 end)
{
	if (kind) {
		stretch->kind = kind;
		stretch->found = stretch->at;
	}
	stretch->at = end;
}

static long judge_own_mapping(struct task_struct *task, struct vm_area_struct *vma,
			      struct stretch *stretch)
{
	struct file *file = vma->vm_file;
	__u64 f_op = 0, a_ops = 0;

	if (file) {
		f_op = (__u64)file->f_op;
		a_ops = (__u64)file->f_mapping->a_ops;
	}
	stretch_pass(stretch, mapping_kind(vma->vm_flags, f_op, a_ops), vma->vm_end);
	return 0;
}

/* One mapping. A gap ends the range: what is behind it the call does not reach. */
static long judge_own_next(__u32 index, struct stretch *stretch)
{
	long err = bpf_find_vma(bpf_get_current_task_btf(), stretch->at,
				judge_own_mapping, stretch, 0);

	stretch->unjudged = err == -EBUSY;
	return err || stretch->kind || stretch->at >= stretch->end;
}

/* Of the current task. */
static __always_inline void judge_own(struct stretch *stretch)
{
	if (bpf_loop(MAPPINGS_MAX, judge_own_next, stretch, 0) == MAPPINGS_MAX)
		stretch->unjudged = stretch->at < stretch->end && !stretch->kind;
}

/* The maple tree of mappings: nodes of up to 16 slots, and the last index of each. */
#define MAPLE_DEPTH_MAX 8
#define MAPLE_PIVOTS 15
#define MAPLE_ADDRESS_PIVOTS 9
#define MAPLE_ROOT 2ULL
#define MAPLE_NODE(entry) ((void *)((entry) & ~255ULL))
#define MAPLE_TYPE(entry) ((entry) >> 3 & 15)

/**
 * struct maple_walk - the way to an address
 * @entry: the node that it has come to; at last, what is there
 * @index: the address
 * @pivots: of that node
 * @slot: of that node, behind which the way goes on
 * @found: it has come to the end
 */
struct maple_walk {
	__u64 entry, index;
	const __u64 *pivots;
	__u32 slot, found;
};

/*
 * The slot before the first pivot that is not below the address. A pivot of zero is
 * none, and its slot the last. A loop of the program's own the verifier would follow
 * through each of its rounds, and all that comes after it once for each.
 */
static long maple_pivot(__u32 i, struct maple_walk *walk)
{
	__u64 pivot = 0;

	walk->slot = i;
	if (bpf_probe_read_kernel(&pivot, sizeof(pivot), walk->pivots + i))
		return 1;
	if (!pivot || pivot >= walk->index)
		return 1;
	walk->slot = i + 1;
	return 0;
}

static long maple_step(__u32 depth, struct maple_walk *walk)
{
	struct maple_node *node = MAPLE_NODE(walk->entry);
	__u32 type = MAPLE_TYPE(walk->entry), pivots = MAPLE_PIVOTS;
	void **slots = node->mr64.slot;

	if (type == maple_arange_64) {
		pivots = MAPLE_ADDRESS_PIVOTS;
		slots = node->ma64.slot;
	}
	walk->pivots = (const __u64 *)node->mr64.pivot;
	bpf_loop(pivots, maple_pivot, walk, 0);
	if (bpf_probe_read_kernel(&walk->entry, sizeof(walk->entry), slots + walk->slot))
		return 1;
	walk->found = type < maple_range_64;
	return walk->found || !walk->entry;
}

static __always_inline struct vm_area_struct *find_mapping(struct mm_struct *mm,
							   __u64 address)
{
	struct maple_walk walk = {
		.entry = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root),
		.index = address,
	};

	if ((walk.entry & 3) != MAPLE_ROOT)
		return NULL;
	bpf_loop(MAPLE_DEPTH_MAX, maple_step, &walk, 0);
	return walk.found ? (void *)walk.entry : NULL;
}

static long judge_next(__u32 index, struct stretch *stretch)
{
	struct vm_area_struct *vma = find_mapping(stretch->mm, stretch->at);
	__u64 f_op = 0, a_ops = 0, end;
	struct file *file;

	if (!vma)
		return 1;
	end = BPF_CORE_READ(vma, vm_end);
	if (BPF_CORE_READ(vma, vm_start) > stretch->at || end <= stretch->at)
		return 1;
	file = BPF_CORE_READ(vma, vm_file);
	if (file) {
		f_op = (__u64)BPF_CORE_READ(file, f_op);
		a_ops = (__u64)BPF_CORE_READ(file, f_mapping, a_ops);
	}
	stretch_pass(stretch, mapping_kind(BPF_CORE_READ(vma, vm_flags), f_op, a_ops),
		     end);
	return stretch->kind || stretch->at >= stretch->end;
}

/* Of whom @stretch says. */
static __always_inline void judge(struct stretch *stretch)
{
	bpf_loop(MAPPINGS_MAX, judge_next, stretch, 0);
}

#endif /* LETHE_MAPPING_BPF_H */
