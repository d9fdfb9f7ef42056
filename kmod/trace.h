/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, lethe:*: what a tracer sees of blocks, regions and wipes. An event
 * has numbers alone, never what is in a page, nor an address. Frame numbers are
 * among them: tracefs is root's, and perf and BPF want CAP_PERFMON for what an
 * event says, so that the module need not ask again.
 *
 * A tracer that follows region_frames always has every frame that may hold a
 * secret: one is announced before anybody can write to it, and taken back after
 * it was wiped and before it can be announced for another region.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lethe

#if !defined(LETHE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LETHE_TRACE_H

#include <linux/lethe.h>
#include <linux/mm.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

#include "run.h"

pid_t lethe_trace_tid(s32 tid);
void lethe_trace_frames(u64 region, struct page **pages, unsigned long nr,
			bool added);

/*
 * A wipe that was done, or failed half-way. Whose: the thread's number in the
 * first pid namespace, or 0 where that has gone since; the caller is the event's
 * own.
 */
TRACE_EVENT(wipe,
	    TP_PROTO(const struct lethe_wipe *args, int err),
	    TP_ARGS(args, err),
	    TP_STRUCT__entry(__field(pid_t, tid)
			     __field(u32, flags)
			     __field(u64, length)
			     __field(u64, wiped)
			     __field(u64, skipped)
			     __field(u64, dropped)
			     __field(int, err)),
	    TP_fast_assign(__entry->tid = lethe_trace_tid(args->tid);
			   __entry->flags = args->flags;
			   __entry->length = args->length;
			   __entry->wiped = args->wiped;
			   __entry->skipped = args->skipped;
			   __entry->dropped = args->dropped;
			   __entry->err = err;),
	    TP_printk("tid=%d flags=%s length=%llu wiped=%llu skipped=%llu dropped=%llu err=%d",
		      __entry->tid,
		      __print_flags(__entry->flags, "|",
				    { LETHE_WIPE_RANGE, "range" },
				    { LETHE_WIPE_REGISTERS, "registers" },
				    { LETHE_WIPE_DEAD_STACK, "dead_stack" },
				    { LETHE_WIPE_SIGSTACK, "sigstack" }),
		      __entry->length, __entry->wiped, __entry->skipped,
		      __entry->dropped, __entry->err)
);

/* Memory that leaves the direct map; memory that is back, all zero. */
DECLARE_EVENT_CLASS(lethe_block,
		    TP_PROTO(struct page *page, unsigned int order),
		    TP_ARGS(page, order),
		    TP_STRUCT__entry(__field(u64, first)
				     __field(u32, pages)
				     __field(int, node)
				     __field(bool, small)),
		    TP_fast_assign(__entry->first = page_to_pfn(page);
				   __entry->pages = 1U << order;
				   __entry->node = page_to_nid(page);
				   __entry->small = order < LETHE_RUN_ORDER;),
		    TP_printk("first=%#llx pages=%u node=%d small=%d", __entry->first,
			      __entry->pages, __entry->node, __entry->small)
);

DEFINE_EVENT(lethe_block, block_add,
	     TP_PROTO(struct page *page, unsigned int order),
	     TP_ARGS(page, order)
);

DEFINE_EVENT(lethe_block, block_remove,
	     TP_PROTO(struct page *page, unsigned int order),
	     TP_ARGS(page, order)
);

/* Before its frames are announced; the pid is its maker's, in the first namespace. */
TRACE_EVENT(region_create,
	    TP_PROTO(u64 region, unsigned long pages, pid_t pid),
	    TP_ARGS(region, pages, pid),
	    TP_STRUCT__entry(__field(u64, region)
			     __field(u64, pages)
			     __field(pid_t, pid)),
	    TP_fast_assign(__entry->region = region;
			   __entry->pages = pages;
			   __entry->pid = pid;),
	    TP_printk("region=%llu pages=%llu pid=%d", __entry->region,
		      __entry->pages, __entry->pid)
);

/* After all of its frames were taken back. */
TRACE_EVENT(region_destroy,
	    TP_PROTO(u64 region, unsigned long pages, pid_t pid, bool revoked),
	    TP_ARGS(region, pages, pid, revoked),
	    TP_STRUCT__entry(__field(u64, region)
			     __field(u64, pages)
			     __field(pid_t, pid)
			     __field(bool, revoked)),
	    TP_fast_assign(__entry->region = region;
			   __entry->pages = pages;
			   __entry->pid = pid;
			   __entry->revoked = revoked;),
	    TP_printk("region=%llu pages=%llu pid=%d revoked=%d", __entry->region,
		      __entry->pages, __entry->pid, __entry->revoked)
);

/* Frames that follow each other: as many events as the region has runs of them. */
TRACE_EVENT(region_frames,
	    TP_PROTO(u64 region, unsigned long first, unsigned long count,
		     bool added),
	    TP_ARGS(region, first, count, added),
	    TP_STRUCT__entry(__field(u64, region)
			     __field(u64, first)
			     __field(u64, count)
			     __field(bool, added)),
	    TP_fast_assign(__entry->region = region;
			   __entry->first = first;
			   __entry->count = count;
			   __entry->added = added;),
	    TP_printk("region=%llu first=%#llx count=%llu added=%d",
		      __entry->region, __entry->first, __entry->count,
		      __entry->added)
);

#endif /* LETHE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
