// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sees pages leave memory, by each of the five ways of swap.h, counts them all, and
 * tells of those that are secret. It runs for every page that is swapped out: one
 * bit for the frame, one add for the count, and no more unless there is something
 * near. It never looks at what is in a page.
 */
#include "pages.bpf.h"

#include <bpf/bpf_tracing.h>

#include "event.h"
#include "swap.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE (1U << PAGE_SHIFT)

#define BIO_OPERATION 0xff
/* More than any bio has. */
#define BIO_VECS_MAX 4096

/* Which argument the page is, where kernels differ; the loader knows. */
const volatile __u32 argument_of_out;
const volatile __u32 argument_of_device;

/* By processor; how many there are, the loader knows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct swap_processor);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} events SEC(".maps");

__u64 lost;

/* Not inline: it is in nobody's way. */
static __attribute__((noinline)) int tell(__u32 way, __u64 frame, __u32 kind)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	__u64 id = bpf_get_current_pid_tgid();

	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->when = bpf_ktime_get_ns();
	event->what = EVENT_SWAP;
	event->how = way;
	event->pid = id >> 32;
	event->tid = id;
	event->length = PAGE_SIZE;
	event->frame = frame;
	event->kind = kind & (FRAME_SECRET | FRAME_DECOY);
	bpf_get_current_comm(event->command, sizeof(event->command));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/*
 * Pages that follow each other and go the same way. Each count is added at once: a
 * program of the same processor may be between two of them.
 */
struct leaving {
	__u64 first, count;
	struct swap_count *total;
	__u32 way;
};

static __always_inline void judge(struct leaving *leaving, __u64 frame, __u32 byte)
{
	if (byte & FRAME_DECOY)
		__sync_fetch_and_add(&leaving->total->decoys, 1);
	if (!(byte & FRAME_SECRET))
		return;
	__sync_fetch_and_add(&leaving->total->secret, 1);
	tell(leaving->way, frame, byte);
}

static long judge_entry(__u32 i, struct leaving *leaving)
{
	__u64 bytes = bytes_of_run(leaving->first, leaving->count, i);
	__u64 frame = (leaving->first / 8 + i) * 8;
	__u64 *entry = entry_of(frame);
	__u64 found, j;

	found = (entry ? *entry & (FRAME_SECRET | FRAME_DECOY) * EACH_BYTE : EACH_BYTE) &
		bytes;
	if (!found)
		return 0;
	for (j = 0; j < 8; j++) {
		if (!(found >> j * 8 & 0xff))
			continue;
		if (entry)
			judge(leaving, frame + j, found >> j * 8);
		else
			__sync_fetch_and_add(&leaving->total->unjudged, 1);
	}
	return 0;
}

static __always_inline struct swap_processor *this_processor(void)
{
	__u32 key = bpf_get_smp_processor_id();
	struct swap_processor *processor = bpf_map_lookup_elem(&counts, &key);

	if (!processor)
		__sync_fetch_and_add(&lost, 1);
	return processor;
}

/*
 * What the verifier knows to be a pointer it does not let be reckoned with. What comes
 * out of a map is a number.
 */
static __always_inline __u64 number_of(struct swap_processor *processor, __u32 way,
				       const void *pointer)
{
	volatile __u64 *number = &processor->number[way];

	*number = (__u64)pointer;
	return *number;
}

/* @page begins @count pages; @mapping is of the one that is alone. */
static __always_inline void pages_leave(struct swap_count *total, __u32 way, __u64 page,
					__u64 count, __u64 mapping)
{
	struct leaving leaving = {
		.first = frame_of(page),
		.count = count,
		.total = total,
		.way = way,
	};
	__u32 byte = 0;
	__u64 *entry;

	__sync_fetch_and_add(&leaving.total->pages, count);
	if (count != 1) {
		bpf_loop(entries_of_run(leaving.first, count), judge_entry, &leaving, 0);
		return;
	}
	if (is_secretmem(mapping))
		byte = FRAME_MEMFD;
	else if (is_plain(leaving.first))
		return;
	entry = entry_of(leaving.first);
	if (!entry) {
		__sync_fetch_and_add(&leaving.total->unjudged, 1);
		return;
	}
	byte |= byte_of(*entry, leaving.first);
	if (byte & (FRAME_SECRET | FRAME_DECOY))
		judge(&leaving, leaving.first, byte);
}

#define IS_PAGE(flag) (1ULL << bpf_core_enum_value(enum pageflags, flag))

/* One page, and anonymous or shared memory: a page of memfd_secret is not. */
static __always_inline bool is_common(__u64 flags)
{
	return (flags & (IS_PAGE(PG_head) | IS_PAGE(PG_swapbacked))) ==
	       IS_PAGE(PG_swapbacked);
}

/* A folio; or a page, which begins one. */
static __always_inline int folio_leaves(struct swap_processor *processor, __u32 way,
					__u64 address, __u64 flags)
{
	const struct page *page = (void *)address;
	__u64 mapping = 0, count = 1;

	if (flags & IS_PAGE(PG_head))
		count = fix_folio_pages((void *)page);
	else if (!is_common(flags))
		bpf_probe_read_kernel(&mapping, sizeof(mapping), &page->mapping);
	pages_leave(&processor->way[way], way, address, count, mapping);
	return 0;
}

