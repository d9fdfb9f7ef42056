// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Attaches the probe of swap.bpf.c where the running kernel has its hooks, and adds up
 * what each processor counted. It marks nothing and prints nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "swap.h"

#include "swap.skel.h"

struct swap_probe {
	struct frames *frames;
	struct swap_bpf *skeleton;
	struct hook hooks[SWAP_WAYS];
	unsigned long long stale[SWAP_WAYS], missed_before;
};

const char *const swap_way_names[SWAP_WAYS] = {
	[SWAP_RECLAIM] = "reclaim",    [SWAP_OUT] = "swap-out",
	[SWAP_DEVICE] = "swap device", [SWAP_BLOCK] = "block",
	[SWAP_IMAGE] = "image",
};

static const struct hook places[SWAP_WAYS] = {
	[SWAP_RECLAIM] = { .name = "mm_vmscan_write_folio",
			   .sees = "pages that reclaim has written, to whatever swap",
			   .unseen = "" },
	[SWAP_OUT] = { .sees = "every page that goes to swap, before zswap",
		       .unseen = "pages that swap did not take in the end" },
	[SWAP_DEVICE] = { .sees = "pages that go to a swap device or file, from zswap too",
			  .unseen = "what zswap writes to a file that is on no disk" },
	[SWAP_BLOCK] = { .name = "block_bio_queue",
			 .sees = "pages that are written to a block device",
			 .unseen = "what is written past swap: files, direct I/O" },
	[SWAP_IMAGE] = { .sees = "pages that are chosen for the image of a hibernation",
			 .unseen = "which pages are in the image of a hibernation" },
};

static const char *const functions_of_out[] = { "swap_writeout", "swap_writepage", NULL };
static const char *const functions_of_device[] = { "__swap_writepage", NULL };
static const char *const functions_of_image[] = { "saveable_page", NULL };

static struct bpf_program *program_of(struct swap_bpf *skeleton, unsigned int way)
{
	struct bpf_program *const programs[SWAP_WAYS] = {
		[SWAP_RECLAIM] = skeleton->progs.swap_reclaim,
		[SWAP_OUT] = skeleton->progs.swap_out,
		[SWAP_DEVICE] = skeleton->progs.swap_device,
		[SWAP_BLOCK] = skeleton->progs.swap_block,
		[SWAP_IMAGE] = skeleton->progs.swap_image,
	};

	return programs[way];
}

/* Of a function that takes a folio, or a page: they are at one address. */
static unsigned int page_argument(const struct hook *hook)
{
	int argument = hook_argument(hook->name, "folio");

	if (argument < 0)
		argument = hook_argument(hook->name, "page");
	return argument < 0 ? 0 : argument;
}

static void choose(struct swap_probe *probe, unsigned int ways)
{
	static const char *const *const functions[SWAP_WAYS] = {
		[SWAP_OUT] = functions_of_out,
		[SWAP_DEVICE] = functions_of_device,
		[SWAP_IMAGE] = functions_of_image,
	};
	struct swap_bpf *skeleton = probe->skeleton;
	unsigned int way;

	for (way = 0; way < SWAP_WAYS; way++) {
		hook_choose(&probe->hooks[way], program_of(skeleton, way),
			    functions[way]);
		if (ways & 1U << way)
			continue;
		bpf_program__set_autoload(program_of(skeleton, way), false);
		snprintf(probe->hooks[way].why_not, sizeof(probe->hooks[way].why_not),
			 "it was not asked for");
	}
	skeleton->rodata->argument_of_out = page_argument(&probe->hooks[SWAP_OUT]);
	skeleton->rodata->argument_of_device = page_argument(&probe->hooks[SWAP_DEVICE]);
}

