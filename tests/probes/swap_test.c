// SPDX-License-Identifier: MIT
/*
 * That the swap probe sees every page that leaves, and says of none that it was secret
 * unless it was. Each row has its control: ordinary pages of the same process, marked
 * as decoys, are seen by each way that is attached, in their full number.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../selftests/tap.h"
#include "pressing.h"
#include "secrets.h"
#include "swap.h"
#include "swapping.h"

#define DECOYS 256
#define SECRETS 16
/* More than the ring buffer has room for. */
#define FLOOD 9000
#define EVENTS 16384

/* Of a large page. */
#define LARGE (2UL << 20)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct layout layout;
static struct frames *frames;
static struct swap_probe *probe;
static struct ring_buffer *ring;
static struct event *event;
static size_t nr_events;

static int keep(void *context, void *data, size_t size)
{
	(void)context;
	if (size == sizeof(*event) && nr_events < EVENTS)
		event[nr_events++] = *(struct event *)data;
	return 0;
}

static void begin(void)
{
	const char *why;
	int err = hook_possible(&why);

	if (err)
		tap_skip_all(why);
	if (layout_learn(&layout, &why))
		tap_skip_all(why);
	why = swapping_begin("LETHE_SWAP_DISK", 16384);
	if (why)
		tap_skip_all(why);
	event = calloc(EVENTS, sizeof(*event));
	if (frames_open(&frames, &layout, &why))
		tap_bail("frames: %s", why);
	if (swap_probe_open(&probe, frames, &why))
		tap_bail("swap: %s", why);
	ring = ring_buffer__new(swap_probe_ring(probe), keep, NULL, NULL);
	if (!event || !ring)
		tap_bail("no memory");
}

static void end(void)
{
	ring_buffer__free(ring);
	swap_probe_close(probe);
	frames_close(frames);
	free(event);
}

/* What was counted since @before. */
static struct swap_counts since(const struct swap_counts *before)
{
	struct swap_counts now;
	int way;

	if (swap_probe_counts(probe, &now))
		tap_bail("the counts cannot be read");
	for (way = 0; before && way < SWAP_WAYS; way++) {
		now.way[way].pages -= before->way[way].pages;
		now.way[way].secret -= before->way[way].secret;
		now.way[way].decoys -= before->way[way].decoys;
		now.way[way].unjudged -= before->way[way].unjudged;
	}
	return now;
}

static bool attached(enum swap_way way)
{
	size_t nr;

	return swap_probe_hooks(probe, &nr)[way].attached;
}

/* By these a page goes to swap; an image is another test's. */
static bool goes_by(enum swap_way way)
{
	return way != SWAP_IMAGE && attached(way);
}

static unsigned long long secret_in(const struct swap_counts *counts)
{
	unsigned long long sum = 0;
	int way;

	for (way = 0; way < SWAP_WAYS; way++)
		sum += counts->way[way].secret;
	return sum;
}

static void mark_all(const struct pages *pages, unsigned int bits)
{
	size_t i;

	for (i = 0; i < pages->nr; i++) {
		if (frames_mark(frames, pages->at + i * PAGE, bits))
			tap_bail("a page cannot be marked");
	}
}

static void hooks(void)
{
	size_t nr, i;
	const struct hook *hook = swap_probe_hooks(probe, &nr);
	unsigned int there = 0;

	for (i = 0; i < nr; i++) {
		there += hook[i].attached;
		tap_note("%s: %s", hook[i].name,
			 hook[i].attached ? "attached" : hook[i].why_not);
	}
	tap_ok(attached(SWAP_RECLAIM) && attached(SWAP_BLOCK),
	       "%u of %zu hooks: the tracepoints of reclaim and block are everywhere",
	       there, nr);
}

/* The kernel's own count, of what it has given to swap. */
static void decoys(void)
{
	unsigned long long before = vmstat("pswpout"), out;
	struct swap_counts start = since(NULL), seen;
	struct pages pages;
	int way;

	ordinary_make(&pages, DECOYS);
	mark_all(&pages, FRAME_DECOY);
	tap_ok(page_out(&pages), "%d ordinary pages are swapped out", DECOYS);
	seen = since(&start);
	out = vmstat("pswpout") - before;
	for (way = 0; way < SWAP_WAYS; way++) {
		if (!goes_by(way))
			continue;
		tap_note("%s: %llu pages, %llu decoys; pswpout %llu", swap_way_names[way],
			 seen.way[way].pages, seen.way[way].decoys, out);
		if (!tap_ok(seen.way[way].decoys == DECOYS && !seen.way[way].secret &&
				    !seen.way[way].unjudged,
			    "%s sees each of them, and takes none for secret",
			    swap_way_names[way]))
			continue;
	}
	tap_ok(seen.way[SWAP_RECLAIM].pages == out && out >= DECOYS,
	       "and as many pages in all as the kernel says");
	pages_drop(&pages);
}

