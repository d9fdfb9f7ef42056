// SPDX-License-Identifier: MIT
/*
 * What leaves memory, end to end: a process with secrets and with ordinary memory is
 * pressed until all that can leave has left, for a disk, a file, zram and zswap. The
 * swap probe counts it on its way; then what it went to is searched, raw: a disk by
 * the host, from outside. The two must agree to the page.
 *
 * Needs two disks to be given up, the second one with ext4 on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "../residue/frames.h"
#include "../residue/record.h"
#include "../residue/search.h"
#include "../selftests/tap.h"
#include "area.h"
#include "holder.h"
#include "hostlink.h"
#include "swap.h"

#define DISK 0
#define FILE_DISK 1
#define SWAP_FILE "/tmp/swap/file"
#define ZRAM_DISK "/dev/zram0"
#define AREA_BYTES ((uint64_t)48 << 20)
#define PAGE ((size_t)4096)

/* What judge() says, and what there is beside it. */
#define POINTS 6
#define DISK_POINTS (POINTS + 1)
#define ZRAM_POINTS (POINTS + 3)
#define ZSWAP_POINTS (POINTS + 3)
#define LEAK_POINTS (POINTS + 2)

static struct layout layout;
static char disk[32], file_disk[32];

/* One process that was pressed, what was seen of it, and what was found then. */
struct round {
	const char *name;
	struct holder holder;
	struct frames *frames;
	struct swap_probe *probe;
	struct frames_total total; /* before it was pressed */
	struct swap_counts counts;
	struct hostlink_found found[HOLDER_NEEDLES];
	uint64_t written; /* pages, as the kernel's own counter has it */
	uint64_t written_before;
	uint64_t searched; /* bytes, for what was found */
	size_t left;
};

static void must(int err, const char *what, const char *why)
{
	if (err)
		tap_bail("%s: %s%s%s", what, strerror(-err), why ? ", " : "", why ?: "");
}

/* A process, pressed, with all that was written on its device. */
static void press(struct round *round, const char *area, bool random, bool leak)
{
	const char *why = NULL;

	must(frames_open(&round->frames, &layout, &why), "frames", why);
	holder_start(&round->holder, round->frames, random, leak);
	frames_total(round->frames, &round->total);
	if (swapon(area, 0))
		tap_bail("swapon %s: %s", area, strerror(errno));
	round->written_before = area_vmstat("pswpout");
	must(swap_probe_open(&round->probe, round->frames, &why), "the swap probe", why);
	round->left = holder_press(&round->holder);
	must(area_settle(), "writes do not come to an end", NULL);
}

/* As of now. */
static void count(struct round *round)
{
	must(swap_probe_counts(round->probe, &round->counts), "counts", NULL);
	round->written = area_vmstat("pswpout") - round->written_before;
	for (int i = 0; i < SWAP_WAYS; i++) {
		const struct swap_count *count = &round->counts.way[i];

		tap_note("%s, %s: %llu pages, %llu decoys, %llu secret, %llu unjudged",
			 round->name, swap_way_names[i], count->pages, count->decoys,
			 count->secret, count->unjudged);
	}
	tap_note("%s: %llu events lost; the kernel has counted %" PRIu64 " pages written",
		 round->name, round->counts.lost, round->written);
}

static void note_found(const struct round *round, const char *where)
{
	for (size_t i = 0; i < round->holder.nr_needles; i++)
		tap_note("%s: %" PRIu64 " copies of %s, %" PRIu64
			 " of them whole, %" PRIu64 " where it may be",
			 where, round->found[i].copies, round->holder.needles[i].name,
			 round->found[i].whole, round->found[i].in_frames);
}

static void search_disk(struct round *round, unsigned int drive)
{
	must(hostlink_search_drive(round->name, drive, round->holder.needles,
				   round->holder.nr_needles, round->found,
				   &round->searched),
	     "the host's search", NULL);
	note_found(round, round->name);
}

static void end(struct round *round, const char *area)
{
	swap_probe_close(round->probe);
	holder_end(&round->holder);
	if (swapoff(area))
		tap_bail("swapoff %s: %s", area, strerror(errno));
	frames_close(round->frames);
}