static int load(struct swap_probe *probe, unsigned int ways, const char **why)
{
	const struct layout *layout = frames_layout(probe->frames);
	struct swap_bpf *skeleton = swap_bpf__open();
	int err;

	probe->skeleton = skeleton;
	if (!skeleton) {
		*why = "its BPF object cannot be read";
		return -errno;
	}
	skeleton->rodata->vmemmap = layout->vmemmap;
	skeleton->rodata->page_size = layout->page_size;
	skeleton->rodata->page_shift = layout->page_size & (layout->page_size - 1) ?
					       0 :
					       __builtin_ctzll(layout->page_size);
	skeleton->rodata->secretmem_aops = layout->secretmem_aops;
	skeleton->rodata->nr_frames = layout->frames;
	skeleton->rodata->summary_at = frames_summary_at(probe->frames);
	choose(probe, ways);
	err = bpf_map__set_max_entries(skeleton->maps.counts, libbpf_num_possible_cpus());
	if (!err)
		err = bpf_map__reuse_fd(skeleton->maps.secret_frames,
					frames_map_fd(probe->frames));
	if (!err)
		err = swap_bpf__load(skeleton);
	if (err)
		*why = "the kernel refuses the BPF programs that watch swap";
	return err;
}

int swap_probe_open(struct swap_probe **out, struct frames *frames, const char **why)
{
	return swap_probe_open_ways(out, frames, (1U << SWAP_WAYS) - 1, why);
}

int swap_probe_open_ways(struct swap_probe **out, struct frames *frames,
			 unsigned int ways, const char **why)
{
	struct swap_probe *probe = calloc(1, sizeof(*probe));
	unsigned int way, attached = 0;
	int err;

	if (!probe) {
		*why = "no memory";
		return -ENOMEM;
	}
	probe->frames = frames;
	probe->missed_before = frames_missed(frames);
	memcpy(probe->hooks, places, sizeof(places));
	err = load(probe, ways, why);
	if (err)
		goto fail;
	for (way = 0; way < SWAP_WAYS; way++)
		attached += hook_attach(&probe->hooks[way],
					program_of(probe->skeleton, way));
	if (!attached) {
		*why = "this kernel has none of the hooks by which pages are seen to leave";
		err = -ENOENT;
		goto fail;
	}
	*out = probe;
	return 0;
fail:
	swap_probe_close(probe);
	return err;
}

const struct hook *swap_probe_hooks(const struct swap_probe *probe, size_t *nr)
{
	*nr = SWAP_WAYS;
	return probe->hooks;
}

static void add_up(struct swap_counts *counts, const struct swap_processor *processor)
{
	unsigned int way;

	for (way = 0; way < SWAP_WAYS; way++) {
		counts->way[way].pages += processor->way[way].pages;
		counts->way[way].secret += processor->way[way].secret;
		counts->way[way].decoys += processor->way[way].decoys;
		counts->way[way].unjudged += processor->way[way].unjudged;
	}
}

int swap_probe_counts(const struct swap_probe *probe, struct swap_counts *counts)
{
	int fd = bpf_map__fd(probe->skeleton->maps.counts);
	struct swap_processor processor;
	unsigned int i;

	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < bpf_map__max_entries(probe->skeleton->maps.counts); i++) {
		if (bpf_map_lookup_elem(fd, &i, &processor))
			return -errno;
		add_up(counts, &processor);
	}
	counts->way[SWAP_IMAGE] = probe->skeleton->bss->image;
	counts->lost = probe->skeleton->bss->lost + frames_missed(probe->frames) -
		       probe->missed_before;
	for (i = 0; i < SWAP_WAYS; i++) {
		struct swap_count *count = &counts->way[i];

		/* What is told is counted before; but of an image each time it is asked. */
		count->secret -= count->secret < probe->stale[i] ? count->secret :
								   probe->stale[i];
		if (probe->hooks[i].attached)
			counts->lost += hook_missed(program_of(probe->skeleton, i));
	}
	return 0;
}

bool swap_probe_confirm(struct swap_probe *probe, const struct event *event)
{
	if (event->what != EVENT_SWAP || event->how >= SWAP_WAYS ||
	    frames_confirm(probe->frames, event->frame, event->kind))
		return true;
	probe->stale[event->how]++;
	return false;
}

int swap_probe_ring(const struct swap_probe *probe)
{
	return bpf_map__fd(probe->skeleton->maps.events);
}

void swap_probe_close(struct swap_probe *probe)
{
	unsigned int way;

	if (!probe)
		return;
	for (way = 0; way < SWAP_WAYS; way++)
		hook_detach(&probe->hooks[way]);
	swap_bpf__destroy(probe->skeleton);
	free(probe);
}
