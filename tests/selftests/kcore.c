// SPDX-License-Identifier: MIT
/*
 * What /proc/kcore, the kernel's view of all memory, has of a region: zeros. It
 * is asked for a frame by number, which root alone can have.
 */
#include <elf.h>

#include "door.h"

#define MARK 0x6c65746865736563UL

/*
 * What /proc/kcore has of a frame's first word, at any place: freed memory of the
 * kernel's own is in two, and with page table isolation one of them is empty.
 */
static bool kcore_word(uint64_t frame, uint64_t *word)
{
	uint64_t at = frame * PAGE, here;
	Elf64_Ehdr header;
	Elf64_Phdr part;
	bool got = false;
	int fd = open("/proc/kcore", O_RDONLY);

	if (fd < 0)
		return false;
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		header.e_phnum = 0;
	for (int i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part)) !=
		    sizeof(part))
			break;
		/* Physical addresses are known of RAM alone. */
		if (part.p_type != PT_LOAD || part.p_paddr == ~0UL || part.p_paddr > at ||
		    at - part.p_paddr >= part.p_filesz)
			continue;
		if (pread(fd, &here, sizeof(here), part.p_offset + (at - part.p_paddr)) !=
		    sizeof(here))
			continue;
		*word |= here;
		got = true;
	}
	close(fd);
	return got;
}

static uint64_t frame_of_plain(void *at)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, sizeof(entry), (uintptr_t)at / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

static void test_kcore(int fd, uint64_t *plain)
{
	uint64_t frame = 0, word = 0, control = 0;
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES | LETHE_QUERY_REGION,
		.fd = fd,
		.nr_frames = 1,
		.frames = (uintptr_t)&frame,
	};

	if (call(LETHE_IOC_QUERY, &args) || access("/proc/kcore", R_OK)) {
		tap_skip("root and /proc/kcore", "/proc/kcore: reads as zero");
		return;
	}
	tap_ok(kcore_word(frame_of_plain(plain), &control) && control == MARK &&
		       kcore_word(frame, &word) && !word,
	       "/proc/kcore: reads as zero (an ordinary page reads as it is)");
}

int main(void)
{
	uint64_t *secret, *plain;
	int fd;

	door_open();
	tap_plan(2);
	fd = must_create(PAGE);
	secret = (uint64_t *)must_map(fd, PAGE);
	plain = (uint64_t *)must_map_plain(PAGE);
	*plain = MARK;
	*secret = MARK;
	test_kcore(fd, plain);
	tap_ok(*secret == MARK, "and the word is still there, for its owner");
	return tap_end();
}
