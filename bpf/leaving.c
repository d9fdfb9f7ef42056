// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads and attaches the probe of leaving.bpf.c, and adds up what it counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "leaving.h"
#include "leaving.skel.h"
#include "watching.h"

enum { CALLS, RING, HOOKS };

struct leaving_probe {
	struct leaving_bpf *skeleton;
	struct hook hooks[HOOKS];
};

const char *const leaving_way_names[LEAVING_WAYS] = {
	[LEAVING_WRITE] = "write",
	[LEAVING_SEND] = "send",
	[LEAVING_SPLICE] = "splice",
	[LEAVING_URING] = "io_uring",
};

static const struct hook places[HOOKS] = {
	[CALLS] = { .name = "sys_enter",
		    .sees = "buffers of write, send and vmsplice, and their like",
		    .unseen = "what leaves by write, send and vmsplice" },
	[RING] = { .name = "io_uring_submit_req",
		   .sees = "buffers of writes and sends that io_uring is given",
		   .unseen = "what leaves by io_uring" },
};

static int load(struct leaving_probe *probe, struct frames *frames)
{
	struct leaving_bpf *skeleton = probe->skeleton;
	int err;

	skeleton->rodata->layout = *frames_layout(frames);
	err = bpf_map__reuse_fd(skeleton->maps.own_reads, watching_own_reads());
	err = err ?: leaving_bpf__load(skeleton);
	return err ?: watching_run(skeleton->progs.tell_self);
}

static void attach(struct leaving_probe *probe)
{
	struct leaving_bpf *skeleton = probe->skeleton;
	struct hook *ring = &probe->hooks[RING];

	hook_attach(&probe->hooks[CALLS], skeleton->progs.leaving_call);
	if (hook_attach(ring, skeleton->progs.leaving_request))
		return;
	ring->link = bpf_program__attach_raw_tracepoint(skeleton->progs.leaving_request,
							"io_uring_submit_sqe");
	if (!ring->link)
		return;
	ring->name = "io_uring_submit_sqe";
	ring->attached = true;
	ring->why_not[0] = '\0';
}

int leaving_probe_open(struct leaving_probe **out, struct frames *frames,
		       const char **why)
{
	struct leaving_probe *probe;
	int err = hook_possible(why);

	if (err)
		return err;
	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		*why = "no memory";
		return -ENOMEM;
	}
	memcpy(probe->hooks, places, sizeof(places));
	probe->skeleton = leaving_bpf__open();
	err = probe->skeleton ? load(probe, frames) : -errno;
	if (err) {
		*why = hook_complaint();
		goto undo;
	}
	attach(probe);
	if (!probe->hooks[CALLS].attached && !probe->hooks[RING].attached) {
		*why = probe->hooks[CALLS].why_not;
		err = -ENOENT;
		goto undo;
	}
	*out = probe;
	return 0;
undo:
	leaving_probe_close(probe);
	return err;
}

const struct hook *leaving_probe_hooks(const struct leaving_probe *probe, size_t *nr)
{
	*nr = HOOKS;
	return probe->hooks;
}

static void add(struct leaving_counts *sum, const struct leaving_counts *part)
{
	for (int way = 0; way < LEAVING_WAYS; way++) {
		sum->calls[way] += part->calls[way];
		sum->secret[way] += part->secret[way];
		sum->unjudged[way] += part->unjudged[way];
	}
}

int leaving_probe_counts(const struct leaving_probe *probe, struct leaving_counts *counts)
{
	int processors = libbpf_num_possible_cpus(), zero = 0, err;
	struct leaving_counts *parts;

	memset(counts, 0, sizeof(*counts));
	if (processors < 0)
		return processors;
	parts = calloc(processors, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.counts), &zero,
				  parts);
	for (int i = 0; !err && i < processors; i++)
		add(counts, &parts[i]);
	counts->lost = probe->skeleton->bss->lost + watching_missed(probe->skeleton->obj);
	free(parts);
	return err;
}

int leaving_probe_ring(const struct leaving_probe *probe)
{
	return bpf_map__fd(probe->skeleton->maps.events);
}

void leaving_probe_close(struct leaving_probe *probe)
{
	if (!probe)
		return;
	for (int i = 0; i < HOOKS; i++)
		hook_detach(&probe->hooks[i]);
	leaving_bpf__destroy(probe->skeleton);
	free(probe);
}
