// SPDX-License-Identifier: MIT
/*
 * All that /proc/kcore, the kernel's view of memory, has of RAM, searched for what is in
 * a region, or, without the module, in a memfd_secret and in memory that is only locked;
 * and, for the control, in ordinary memory, which is there meanwhile as they are. For the
 * virtual machine: it takes a kernel that has it, and a machine that is not large.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "ending.h"
#include "record.h"
#include "search.h"

#define KCORE "/proc/kcore"

enum { CONTROL, KMOD, MEMFD, LOCKED, NEEDLES };
static const char *const names[NEEDLES] = {
	[CONTROL] = "control",
	[KMOD] = "kmod",
	[MEMFD] = "memfd_secret",
	[LOCKED] = "mlock",
};

/* Those that there are here: the control, and from @first to @last. */
static int first, last;
static struct needle needles[NEEDLES];
static uint64_t copies[NEEDLES], whole[NEEDLES];

static int next(int which)
{
	return which == CONTROL ? first : which + 1;
}

static void found(void *arg, const struct search_copy *copy)
{
	int which = copy->needle ? first + (int)copy->needle - 1 : CONTROL;

	(void)arg;
	copies[which]++;
	whole[which] += copy->whole;
}

/* Where each of the needles goes. */
static unsigned char *map(int which)
{
	size_t length = ENDING_PAGES * ENDING_PAGE;
	unsigned char *at;
	int fd = -1;

	if (which == KMOD)
		fd = ending_region();
	if (which == MEMFD) {
		fd = syscall(SYS_memfd_secret, O_CLOEXEC);
		if (ftruncate(fd, length))
			tap_bail("memfd_secret: %s", strerror(errno));
	}
	at = fd >= 0 ? ending_map(fd) :
		       mmap(NULL, length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || (which == LOCKED && mlock(at, length)) ||
	    (which == KMOD && fd < 0))
		tap_bail("no memory for %s: %s", names[which], strerror(errno));
	return at;
}

static void search_part(struct search *search, int fd, const Elf64_Phdr *part)
{
	static unsigned char bytes[1 << 18];

	for (uint64_t at = 0; at < part->p_filesz;) {
		uint64_t left = part->p_filesz - at;
		ssize_t n = pread(fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes),
				  part->p_offset + at);

		if (n <= 0)
			tap_bail(KCORE " at %#" PRIx64 ": %s", part->p_paddr + at,
				 n ? strerror(errno) : "its end");
		search_feed(search, part->p_paddr + at, bytes, n);
		at += n;
	}
	search_gap(search);
}

/* The bytes that were searched: of RAM alone the physical addresses are known. */
static uint64_t search_kcore(void)
{
	int fd = open(KCORE, O_RDONLY | O_CLOEXEC);
	struct search *search = search_new(found, NULL);
	Elf64_Ehdr header;
	Elf64_Phdr part;
	uint64_t bytes;

	for (int i = CONTROL; i <= last; i = next(i))
		if (!search || search_add(search, &needles[i], NULL))
			tap_bail("a needle is refused");
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		tap_bail(KCORE ": %s", strerror(errno));
	for (int i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part)) !=
		    sizeof(part))
			tap_bail(KCORE ": %s", strerror(errno));
		if (part.p_type == PT_LOAD && part.p_paddr != ~0UL)
			search_part(search, fd, &part);
	}
	bytes = search_bytes(search);
	search_free(search);
	close(fd);
	return bytes;
}

static void judge(int which, uint64_t searched)
{
	residue_record(
		"kcore", names[which], copies[CONTROL], copies[which], searched,
		which == LOCKED && copies[which] ?
			"locked pages stay in the kernel's own map, which kcore reads" :
			"");
	if (which != LOCKED)
		tap_ok(!copies[which], KCORE ": of %s it has nothing (%" PRIu64 ")",
		       names[which], copies[which]);
}

int main(void)
{
	bool module = !access(LETHE_DEVICE, F_OK), there = true;
	volatile unsigned char *at[NEEDLES];
	uint64_t searched;

	if (access(KCORE, R_OK))
		tap_skip_all(KCORE);
	first = module ? KMOD : MEMFD;
	last = module ? KMOD : LOCKED;
	tap_plan(3);
	for (int i = CONTROL; i <= last; i = next(i)) {
		at[i] = map(i);
		ending_plant(&needles[i], names[i], at[i], ENDING_PAGES);
	}
	searched = search_kcore();
	tap_ok(whole[CONTROL] >= ENDING_PAGES,
	       KCORE " has each of an ordinary memory's %zu pages (%" PRIu64
		     ", in %" PRIu64 " bytes)",
	       ENDING_PAGES, whole[CONTROL], searched);
	for (int i = first; i <= last; i++)
		judge(i, searched);
	for (int i = CONTROL; i <= last; i = next(i))
		for (size_t j = 0; j < needles[i].length; j++)
			there &= at[i][j] == (needles[i].mask[j] ^ needles[i].masked[j]);
	tap_ok(there, "and all of it is still there, for its owner");
	return tap_end();
}
