/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a system call's arguments point to, in the caller's memory: addresses and
 * sizes of buffers, never what is in them. While one of ours reads, a mark says so,
 * so that the probe that sees such reads does not tell them of itself.
 */
#ifndef LETHE_USER_MEMORY_BPF_H
#define LETHE_USER_MEMORY_BPF_H

#include "system_call.bpf.h"

/* Shared by all probes of a process: watching_own_reads(). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} own_reads SEC(".maps");

static __always_inline __u64 *own_read_mark(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&own_reads, &zero);
}

/* 0, or it is not there now. */
static __always_inline long read_user(void *to, __u32 size, __u64 from)
{
	__u64 *mark = own_read_mark();
	long err;

	if (!mark)
		return -1;
	__sync_fetch_and_add(mark, 1);
	err = bpf_probe_read_user(to, size, (void *)from);
	__sync_fetch_and_add(mark, -1);
	return err;
}

/* A struct iovec. */
struct vector {
	__u64 address, length;
};

static __always_inline long read_vector(struct vector *vector, __u64 at, bool compat)
{
	__u32 narrow[2];
	long err;

	if (!compat)
		return read_user(vector, sizeof(*vector), at);
	err = read_user(narrow, sizeof(narrow), at);
	vector->address = narrow[0];
	vector->length = narrow[1];
	return err;
}

#endif /* LETHE_USER_MEMORY_BPF_H */