/* Secret, and seen: none but what was let go of on purpose, and nothing untold. */
static bool secret_is(const struct swap_counts *counts, enum swap_way way, bool leak)
{
	unsigned long long most = leak ? HOLDER_SECRETS : 0;

	for (int i = 0; i < SWAP_WAYS; i++)
		if (counts->way[i].secret > most || counts->way[i].unjudged)
			return false;
	return counts->way[way].secret == most && !counts->lost;
}

/* Of every round: POINTS. */
static void judge(const struct round *round, bool leak)
{
	const struct swap_counts *counts = &round->counts;
	const struct frames_total *total = &round->total;

	tap_ok(total->kmod >= HOLDER_SECRETS && total->memfd >= HOLDER_SECRETS &&
		       total->locked == (leak ? 2 : 1) * HOLDER_SECRETS &&
		       total->decoys == HOLDER_DECOYS,
	       "%s: the frames of the region (%llu), of the memfd_secret (%llu) and of what is locked (%llu) are known",
	       round->name, total->kmod, total->memfd, total->locked);
	tap_ok(round->holder.pages >= HOLDER_DECOYS && !round->left,
	       "%s: all of the process's %zu ordinary pages leave memory", round->name,
	       round->holder.pages);
	tap_ok(counts->way[SWAP_OUT].decoys == HOLDER_DECOYS,
	       "%s: the probe sees each of %d decoys leave (%llu)", round->name,
	       HOLDER_DECOYS, counts->way[SWAP_OUT].decoys);
	tap_ok(secret_is(counts, SWAP_OUT, leak),
	       "%s: of the %llu pages that leave, %llu are secret, and none is unjudged",
	       round->name, counts->way[SWAP_OUT].pages, counts->way[SWAP_OUT].secret);
	tap_ok(counts->way[SWAP_DEVICE].pages == round->written && round->written,
	       "%s: the probe sees as many pages written as the kernel has counted (%" PRIu64
	       ")",
	       round->name, round->written);
	tap_ok(!round->found[HOLDER_REGION].elsewhere &&
		       !round->found[HOLDER_MEMFD].elsewhere &&
		       !round->found[HOLDER_LOCKED].elsewhere &&
		       round->found[HOLDER_DECOY].whole >= HOLDER_DECOYS,
	       "%s: a search of it finds the decoys, and of what is in secret or locked pages nothing",
	       round->name);
}

/* A row for each backend. What is in ordinary memory of the same process is found. */
static void record(const struct round *round, const char *row)
{
	static const char *const backends[] = { [HOLDER_REGION] = "kmod",
						[HOLDER_MEMFD] = "memfd_secret",
						[HOLDER_LOCKED] = "mlock" };

	for (int i = HOLDER_REGION; i <= HOLDER_LOCKED; i++)
		residue_record(row, backends[i], round->found[HOLDER_DECOY].copies,
			       round->found[i].copies, round->searched, "");
}

static void test_disk(const char *name, const char *row, const char *area,
		      unsigned int drive)
{
	struct round round = { .name = name };
	const struct swap_count *way = round.counts.way;

	press(&round, area, false, false);
	count(&round);
	search_disk(&round, drive);
	judge(&round, false);
	record(&round, row);
	tap_ok(round.found[HOLDER_DECOY].whole == way[SWAP_DEVICE].decoys &&
		       way[SWAP_BLOCK].decoys == way[SWAP_DEVICE].decoys,
	       "%s: the host finds as many decoys (%" PRIu64
	       ") as the probe saw written (%llu)",
	       name, round.found[HOLDER_DECOY].whole, way[SWAP_DEVICE].decoys);
	end(&round, area);
}

/* That the above can fail: both see what must not be. */
static void test_leak(void)
{
	struct round round = { .name = "a secret in ordinary memory" };
	const struct swap_count *way = round.counts.way;
	const struct hostlink_found *leaked = &round.found[HOLDER_LEAKED];

	must(area_format(disk, AREA_BYTES), disk, NULL);
	press(&round, disk, false, true);
	count(&round);
	search_disk(&round, DISK);
	judge(&round, true);
	tap_ok(way[SWAP_DEVICE].secret == HOLDER_SECRETS,
	       "%s: the probe sees each of its %d pages written (%llu)", round.name,
	       HOLDER_SECRETS, way[SWAP_DEVICE].secret);
	tap_ok(leaked->whole == way[SWAP_DEVICE].secret,
	       "%s: and the host finds it, as often (%" PRIu64 ")", round.name,
	       leaked->whole);
	end(&round, disk);
}