static __always_inline int page_leaves(__u32 way, __u64 address)
{
	struct swap_processor *processor = this_processor();

	if (!processor)
		return 0;
	return folio_leaves(processor, way, address, fix_page_flags((void *)address));
}

/* folio */
SEC("tp_btf/mm_vmscan_write_folio")
int swap_reclaim(const __u64 *ctx)
{
	const struct page *page = (void *)ctx[0];
	struct swap_processor *processor = this_processor();

	if (!processor)
		return 0;
	return folio_leaves(processor, SWAP_RECLAIM,
			    number_of(processor, SWAP_RECLAIM, page),
			    fix_known_page_flags(page));
}

SEC("fentry")
int swap_out(void *ctx)
{
	__u64 page = 0;

	bpf_get_func_arg(ctx, argument_of_out, &page);
	return page_leaves(SWAP_OUT, page);
}

SEC("fentry")
int swap_device(void *ctx)
{
	__u64 page = 0;

	bpf_get_func_arg(ctx, argument_of_device, &page);
	return page_leaves(SWAP_DEVICE, page);
}

/*
 * The kernel goes over all frames several times, from the same first one on: to count
 * them, to make room, and at last as it copies. That one is the image, which has this
 * very count in it.
 */
#define NO_FRAME (~0ULL)

struct swap_count image;
__u64 image_begins = NO_FRAME;

/* zone, frame; returns its page if it is to be saved */
SEC("fexit")
int swap_image(void *ctx)
{
	__u64 frame = 0, page = 0, mapping = 0;

	bpf_get_func_arg(ctx, 1, &frame);
	if (image_begins == NO_FRAME)
		image_begins = frame;
	if (frame == image_begins)
		__builtin_memset(&image, 0, sizeof(image));
	bpf_get_func_ret(ctx, &page);
	if (!page)
		return 0;
	bpf_probe_read_kernel(&mapping, sizeof(mapping), &((struct page *)page)->mapping);
	pages_leave(&image, SWAP_IMAGE, page, 1, mapping);
	return 0;
}

/* What is left of a bio. */
struct bio_walk {
	struct swap_processor *processor;
	__u64 vector;
	__u32 left, done;
};

static __always_inline __u64 pages_in(__u32 offset, __u32 length)
{
	return ((offset & (PAGE_SIZE - 1)) + (__u64)length + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Without the mapping: no bio is made of a page that cannot be pinned. */
static __always_inline void vector_leaves(struct swap_processor *processor, __u64 page,
					  __u32 offset, __u64 count)
{
	page += (__u64)(offset >> PAGE_SHIFT) * page_size;
	pages_leave(&processor->way[SWAP_BLOCK], SWAP_BLOCK, page, count, 0);
}

static long walk_leaves(__u32 i, struct bio_walk *walk)
{
	struct bio_vec vector = { 0 };
	__u32 offset, length;

	if (bpf_probe_read_kernel(&vector, sizeof(vector), (void *)walk->vector) ||
	    vector.bv_len <= walk->done)
		return 1;
	length = vector.bv_len - walk->done;
	if (length > walk->left)
		length = walk->left;
	offset = vector.bv_offset + walk->done;
	vector_leaves(walk->processor, (__u64)vector.bv_page, offset,
		      pages_in(offset, length));
	walk->vector += sizeof(vector);
	walk->left -= length;
	walk->done = 0;
	return !walk->left;
}

static __always_inline bool is_write(const struct bio *bio)
{
	__u32 operation = bio->bi_opf & BIO_OPERATION;

	return operation == bpf_core_enum_value(enum req_op, REQ_OP_WRITE) ||
	       operation == bpf_core_enum_value(enum req_op, REQ_OP_ZONE_APPEND);
}

/* bio */
SEC("tp_btf/block_bio_queue")
int swap_block(const __u64 *ctx)
{
	const struct bio *bio = (void *)ctx[0];
	const struct bio_vec *vector;
	struct bio_walk walk = { 0 };
	__u32 first, offset;

	if (!is_write(bio))
		return 0;
	walk.left = bio->bi_iter.bi_size;
	walk.processor = this_processor();
	if (!walk.left || !walk.processor)
		return 0;
	walk.done = fix_bio_done(bio);
	first = bio->bi_iter.bi_idx;
	vector = bio->bi_io_vec;
	offset = vector->bv_offset;
	/* Of swap, nearly all: one vector, and a page. */
	if (!first && !walk.done && walk.left <= vector->bv_len &&
	    pages_in(offset, walk.left) == 1) {
		vector_leaves(walk.processor,
			      number_of(walk.processor, SWAP_BLOCK, vector->bv_page),
			      offset, 1);
		return 0;
	}
	walk.vector = number_of(walk.processor, SWAP_BLOCK, vector) +
		      first * sizeof(*vector);
	bpf_loop(BIO_VECS_MAX, walk_leaves, &walk, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
