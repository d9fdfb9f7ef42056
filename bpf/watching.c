// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the probes that watch others have in common in user space. It attaches
 * nothing and judges nothing.
 */
#include <pthread.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hook.h"
#include "watching.h"

static int own_reads_fd;

static void create_own_reads(void)
{
	own_reads_fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "own_reads", sizeof(int),
				      sizeof(unsigned long long), 1, NULL);
}

int watching_own_reads(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, create_own_reads);
	return own_reads_fd;
}

int watching_run(const struct bpf_program *program)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };

	return bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
}

unsigned long long watching_missed(const struct bpf_object *object)
{
	struct bpf_program *program = bpf_object__next_program(object, NULL);
	unsigned long long missed = 0;

	for (; program; program = bpf_object__next_program(object, program))
		missed += hook_missed(program);
	return missed;
}
