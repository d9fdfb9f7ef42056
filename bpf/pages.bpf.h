/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What frames and swap both have to do with a struct page: its number, and what is
 * known of that in the set of secret frames. Reads struct pages, never pages.
 */
#ifndef LETHE_PAGES_BPF_H
#define LETHE_PAGES_BPF_H

#include "core_fixes.bpf.h"

#include "frames.h"

/* By the loader: of struct layout. @page_shift is 0 where @page_size is no power of 2. */
const volatile __u64 vmemmap;
const volatile __u64 page_size;
const volatile __u32 page_shift;
const volatile __u64 secretmem_aops;
const volatile __u64 nr_frames;
/* The first entry of @secret_frames behind the frames: of the summary. */
const volatile __u32 summary_at;

/*
 * A byte a frame, and behind them the summary: a bit for each 64 frames, a cache line
 * of bytes, that is set before any byte there is and stays so. Most pages that leave
 * are asked for nowhere else, and it is small enough to stay in the cache. Its size is
 * the loader's. User space has it mapped, and writes to it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} secret_frames SEC(".maps");

/* Of the same bits in each byte of an entry. */
#define EACH_BYTE 0x0101010101010101ULL

static __always_inline __u64 frame_of(__u64 page)
{
	__u64 distance = page - vmemmap;

	return page_shift ? distance >> page_shift : distance / page_size;
}

/* The entry that @frame is in; NULL: no RAM when the set was made. */
static __always_inline __u64 *entry_of(__u64 frame)
{
	__u32 key = frame / 8;

	return frame < nr_frames ? bpf_map_lookup_elem(&secret_frames, &key) : NULL;
}

/* The word of the summary, and the bit in it. */
static __always_inline __u64 *summary_of(__u64 frame)
{
	__u32 key = summary_at + frame / 4096;

	return frame < nr_frames ? bpf_map_lookup_elem(&secret_frames, &key) : NULL;
}

static __always_inline __u64 summary_bit(__u64 frame)
{
	return 1ULL << frame / 64 % 64;
}

/* True: neither @frame nor any that is near has a bit. */
static __always_inline bool is_plain(__u64 frame)
{
	__u64 *summary = summary_of(frame);

	return summary && !(*summary & summary_bit(frame));
}

static __always_inline __u32 byte_of(__u64 entry, __u64 frame)
{
	return entry >> frame % 8 * 8 & 0xff;
}

/* Which bytes of the @i-th entry from that of @first on belong to @count frames. */
static __always_inline __u64 bytes_of_run(__u64 first, __u64 count, __u32 i)
{
	__u64 entry = first / 8 + i, last = first + count - 1;
	__u64 bytes = ~0ULL;

	if (!i)
		bytes <<= first % 8 * 8;
	if (entry == last / 8)
		bytes &= ~0ULL >> (7 - last % 8) * 8;
	return bytes;
}

static __always_inline __u32 entries_of_run(__u64 first, __u64 count)
{
	return (first + count - 1) / 8 - first / 8 + 1;
}

/* Is it the mapping of a memfd_secret? Anonymous pages have a bit set in it. */
static __always_inline bool is_secretmem(__u64 mapping)
{
	const struct address_space *space = (void *)mapping;
	__u64 aops = 0;

	if (!secretmem_aops || !mapping || mapping & 3)
		return false;
	bpf_probe_read_kernel(&aops, sizeof(aops), &space->a_ops);
	return aops == secretmem_aops;
}

#endif /* LETHE_PAGES_BPF_H */
