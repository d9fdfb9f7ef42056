// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads what the kernel keeps of a thread's user registers, its XSAVE area and its
 * kernel stack, and says where in it which of many words begin. It is run by who asks
 * (BPF_PROG_TEST_RUN), attached to nothing, and writes nothing but its answer, in
 * which there is no byte of what it read.
 */
#include "kept.bpf.h"

#include "words.h"

struct words_question question;
struct words_answer answer;

/* One bit for a hash of each word: nearly all that is read is none, and needs no more. */
__u32 filter[1 << (WORDS_FILTER_BITS - 5)];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} words SEC(".maps");

/* A piece of memory that is being searched, and the last word that was read. */
struct piece {
	const void *start;
	__u64 word;
	__u32 size;
	bool unreadable;
};

/* Eight places where a word may begin. */
struct eight {
	__u64 word, next;
	__u32 at, maybe;
};

static __always_inline __u32 in_filter(__u64 masked)
{
	__u32 hash = masked * question.key >> (64 - WORDS_FILTER_BITS);

	return filter[(hash / 32) & ((1 << (WORDS_FILTER_BITS - 5)) - 1)] >> (hash % 32) &
	       1;
}

static long look_up(__u32 i, struct eight *eight)
{
	__u64 masked = eight->word ^ question.mask;
	struct words_hit *hit;
	__u32 *id, n;

	if (!(eight->maybe >> (i & 7) & 1))
		return 0;
	if (i)
		masked = (eight->word >> (8 * i & 63) | eight->next
								<< (64 - 8 * i & 63)) ^
			 question.mask;
	id = bpf_map_lookup_elem(&words, &masked);
	if (!id)
		return 0;
	n = answer.nr_hits++;
	if (n >= WORDS_HITS)
		return 0;
	hit = &answer.hits[n & (WORDS_HITS - 1)];
	hit->at = eight->at + i;
	hit->id = *id;
	return 0;
}

/* Reads the word at @index, and judges the one before it. */
static long step(__u32 index, struct piece *piece)
{
	struct eight eight = { .word = piece->word };
	__u64 mask = question.mask;
	int i;

	if (index * sizeof(eight.next) < piece->size &&
	    bpf_probe_read_kernel(&eight.next, sizeof(eight.next),
				  piece->start + index * sizeof(eight.next))) {
		piece->unreadable = true;
		return 1;
	}
	piece->word = eight.next;
	if (!index)
		return 0;
	eight.maybe = in_filter(eight.word ^ mask);
	/* Behind the last there is none that is whole. */
	if (index * sizeof(eight.next) < piece->size) {
#pragma unroll
		for (i = 1; i < 8; i++)
			eight.maybe |= in_filter((eight.word >> 8 * i |
						  eight.next << (64 - 8 * i)) ^
						 mask)
				       << i;
	}
	if (!eight.maybe)
		return 0;
	eight.at = (index - 1) * sizeof(eight.next);
	bpf_loop(8, look_up, &eight, 0);
	return 0;
}

static __always_inline bool search(const void *start, __u32 size)
{
	struct piece piece = { .start = start, .size = size };

	/* One step more than there are words: it judges the last. */
	bpf_loop(size / sizeof(piece.word) + 1, step, &piece, 0);
	return !piece.unreadable;
}

static bool search_area(struct task_struct *task)
{
	struct fpstate *fpstate = kept_area(task);
	struct xregs_state *xsave = &fpstate->regs.xsave;
	bool whole;

	answer.area_size = BPF_CORE_READ(fpstate, size);
	answer.saved = BPF_CORE_READ(xsave, header.xfeatures);
	answer.layout = BPF_CORE_READ(xsave, header.xcomp_bv);
	whole = answer.area_size <= WORDS_AREA_MAX && search(xsave, answer.area_size);
	answer.nr_area = answer.nr_hits;
	return whole;
}

static bool search_stack(struct task_struct *task)
{
	void *stack = BPF_CORE_READ(task, stack);

	answer.stack_size = fix_stack_size(task);
	answer.stack_used = BPF_CORE_READ(task, thread.sp) - (__u64)stack;
	return answer.stack_size <= WORDS_STACK_MAX && search(stack, answer.stack_size);
}

static struct task_struct *find_thread(void)
{
	struct task_struct *task = find_task(find_namespace(true), question.tid);

	return task && kept_is_users(task) ? task : NULL;
}

/* 0: there is no such thread, or it went as it was being searched. */
SEC("raw_tp")
int words_search(void *ctx)
{
	struct task_struct *task = find_thread();

	if (!task)
		return 0;
	answer.running = fix_on_cpu(task);
	answer.switches = BPF_CORE_READ(task, nvcsw) + BPF_CORE_READ(task, nivcsw);
	answer.found = search_area(task) && search_stack(task);
	return find_thread() == task;
}

char LICENSE[] SEC("license") = "GPL";