/* Of pages that follow each other, where the kernel has any. To be unmapped. */
static char *large_make(struct pages *pages)
{
	char *area = mmap(NULL, 2 * LARGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		tap_bail("no memory");
	pages->at = (char *)(((unsigned long)area + LARGE - 1) & ~(LARGE - 1));
	pages->nr = LARGE / PAGE;
	madvise(pages->at, LARGE, MADV_HUGEPAGE);
	pages_touch(pages);
	return area;
}

/* One page of 2 MiB where the kernel gives one, which counts as all of its pages. */
static void large(void)
{
	unsigned long long before = vmstat("pswpout"), out;
	unsigned long long large_before = vmstat("thp_fault_alloc");
	struct swap_counts start = since(NULL), seen;
	struct pages pages;
	char *area = large_make(&pages);

	tap_note("%s, %llu swapped out whole before",
		 vmstat("thp_fault_alloc") > large_before ? "a large page" :
							    "small pages",
		 vmstat("thp_swpout"));
	mark_all(&pages, FRAME_DECOY);
	page_out(&pages);
	seen = since(&start);
	out = vmstat("pswpout") - before;
	tap_note(
		"%llu swapped out whole since; reclaim: %llu pages, block: %llu; pswpout %llu",
		vmstat("thp_swpout"), seen.way[SWAP_RECLAIM].pages,
		seen.way[SWAP_BLOCK].pages, out);
	tap_ok(seen.way[SWAP_RECLAIM].decoys == 512 &&
		       seen.way[SWAP_RECLAIM].pages == out,
	       "reclaim sees each of the 512 pages of a large one");
	tap_ok(seen.way[SWAP_BLOCK].decoys == 512, "and so does block");
	munmap(area, 2 * LARGE);
}

/* Past swap: one write of many pages, and one that begins and ends inside of one. */
static void direct(void)
{
	struct swap_counts start, seen;
	struct pages pages;
	off_t offset;
	int fd = swapping_scratch(&offset);
	ssize_t all, part;
	char *area = large_make(&pages);

	pages.nr = 32;
	mark_all(&pages, FRAME_DECOY);
	start = since(NULL);
	all = pwrite(fd, pages.at, 32 * PAGE, offset);
	seen = since(&start);
	tap_ok(all == 32 * PAGE && seen.way[SWAP_BLOCK].decoys == 32,
	       "block sees each of 32 pages of a direct write to a disk");
	start = since(NULL);
	part = pwrite(fd, pages.at + PAGE + 512, 2 * PAGE, offset);
	seen = since(&start);
	tap_ok(part == 2 * PAGE && seen.way[SWAP_BLOCK].decoys == 3,
	       "and the 3 pages of two pages' length that begins inside of one");
	close(fd);
	munmap(area, 2 * LARGE);
}

/* Everything is pressed out that can be: none of what is secret is seen to leave. */
static void secrets(void)
{
	struct swap_counts start = since(NULL), seen;
	struct pressed pressed;
	const char *why = press(&pressed, SECRETS);
	int way;

	seen = since(&start);
	if (why) {
		tap_skip(why, "under pressure no secret page leaves");
		return;
	}
	for (way = 0; way < SWAP_WAYS; way++) {
		if (goes_by(way))
			tap_note("%s: %llu pages", swap_way_names[way],
				 seen.way[way].pages);
	}
	tap_ok(pressed.kept == pressed.secrets && pressed.secrets >= 2 * SECRETS &&
		       seen.way[SWAP_RECLAIM].pages > PRESSURE / 4 && !secret_in(&seen),
	       "of %llu pages that leave under pressure none is one of %u secret ones",
	       seen.way[SWAP_RECLAIM].pages, pressed.secrets);
	tap_ok(!seen.lost, "and nothing was lost");
}

static bool event_is_ours(const struct event *seen, const unsigned long long *frame)
{
	size_t i;

	for (i = 0; i < SECRETS; i++) {
		if (seen->frame == frame[i])
			break;
	}
	return i < SECRETS && seen->what == EVENT_SWAP && seen->how < SWAP_WAYS &&
	       seen->pid == getpid() && seen->kind == FRAME_LOCKED && seen->when;
}

/* The control the other way: what is said to be secret, and is not kept. */
static void violations(void)
{
	unsigned long long frame[SECRETS];
	struct swap_counts start = since(NULL), seen;
	unsigned int by_way[SWAP_WAYS] = { 0 };
	bool ours = true, confirmed = true;
	struct pages pages;
	size_t i;
	int way;

	ordinary_make(&pages, SECRETS);
	mark_all(&pages, FRAME_LOCKED);
	for (i = 0; i < SECRETS; i++)
		frame[i] = page_frame(pages.at + i * PAGE);
	nr_events = 0;
	page_out(&pages);
	ring_buffer__consume(ring);
	seen = since(&start);
	for (i = 0; i < nr_events; i++) {
		/* The device's writes may be another's, in whose name they are made. */
		ours &= event_is_ours(&event[i], frame);
		confirmed &= swap_probe_confirm(probe, &event[i]);
		by_way[event[i].how % SWAP_WAYS]++;
	}
	for (way = 0; way < SWAP_WAYS; way++) {
		if (goes_by(way))
			tap_ok(seen.way[way].secret == SECRETS && by_way[way] == SECRETS,
			       "%s says of each of %d pages that should have stayed that it left",
			       swap_way_names[way], SECRETS);
	}
	tap_ok(ours && nr_events, "with its frame, its kind, and who did it");
	tap_ok(confirmed && secret_in(&seen) == nr_events,
	       "and it is no matter of an old set");
	pages_drop(&pages);
}

static void stale(void)
{
	struct swap_counts start = since(NULL), seen;
	unsigned int refuted = 0, asked;
	struct pages pages;
	size_t i;

	secret_make(&pages, LOCKED, SECRETS);
	frames_refresh(frames, getpid());
	munlock(pages.at, pages.nr * PAGE);
	nr_events = 0;
	page_out(&pages);
	ring_buffer__consume(ring);
	seen = since(&start);
	asked = secret_in(&seen);
	for (i = 0; i < nr_events; i++)
		refuted += !swap_probe_confirm(probe, &event[i]);
	seen = since(&start);
	tap_ok(asked >= SECRETS && refuted == nr_events && !secret_in(&seen),
	       "%u events of pages that were unlocked before are found to be none",
	       asked);
	start = since(NULL);
	pages_drop(&pages);

	secret_make(&pages, LOCKED, SECRETS);
	frames_refresh(frames, getpid());
	munlock(pages.at, pages.nr * PAGE);
	frames_settle(frames);
	page_out(&pages);
	seen = since(&start);
	tap_ok(!secret_in(&seen) && seen.way[SWAP_RECLAIM].pages >= SECRETS,
	       "and after frames_settle() there is no event");
	pages_drop(&pages);
}

/* Frames that were secret, and are somebody's ordinary pages now. */
static void reuse(void)
{
	struct swap_counts start, seen;
	static bool was_secret[1 << 26];
	static unsigned long long frame[512];
	struct pages pages, ordinary;
	unsigned int backend, reused = 0;
	size_t i;

	for (backend = KMOD; backend < BACKENDS; backend++) {
		if (!secret_make(&pages, backend, ARRAY_SIZE(frame)))
			continue;
		frames_refresh(frames, getpid());
		pages_frames(&pages, frame);
		for (i = 0; i < pages.nr; i++)
			was_secret[frame[i]] = true;
		pages_drop(&pages);
		drain_lists();
	}
	start = since(NULL);
	ordinary_make(&ordinary, 4096);
	for (i = 0; i < ordinary.nr; i++)
		reused += was_secret[page_frame(ordinary.at + i * PAGE)];
	page_out(&ordinary);
	seen = since(&start);
	tap_ok(reused && !secret_in(&seen) && seen.way[SWAP_RECLAIM].pages >= reused,
	       "%u frames that were secret are swapped out as ordinary pages, and are none",
	       reused);
	pages_drop(&ordinary);
}

static void flood(void)
{
	struct swap_counts start = since(NULL), seen;
	unsigned int ways = 0;
	struct pages pages;
	int way;

	for (way = 0; way < SWAP_WAYS; way++)
		ways += goes_by(way);
	ordinary_make(&pages, FLOOD);
	mark_all(&pages, FRAME_LOCKED);
	nr_events = 0;
	page_out(&pages);
	seen = since(&start);
	ring_buffer__consume(ring);
	tap_note("%llu lost, %zu came, %llu counted", seen.lost, nr_events,
		 secret_in(&seen));
	tap_ok(seen.lost && nr_events && seen.lost + nr_events >= secret_in(&seen),
	       "events for which there is no room are counted as lost");
	tap_ok(secret_in(&seen) == (unsigned long long)FLOOD * ways,
	       "and each page is counted as secret all the same");
	pages_drop(&pages);
}

static unsigned int ways(void)
{
	unsigned int nr = 0;
	int way;

	for (way = 0; way < SWAP_WAYS; way++)
		nr += goes_by(way);
	return nr;
}

int main(void)
{
	begin();
	tap_plan(1 + 2 + ways() + 2 + 2 + 2 + ways() + 2 + 2 + 1 + 2);
	hooks();
	decoys();
	large();
	direct();
	secrets();
	violations();
	stale();
	reuse();
	flood();
	end();
	return tap_end();
}
