// SPDX-License-Identifier: MIT
/*
 * How each probe is opened. One that is in bpf/ and not here does not compile.
 */
#include "probes.h"

#include <errno.h>

#include "../../bpf/access.h"
#include "../../bpf/directmap.h"
#include "../../bpf/frames.h"
#include "../../bpf/layout.h"
#include "../../bpf/leaving.h"
#include "../../bpf/registers.h"
#include "../../bpf/swap.h"
#include "../../bpf/words.h"

#include "layout.skel.h"

static struct layout layout;
static struct layout_bpf *layout_skeleton;
static struct directmap_probe *directmap;
static struct frames *frames;
static struct registers_probe *registers;
static struct words_probe *words;
static struct swap_probe *swap;
static struct access_probe *access_probe;
static struct leaving_probe *leaving;

/* layout_learn() is done with its probe as it returns: one more of it. */
static int open_layout(const char **why)
{
	int err = layout_learn(&layout, why);

	if (err)
		return err;
	layout_skeleton = layout_bpf__open_and_load();
	*why = hook_complaint();
	return layout_skeleton ? 0 : -errno;
}

static int open_directmap(const char **why)
{
	return directmap_probe_open(&directmap, &layout, why);
}

static int open_registers(const char **why)
{
	*why = "it cannot be loaded";
	return registers_probe_open(&registers);
}

static int open_words(const char **why)
{
	return words_probe_open(&words, 1, why);
}

static int open_frames(const char **why)
{
	return frames_open(&frames, &layout, why);
}

static int open_swap(const char **why)
{
	return swap_probe_open(&swap, frames, why);
}

static int open_access(const char **why)
{
	return access_probe_open(&access_probe, frames, why);
}

static int open_leaving(const char **why)
{
	return leaving_probe_open(&leaving, frames, why);
}

static const struct hook *hooks_of_frames(size_t *nr)
{
	return frames_hooks(frames, nr);
}

static const struct hook *hooks_of_swap(size_t *nr)
{
	return swap_probe_hooks(swap, nr);
}

static const struct hook *hooks_of_access(size_t *nr)
{
	return access_probe_hooks(access_probe, nr);
}

static const struct hook *hooks_of_leaving(size_t *nr)
{
	return leaving_probe_hooks(leaving, nr);
}

#define hooks_of_layout NULL
#define hooks_of_directmap NULL
#define hooks_of_registers NULL
#define hooks_of_words NULL

#define PROBE(triple) { #triple, open_##triple, hooks_of_##triple },

const struct probe probes[] = {
#include "list.h"
};
const size_t nr_probes = sizeof(probes) / sizeof(probes[0]);

void probes_close(void)
{
	leaving_probe_close(leaving);
	access_probe_close(access_probe);
	swap_probe_close(swap);
	frames_close(frames);
	registers_probe_close(registers);
	words_probe_close(words);
	directmap_probe_close(directmap);
	layout_bpf__destroy(layout_skeleton);
}
