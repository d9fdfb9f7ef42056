// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints of trace.h, and what is worked out for them alone, while
 * somebody listens. Nothing here changes anything.
 */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * lethe_trace_tid() - a thread as the first pid namespace has it
 * @tid: as the caller has it; 0 is the caller
 *
 * Return: its number there, or 0 where there is no such thread any more.
 */
pid_t lethe_trace_tid(s32 tid)
{
	pid_t nr;

	rcu_read_lock();
	nr = tid ? pid_nr(find_vpid(tid)) : task_pid_nr(current);
	rcu_read_unlock();
	return nr;
}

/**
 * lethe_trace_frames() - announce frames of a region, or take them back
 * @region: its number
 * @pages: the pages
 * @nr: how many
 * @added: which of the two
 *
 * To be called where trace_region_frames_enabled() alone.
 */
void lethe_trace_frames(u64 region, struct page **pages, unsigned long nr,
			bool added)
{
	unsigned long run;

	for (; nr; nr -= run, pages += run) {
		run = lethe_run_length(pages, nr);
		trace_region_frames(region, page_to_pfn(*pages), run, added);
	}
}
