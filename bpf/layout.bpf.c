// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at a pipe and some descriptors of the process that runs it
 * (BPF_PROG_TEST_RUN), and at two addresses that it names, and says what is there: it
 * is for layout.c to judge that. Attached to nothing.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

struct layout_question question;
struct layout_answer answer;

static __always_inline struct file *file_of(int descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;

	if (descriptor < 0 || descriptor >= (int)BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file;
}

/* The pipe's array is of the slab, and so in the direct map; the pages are ours. */
static __always_inline void look_at_pipe(struct file *file)
{
	struct pipe_inode_info *pipe = BPF_CORE_READ(file, private_data);
	struct pipe_buffer *buffer = BPF_CORE_READ(pipe, bufs);
	struct pipe_buffer *next = (void *)buffer +
				   bpf_core_type_size(struct pipe_buffer);

	answer.inside = (__u64)buffer;
	answer.page[0] = (__u64)BPF_CORE_READ(buffer, page);
	answer.page[1] = (__u64)BPF_CORE_READ(next, page);
}

SEC("raw_tp")
int layout_look(void *ctx)
{
	int i;

#pragma unroll
	for (i = 0; i < LAYOUT_FILES; i++) {
		struct file *file = file_of(question.file[i]);

		answer.aops[i] = (__u64)BPF_CORE_READ(file, f_mapping, a_ops);
		answer.fops[i] = (__u64)BPF_CORE_READ(file, f_op);
	}
	look_at_pipe(file_of(question.file[LAYOUT_PIPE]));
	answer.page_size = bpf_core_type_size(struct page);
#pragma unroll
	for (i = 0; i < 2; i++)
		bpf_probe_read_kernel(&answer.seen[i], sizeof(answer.seen[i]),
				      (void *)question.look[i]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