/* As hostlink_found has it: all of a disk is elsewhere. */
static void found_copy(void *arg, const struct search_copy *copy)
{
	struct hostlink_found *found = arg;

	found[copy->needle].copies++;
	found[copy->needle].elsewhere++;
	found[copy->needle].whole += copy->whole;
}

/* From within: who reads the device gets what was written, not what is stored. */
static void search_within(struct round *round, const char *path)
{
	struct search *search = search_new(found_copy, round->found);
	static unsigned char bytes[64 * PAGE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = "";
	uint64_t at = 0;
	ssize_t n;

	if (fd < 0 || !search)
		tap_bail("%s: %s", path, strerror(errno));
	for (size_t i = 0; i < round->holder.nr_needles; i++)
		if (search_add(search, &round->holder.needles[i], &why))
			tap_bail("a needle %s", why);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		search_feed(search, at, bytes, n);
		at += n;
	}
	search_gap(search);
	round->searched = at;
	if (n || at != AREA_BYTES)
		tap_bail("%s: read %" PRIu64 " bytes", path, at);
	search_free(search);
	close(fd);
	note_found(round, round->name);
}

/* Finding a secret is expected in the frames of it. */
static void search_ram(const struct round *round, struct hostlink_found *found)
{
	uint64_t *frames, *more;
	size_t n;

	must(secret_frames(&frames, &n), "the module does not tell its frames", NULL);
	more = reallocarray(frames, n + HOLDER_SECRETS, sizeof(*frames));
	if (!more)
		tap_bail("no memory");
	memcpy(more + n, round->holder.memfd_frames, sizeof(round->holder.memfd_frames));
	must(hostlink_search(round->name, round->holder.needles, round->holder.nr_needles,
			     more, n + HOLDER_SECRETS, found, NULL),
	     "the host's search", NULL);
	free(more);
}

static void test_zram(void)
{
	struct round round = { .name = "zram" };
	const struct swap_count *way = round.counts.way;
	struct hostlink_found ram[HOLDER_NEEDLES];
	uint64_t stored, freed;

	must(area_zram(AREA_BYTES), ZRAM_DISK, NULL);
	press(&round, ZRAM_DISK, true, false);
	count(&round);
	must(area_zram_stored(&stored, &freed), "zram's statistics", NULL);
	search_within(&round, ZRAM_DISK);
	search_ram(&round, ram);

	judge(&round, false);
	record(&round, "zram");
	tap_ok(round.found[HOLDER_DECOY].whole == way[SWAP_DEVICE].decoys,
	       "zram: read through, it has as many decoys (%" PRIu64
	       ") as the probe saw written (%llu)",
	       round.found[HOLDER_DECOY].whole, way[SWAP_DEVICE].decoys);
	/*
	 * The header is a page, too. What is let go of was read back by this process,
	 * or, being zero, was never written.
	 */
	tap_ok(stored <= way[SWAP_DEVICE].pages + 1 &&
		       stored + freed >= way[SWAP_DEVICE].pages + 1 &&
		       freed < HOLDER_DECOYS / 8,
	       "zram: it stores %" PRIu64 " pages, and was told to forget %" PRIu64
	       " at most: the probe saw %llu written, beside the header",
	       stored, freed, way[SWAP_DEVICE].pages);
	/* What cannot be compressed lies there as it is. */
	tap_ok(ram[HOLDER_DECOY].whole >= HOLDER_DECOYS &&
		       ram[HOLDER_REGION].whole == HOLDER_SECRETS &&
		       ram[HOLDER_MEMFD].whole == HOLDER_SECRETS &&
		       !ram[HOLDER_REGION].elsewhere && !ram[HOLDER_MEMFD].elsewhere,
	       "zram: all RAM, zram's too, has decoys (%" PRIu64
	       "), and secrets in secret pages alone (%" PRIu64 " and %" PRIu64 ")",
	       ram[HOLDER_DECOY].whole, ram[HOLDER_REGION].in_frames,
	       ram[HOLDER_MEMFD].in_frames);
	end(&round, ZRAM_DISK);
	must(area_zram_reset(), "zram", NULL);
}

