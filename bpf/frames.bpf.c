// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the set of secret frames as frames come and go: the module's as it says them,
 * memfd_secret's as they come into its page cache, and whatever else as it is freed.
 * It never looks at what is in a page.
 */
#include "pages.bpf.h"

#include "frames_shared.h"

/* Numbers of x86-64, which no header of types has. */
#define NR_MMAP 9
#define NR_MREMAP 25
#define NR_MADVISE 28
#define NR_MLOCK 149
#define NR_MUNLOCK 150
#define NR_MLOCKALL 151
#define NR_MUNLOCKALL 152
#define NR_MLOCK2 325

#define MAP_SHARED 1
#define ADVICE_DONTFORK 10
#define ADVICE_DOFORK 11
#define ADVICE_DONTDUMP 16
#define ADVICE_DODUMP 17

/* What a free takes away: the module frees none that is in a region. */
#define FREED (FRAME_MEMFD | FRAME_LOCKED | FRAME_DECOY)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FRAMES_HOLDERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} holders SEC(".maps");

/* Processes whose mappings may have changed since they were last looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FRAMES_CHANGED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} changed SEC(".maps");

struct frames_news news;

static __always_inline __u32 current_process(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static void note_changed(__u32 process)
{
	__u32 one = 1;

	if (bpf_map_update_elem(&changed, &process, &one, BPF_ANY))
		__sync_fetch_and_add(&news.overflows, 1);
	/* After it: who sees the number finds the process. */
	__sync_fetch_and_add(&news.changes, 1);
}

static void note_holder(__u32 process, __u32 kind)
{
	__u32 *known = bpf_map_lookup_elem(&holders, &process);
	__u32 kinds = kind;

	if (known) {
		if (*known & kind)
			return;
		kinds |= *known;
	}
	if (bpf_map_update_elem(&holders, &process, &kinds, BPF_ANY))
		__sync_fetch_and_add(&news.overflows, 1);
	note_changed(process);
}

/* Frames that follow each other, whose bits are changed. */
struct run {
	__u64 first, count;
	__u32 set, clear;
};

static long change_entry(__u32 i, struct run *run)
{
	__u64 bytes = bytes_of_run(run->first, run->count, i);
	__u64 frame = run->first + i * 8ULL;
	__u64 *entry = entry_of(frame);
	__u64 *summary = summary_of(frame);

	if (!entry || !summary)
		return 1;
	if (run->set && !(*summary & summary_bit(frame)))
		__sync_fetch_and_or(summary, summary_bit(frame));
	/* In this order: a frame is never without the bit that it is to have. */
	if (run->set)
		__sync_fetch_and_or(entry, run->set * EACH_BYTE & bytes);
	if (*entry & run->clear * EACH_BYTE & bytes)
		__sync_fetch_and_and(entry, ~(run->clear * EACH_BYTE & bytes));
	return 0;
}

static __always_inline void change(__u64 first, __u64 count, __u32 set, __u32 clear)
{
	struct run run = { .first = first, .count = count, .set = set, .clear = clear };

	bpf_loop(entries_of_run(first, count), change_entry, &run, 0);
}

/* region, first, count, added */
static __always_inline int follow_region(struct bpf_raw_tracepoint_args *ctx)
{
	if (!ctx->args[2])
		return 0;
	if (!(ctx->args[3] & 1)) {
		change(ctx->args[1], ctx->args[2], FRAME_TAKEN_BACK,
		       FRAME_KMOD | FRAME_ANNOUNCED);
		return 0;
	}
	change(ctx->args[1], ctx->args[2], FRAME_KMOD | FRAME_ANNOUNCED,
	       FRAME_TAKEN_BACK);
	note_holder(current_process(), FRAME_KMOD);
	return 0;
}

SEC("raw_tp/region_frames")
int frames_of_region(struct bpf_raw_tracepoint_args *ctx)
{
	return follow_region(ctx);
}

