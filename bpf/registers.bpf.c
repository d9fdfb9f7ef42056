// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads what the kernel keeps of a thread's user registers, its XSAVE area and its
 * kernel stack, and says where in it eight bytes are. It is run by who asks
 * (BPF_PROG_TEST_RUN), attached to nothing, and writes nothing but its answer, in
 * which there is no byte of what it read.
 */
#include "kept.bpf.h"

#include "registers.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct registers_question question;
struct registers_answer answer;

enum where { AREA, STACK };

/* A piece of memory that is being searched, and the last word that was read. */
struct piece {
	const void *start;
	__u64 word;
	__u32 size;
	enum where where;
	bool unreadable;
};

static __always_inline bool is_copy(__u64 word)
{
	return (word ^ question.mask) == question.masked;
}

/* A copy may begin at any byte: is it one of the eight of @word? */
static __always_inline bool begins_copy(__u64 word, __u64 next)
{
	bool found = is_copy(word);
	int shift;

#pragma unroll
	for (shift = 8; shift < 64; shift += 8)
		found |= is_copy(word >> shift | next << (64 - shift));
	return found;
}

/*
 * No piece is longer than its bits are for; but the verifier cannot know, hence the
 * masks.
 */
static __always_inline void note_copy(enum where where, __u32 word)
{
	__u64 bit = 1ULL << (word % REGISTERS_BITS);
	__u32 i = word / REGISTERS_BITS;

	if (where == AREA)
		answer.area[i & (ARRAY_SIZE(answer.area) - 1)] |= bit;
	else
		answer.stack[i & (ARRAY_SIZE(answer.stack) - 1)] |= bit;
}

/* Reads the word at @index, and judges the one before it. */
static long step(__u32 index, struct piece *piece)
{
	__u64 word = piece->word, next = 0;

	if (index * sizeof(next) < piece->size &&
	    bpf_probe_read_kernel(&next, sizeof(next),
				  piece->start + index * sizeof(next))) {
		piece->unreadable = true;
		return 1;
	}
	piece->word = next;
	if (index && begins_copy(word, next))
		note_copy(piece->where, index - 1);
	return 0;
}

static __always_inline bool search(enum where where, const void *start, __u32 size)
{
	struct piece piece = { .start = start, .size = size, .where = where };

	/* One step more than there are words: it judges the last. */
	bpf_loop(size / sizeof(piece.word) + 1, step, &piece, 0);
	return !piece.unreadable;
}

static bool search_area(struct task_struct *task)
{
	struct fpstate *fpstate = kept_area(task);
	struct xregs_state *xsave = &fpstate->regs.xsave;

	answer.area_size = BPF_CORE_READ(fpstate, size);
	answer.saved = BPF_CORE_READ(xsave, header.xfeatures);
	answer.layout = BPF_CORE_READ(xsave, header.xcomp_bv);
	return answer.area_size <= REGISTERS_AREA_MAX &&
	       search(AREA, xsave, answer.area_size);
}

static bool search_stack(struct task_struct *task)
{
	answer.stack_size = fix_stack_size(task);
	return answer.stack_size <= REGISTERS_STACK_MAX &&
	       search(STACK, BPF_CORE_READ(task, stack), answer.stack_size);
}

static struct task_struct *find_thread(void)
{
	struct task_struct *task = find_task(find_namespace(!question.any), question.tid);
	struct task_struct *self = (void *)bpf_get_current_task();

	if (!task)
		return NULL;
	if (!question.any && BPF_CORE_READ(task, signal) != BPF_CORE_READ(self, signal))
		return NULL;
	return kept_is_users(task) ? task : NULL;
}

/* 0: there is no such thread, or it went as it was being searched. */
SEC("raw_tp")
int registers_search(void *ctx)
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
