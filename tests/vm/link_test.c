// SPDX-License-Identifier: MIT
/*
 * Does the host see this machine's memory? Every "0 copies in guest RAM" of the
 * other programs rests on what is tried here: that a search covers all of RAM,
 * finds what is there, counts it in the right frame, and finds nothing where
 * there is nothing.
 *
 * It never holds more than one byte of a needle in a register, and never hands
 * one to libc or the kernel: either would leave copies that the wiping below
 * does not reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "hostlink.h"

#define PAGE 4096
#define LENGTH 64
/* /proc/self/pagemap, see Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)

/* A needle for bytes that are nowhere yet: mask and masked are both chance. */
static void never_planted(struct needle *needle, const char *name)
{
	memset(needle, 0, sizeof(*needle));
	strcpy(needle->name, name);
	needle->length = LENGTH;
	if (getrandom(needle->mask, LENGTH, 0) != LENGTH ||
	    getrandom(needle->masked, LENGTH, 0) != LENGTH)
		tap_bail("getrandom: %s", strerror(errno));
}

/* Now the bytes are at @where, and nowhere else. */
static void plant(volatile uint8_t *where, const struct needle *needle)
{
	const volatile uint8_t *mask = needle->mask;
	const volatile uint8_t *masked = needle->masked;

	for (unsigned int i = 0; i < needle->length; i++)
		where[i] = mask[i] ^ masked[i];
}

static void *page_new(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	/* Locked: its frame number must stay true. */
	if (page == MAP_FAILED || mlock(page, PAGE))
		tap_bail("a locked page: %s", strerror(errno));
	return page;
}

static uint64_t frame_of(const void *address)
{
	off_t at = (uintptr_t)address / PAGE * sizeof(uint64_t);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		tap_bail("pagemap: %s", strerror(errno));
	close(fd);
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_FRAME))
		tap_bail("pagemap: no frame number (not root?)");
	return entry & PAGEMAP_FRAME;
}

static void search(const char *label, const struct needle *needles, size_t n,
		   const uint64_t *frame, struct hostlink_found *found,
		   uint64_t *searched)
{
	int err = hostlink_search(label, needles, n, frame, frame ? 1 : 0, found,
				  searched);

	if (err)
		tap_bail("search '%s': %s", label, strerror(-err));
	for (size_t i = 0; i < n; i++)
		tap_note("%s, %s: %" PRIu64 " copies, %" PRIu64 " whole, "
			 "longest %" PRIu64 ", %" PRIu64 " in the frame, the first "
			 "at 0x%" PRIx64,
			 label, found[i].name, found[i].copies, found[i].whole,
			 found[i].longest, found[i].in_frames, found[i].address);
}

static void test_requests(const struct needle *good)
{
	struct needle pair[2] = { *good, *good };
	struct hostlink_found found[2];

	tap_ok(hostlink_search("none", pair, 0, NULL, 0, found, NULL) == -EINVAL,
	       "a search for no needle is refused");
	tap_ok(hostlink_search("twins", pair, 2, NULL, 0, found, NULL) == -EINVAL,
	       "two needles of one name are refused");
	pair[0].length = NEEDLE_MIN - 1;
	tap_ok(hostlink_search("short", pair, 1, NULL, 0, found, NULL) == -EINVAL,
	       "a needle that chance could find is refused");
}

static void test_memory(const struct needle *needles, uint8_t *ordinary, uint8_t *framed)
{
	uint64_t frame = frame_of(framed), searched = 0;
	struct hostlink_found before[3], after[3];
	struct sysinfo info;

	plant(ordinary, &needles[1]);
	plant(framed + PAGE - LENGTH, &needles[2]);
	search("planted", needles, 3, &frame, before, &searched);
	explicit_bzero(ordinary, PAGE);
	explicit_bzero(framed, PAGE);
	search("wiped", needles, 3, &frame, after, NULL);

	if (sysinfo(&info))
		tap_bail("sysinfo: %s", strerror(errno));
	tap_ok(searched >= (uint64_t)info.totalram * info.mem_unit,
	       "a search covers all of the machine's memory");
	tap_note("%" PRIu64 " bytes, of which the kernel has %" PRIu64, searched,
		 (uint64_t)info.totalram * info.mem_unit);
	tap_ok(!before[0].copies && !after[0].copies,
	       "bytes that were never planted are not found");
	tap_ok(before[1].whole == 1 && before[1].elsewhere == before[1].copies,
	       "bytes in ordinary memory are found there, whole");
	tap_ok(before[2].whole == 1 && before[2].copies == 1 &&
		       before[2].in_frames == 1 && !before[2].elsewhere,
	       "bytes in a named frame are counted in it and nowhere else");
	tap_ok(before[2].address / PAGE == frame &&
		       before[2].address % PAGE == PAGE - LENGTH,
	       "the address that is told is the physical one");
	tap_ok(!after[1].copies && !after[2].copies,
	       "neither is found once it was wiped");
}

int main(void)
{
	struct needle needles[3];
	int err = hostlink_open();

	if (err == -ENOENT)
		tap_skip_all("a link to the host: not in the virtual machine");
	tap_plan(9);
	if (err)
		tap_bail("host link: %s", strerror(-err));

	never_planted(&needles[0], "nowhere");
	never_planted(&needles[1], "ordinary");
	never_planted(&needles[2], "framed");
	test_requests(&needles[0]);
	test_memory(needles, page_new(), page_new());
	return tap_end();
}
