// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads the probe of directmap.bpf.c and asks it, as many frames at a time as it takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "directmap.h"
#include "directmap.skel.h"
#include "hook.h"

struct directmap_probe {
	struct directmap_bpf *skeleton;
	unsigned long long frames;
};

int directmap_probe_open(struct directmap_probe **out, const struct layout *layout,
			 const char **why)
{
	struct directmap_probe *probe;
	int err = hook_possible(why);

	if (err)
		return err;
	*why = "no memory";
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -ENOMEM;
	probe->skeleton = directmap_bpf__open_and_load();
	if (!probe->skeleton) {
		err = -errno;
		*why = hook_complaint();
		free(probe);
		return err;
	}
	probe->skeleton->bss->question.direct_map = layout->direct_map;
	probe->frames = layout->frames;
	*out = probe;
	return 0;
}

/* At most DIRECTMAP_FRAMES of them. */
static int ask(struct directmap_probe *probe, const unsigned long long *frames,
	       unsigned char *readable, size_t nr)
{
	struct directmap_bpf__bss *shared = probe->skeleton->bss;
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_program__fd(probe->skeleton->progs.directmap_try);
	int err;

	memcpy(shared->question.frame, frames, nr * sizeof(*frames));
	shared->question.nr = nr;
	shared->answer.asked = 0;
	err = bpf_prog_test_run_opts(fd, &opts);
	if (err)
		return err;
	if (shared->answer.asked != nr)
		return -EIO;
	memcpy(readable, shared->answer.readable, nr);
	return 0;
}

int directmap_probe_ask(struct directmap_probe *probe, const unsigned long long *frames,
			unsigned char *readable, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (frames[i] >= probe->frames)
			return -ERANGE;
	}
	for (size_t done = 0, some; done < nr; done += some) {
		int err;

		some = nr - done < DIRECTMAP_FRAMES ? nr - done : DIRECTMAP_FRAMES;
		err = ask(probe, frames + done, readable + done, some);
		if (err)
			return err;
	}
	return 0;
}

void directmap_probe_close(struct directmap_probe *probe)
{
	if (!probe)
		return;
	directmap_bpf__destroy(probe->skeleton);
	free(probe);
}
