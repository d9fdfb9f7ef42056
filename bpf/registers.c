// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads the probe of registers.bpf.c and asks it. What it looks for is with it, and
 * with whoever calls this, in its masked form alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "registers.h"
#include "registers.skel.h"

struct registers_probe {
	struct registers_bpf *skeleton;
};

int registers_probe_open(struct registers_probe **out)
{
	struct registers_probe *probe = calloc(1, sizeof(*probe));
	int err;

	if (!probe)
		return -ENOMEM;
	probe->skeleton = registers_bpf__open_and_load();
	if (!probe->skeleton) {
		err = -errno;
		free(probe);
		return err;
	}
	*out = probe;
	return 0;
}

int registers_probe_ask(struct registers_probe *probe,
			const struct registers_question *question,
			struct registers_answer *answer)
{
	struct registers_bpf__bss *shared = probe->skeleton->bss;
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int fd = bpf_program__fd(probe->skeleton->progs.registers_search);
	int err;

	shared->question = *question;
	memset(&shared->answer, 0, sizeof(shared->answer));
	err = bpf_prog_test_run_opts(fd, &opts);
	if (err)
		return err;
	if (!opts.retval)
		return -ESRCH;
	*answer = shared->answer;
	return answer->found ? 0 : -EFAULT;
}

void registers_probe_close(struct registers_probe *probe)
{
	if (!probe)
		return;
	registers_bpf__destroy(probe->skeleton);
	free(probe);
}
