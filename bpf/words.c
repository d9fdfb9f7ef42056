// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads the probe of words.bpf.c, gives it words, and asks it. A word is masked as it
 * comes, and is nowhere else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "words.h"
#include "words.skel.h"

/* They go to the kernel so many at once. */
#define BATCH 1024

struct words_probe {
	struct words_bpf *skeleton;
	unsigned int nr;
	unsigned long long masked[BATCH];
	unsigned int ids[BATCH];
};

int words_probe_open(struct words_probe **out, unsigned int words, const char **why)
{
	struct words_probe *probe;
	unsigned long long random[2];
	int err;

	*why = "there is no memory";
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -ENOMEM;
	hook_quiet();
	probe->skeleton = words_bpf__open();
	if (!probe->skeleton ||
	    bpf_map__set_max_entries(probe->skeleton->maps.words, words) ||
	    words_bpf__load(probe->skeleton)) {
		err = -errno;
		/* Asked only now: it takes as long again. */
		if (!hook_possible(why))
			*why = hook_complaint();
		words_probe_close(probe);
		return err;
	}
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		words_probe_close(probe);
		return -EIO;
	}
	probe->skeleton->bss->question.mask = random[0];
	probe->skeleton->bss->question.key = random[1] | 1;
	*out = probe;
	return 0;
}

static int flush(struct words_probe *probe)
{
	int fd = bpf_map__fd(probe->skeleton->maps.words);
	unsigned int n = probe->nr;

	probe->nr = 0;
	return n ? bpf_map_update_batch(fd, probe->masked, probe->ids, &n, NULL) : 0;
}

int words_probe_add(struct words_probe *probe, unsigned long long word, unsigned int id)
{
	struct words_bpf__bss *shared = probe->skeleton->bss;
	unsigned long long masked = word ^ shared->question.mask;
	unsigned int hash = masked * shared->question.key >> (64 - WORDS_FILTER_BITS);

	shared->filter[hash / 32] |= 1U << (hash % 32);
	probe->masked[probe->nr] = masked;
	probe->ids[probe->nr++] = id;
	return probe->nr == BATCH ? flush(probe) : 0;
}

int words_probe_ready(struct words_probe *probe)
{
	return flush(probe);
}

int words_probe_ask(struct words_probe *probe, unsigned int tid,
		    const struct words_answer **answer)
{
	struct words_bpf__bss *shared = probe->skeleton->bss;
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_program__fd(probe->skeleton->progs.words_search);
	int err;

	shared->question.tid = tid;
	memset(&shared->answer, 0, offsetof(struct words_answer, hits));
	err = bpf_prog_test_run_opts(fd, &opts);
	if (err)
		return err;
	if (!opts.retval)
		return -ESRCH;
	*answer = &shared->answer;
	return shared->answer.found ? 0 : -EFAULT;
}

void words_probe_wipe(struct words_probe *probe)
{
	if (probe->skeleton && probe->skeleton->bss)
		explicit_bzero(&probe->skeleton->bss->question,
			       sizeof(probe->skeleton->bss->question));
}

void words_probe_close(struct words_probe *probe)
{
	if (!probe)
		return;
	words_probe_wipe(probe);
	words_bpf__destroy(probe->skeleton);
	explicit_bzero(probe, sizeof(*probe));
	free(probe);
}
