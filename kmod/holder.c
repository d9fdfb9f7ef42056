// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who holds secret pages: the process that made a region, for as long as the
 * region is, whoever else has it by then. It is worked out when somebody asks, so
 * that a region costs no more than a reference. Nothing here knows who may ask.
 */
#include <linux/build_bug.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "holder.h"

static_assert(sizeof_field(struct lethe_maker, command) ==
	      sizeof_field(struct lethe_holder, command));

/**
 * lethe_maker_init() - the caller makes a region
 * @maker: filled
 */
void lethe_maker_init(struct lethe_maker *maker)
{
	maker->pid = get_pid(task_tgid(current));
	get_task_comm(maker->command, current->group_leader);
}

/**
 * lethe_maker_free() - the region is no more
 * @maker: of it; one that was never filled is all zero
 */
void lethe_maker_free(struct lethe_maker *maker)
{
	put_pid(maker->pid);
}

/* A number outlives its process, and may be another's by now. */
static pid_t number(struct pid *pid)
{
	pid_t nr;

	rcu_read_lock();
	nr = pid_task(pid, PIDTYPE_TGID) ? pid_vnr(pid) : 0;
	rcu_read_unlock();
	return nr;
}

/**
 * lethe_maker_holds() - one region, as its maker's holding
 * @maker: of it
 * @region: its number
 * @bytes: of its pages
 * @holding: filled, as the caller sees the process
 */
void lethe_maker_holds(const struct lethe_maker *maker, u64 region, u64 bytes,
		       struct lethe_holding *holding)
{
	memset(holding, 0, sizeof(*holding));
	holding->who = maker->pid;
	holding->newest = region;
	holding->row.pid = number(maker->pid);
	holding->row.regions = 1;
	holding->row.bytes = bytes;
	memcpy(holding->row.command, maker->command, sizeof(maker->command));
}

static int by_process(const void *one, const void *two)
{
	const struct lethe_holding *a = one, *b = two;

	if (a->who != b->who)
		return a->who < b->who ? -1 : 1;
	return a->newest < b->newest ? -1 : 1;
}

static int by_size(const void *one, const void *two)
{
	const struct lethe_holding *a = one, *b = two;

	if (a->row.bytes != b->row.bytes)
		return a->row.bytes > b->row.bytes ? -1 : 1;
	return a->newest < b->newest ? -1 : 1;
}

/**
 * lethe_holders_merge() - of holdings by the region, make one by the process
 * @holdings: taken at one moment; those that hold most come first on return
 * @nr: how many
 *
 * Return: how many are left.
 */
u64 lethe_holders_merge(struct lethe_holding *holdings, u64 nr)
{
	struct lethe_holding *last = NULL, *next;
	u64 left = 0;

	sort(holdings, nr, sizeof(*holdings), by_process, NULL);
	for (next = holdings; next < holdings + nr; next++) {
		if (last && last->who == next->who) {
			next->row.regions += last->row.regions;
			next->row.bytes += last->row.bytes;
		} else {
			last = &holdings[left++];
		}
		/* The name of the newest. */
		*last = *next;
	}
	sort(holdings, left, sizeof(*holdings), by_size, NULL);
	return left;
}