static void test_zswap(void)
{
	uint64_t stored, given_on, given_on_before, into = area_vmstat("zswpout");
	uint64_t zero = area_vmstat("swpout_zero"), at_first, on_disk;
	struct round round = { .name = "zswap" };
	const struct swap_count *way = round.counts.way;

	must(area_zswap(true), "zswap", NULL);
	must(area_zswap_holds(&stored, &given_on_before), "zswap's statistics", NULL);
	must(area_format(disk, AREA_BYTES), disk, NULL);
	press(&round, disk, false, false);
	count(&round);
	search_disk(&round, DISK);
	at_first = round.found[HOLDER_DECOY].whole;
	into = area_vmstat("zswpout") - into;
	zero = area_vmstat("swpout_zero") - zero;
	must(area_zswap_holds(&stored, &given_on), "zswap's statistics", NULL);
	on_disk = round.written - (given_on - given_on_before);

	tap_ok(at_first == way[SWAP_DEVICE].decoys && at_first < HOLDER_DECOYS && stored,
	       "zswap: while it holds them, the host finds as many on the disk (%" PRIu64
	       ") as the probe saw written (%llu)",
	       at_first, way[SWAP_DEVICE].decoys);
	tap_ok(way[SWAP_OUT].pages == into + zero + on_disk,
	       "zswap: of %llu pages that the probe sees leave, it took %" PRIu64
	       ", %" PRIu64 " were zero, and %" PRIu64 " went past it",
	       way[SWAP_OUT].pages, into, zero, on_disk);

	must(area_zswap_empty(), "zswap does not give on what it holds", NULL);
	must(area_settle(), "writes do not come to an end", NULL);
	count(&round);
	search_disk(&round, DISK);
	judge(&round, false);
	tap_ok(round.found[HOLDER_DECOY].whole == way[SWAP_OUT].decoys,
	       "zswap: once it has given all on, the host finds as many (%" PRIu64
	       ") as the probe saw leave (%llu)",
	       round.found[HOLDER_DECOY].whole, way[SWAP_OUT].decoys);
	end(&round, disk);
	must(area_zswap(false), "zswap", NULL);
}

static void skip_zswap(void)
{
	for (int i = 0; i < ZSWAP_POINTS; i++)
		tap_skip("zswap in this kernel", "zswap");
}

int main(int argc, char **argv)
{
	const char *why = NULL;
	uint64_t huge;
	int err;

	(void)argc;
	err = hostlink_open();
	if (err == -ENOENT)
		tap_skip_all("a link to the host: not in the virtual machine");
	if (err)
		tap_bail("host link: %s", strerror(-err));
	holder_enter(argv);
	tap_plan(2 * DISK_POINTS + LEAK_POINTS + ZRAM_POINTS + ZSWAP_POINTS + 1);
	must(layout_learn(&layout, &why), "the layout of memory", why);
	must(area_disk(DISK, disk), "a disk to swap to", NULL);
	must(area_disk(FILE_DISK, file_disk), "a disk for a file", NULL);
	if (area_has_zswap())
		must(area_zswap(false), "zswap", NULL);

	test_leak();
	must(area_format(disk, AREA_BYTES), disk, NULL);
	test_disk("a disk", "swap disk", disk, DISK);
	must(area_file(file_disk, SWAP_FILE, AREA_BYTES), SWAP_FILE, NULL);
	test_disk("a file", "swap file", SWAP_FILE, FILE_DISK);
	test_zram();
	if (area_has_zswap())
		test_zswap();
	else
		skip_zswap();
	huge = area_vmstat("thp_swpout");
	tap_ok(huge, "in all of these, huge pages left whole, too (%" PRIu64 ")", huge);
	return tap_end();
}