/*
 * The same once more: since 7.0 a program can be preempted, and for who comes there then
 * it is not run. Of two, one is. To do it twice does no harm, since a region is neither
 * announced nor taken back before its thread is through both.
 */
SEC("raw_tp/region_frames")
int frames_of_region_again(struct bpf_raw_tracepoint_args *ctx)
{
	return follow_region(ctx);
}

/* folio: is in the page cache from now on */
SEC("raw_tp/mm_filemap_add_to_page_cache")
int frames_of_memfd(struct bpf_raw_tracepoint_args *ctx)
{
	struct page *page = (void *)ctx->args[0];
	__u64 mapping = 0;

	bpf_probe_read_kernel(&mapping, sizeof(mapping), &page->mapping);
	if (!is_secretmem(mapping))
		return 0;
	change(frame_of(ctx->args[0]), 1, FRAME_MEMFD, 0);
	note_holder(current_process(), FRAME_MEMFD);
	return 0;
}

/* page, order: is anybody's from now on */
SEC("raw_tp/mm_page_free")
int frames_freed(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 frame = frame_of(ctx->args[0]);
	__u32 order = ctx->args[1];

	if (!order && is_plain(frame))
		return 0;
	change(frame, 1ULL << (order & 31), 0, FREED);
	return 0;
}

static __always_inline bool holds(__u32 process, __u32 kind)
{
	__u32 *kinds = bpf_map_lookup_elem(&holders, &process);

	return kinds && *kinds & kind;
}

static bool changes_mappings(const struct pt_regs *regs, __u64 call)
{
	__u64 value = 0;

	switch (call) {
	case NR_MLOCK:
	case NR_MLOCK2:
	case NR_MLOCKALL:
		return true;
	case NR_MUNLOCK:
	case NR_MUNLOCKALL:
		return holds(current_process(), FRAME_LOCKED);
	case NR_MREMAP:
		return holds(current_process(), FRAME_SECRET);
	case NR_MADVISE:
		bpf_probe_read_kernel(&value, sizeof(value), &regs->dx);
		return value == ADVICE_DONTFORK || value == ADVICE_DOFORK ||
		       value == ADVICE_DONTDUMP || value == ADVICE_DODUMP;
	case NR_MMAP:
		/* A descriptor that came from elsewhere, and is mapped for the first time. */
		bpf_probe_read_kernel(&value, sizeof(value), &regs->r10);
		if (!(value & MAP_SHARED))
			return false;
		bpf_probe_read_kernel(&value, sizeof(value), &regs->r8);
		return (int)value >= 0;
	}
	return false;
}

/* regs, what it returned */
SEC("raw_tp/sys_exit")
int frames_call(struct bpf_raw_tracepoint_args *ctx)
{
	const struct pt_regs *regs = (void *)ctx->args[0];
	__u64 call = 0;

	bpf_probe_read_kernel(&call, sizeof(call), &regs->orig_ax);
	if (changes_mappings(regs, call))
		note_changed(current_process());
	return 0;
}

/* task: its last thread, or one of several */
SEC("raw_tp/sched_process_exit")
int frames_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 process = current_process();

	if (!holds(process, FRAME_SECRET) || BPF_CORE_READ(task, signal, live.counter))
		return 0;
	bpf_map_delete_elem(&holders, &process);
	note_changed(process);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int frames_exec(void *ctx)
{
	__u32 process = current_process();

	if (!holds(process, FRAME_SECRET))
		return 0;
	bpf_map_delete_elem(&holders, &process);
	note_changed(process);
	return 0;
}

/* parent, child: which has what of it is inherited */
SEC("raw_tp/sched_process_fork")
int frames_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	__u32 process = current_process();
	__u32 new;

	if (!holds(process, FRAME_MEMFD))
		return 0;
	new = BPF_CORE_READ(child, tgid);
	if (new != process)
		note_holder(new, FRAME_MEMFD);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
