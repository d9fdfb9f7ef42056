// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A file, searched for the secret as memory is: a core dump, of which it says in which
 * segment, and so at which address of the program's, something lies. Reads it, and
 * nothing else.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "scan.h"

/* A program with so many mappings has its count elsewhere in the file. */
#define SEGMENTS_MAX 65535

struct segments {
	Elf64_Phdr *segment;
	size_t nr;
};

static void read_segments(int fd, struct segments *segments)
{
	Elf64_Ehdr header;
	size_t bytes;

	*segments = (struct segments){ 0 };
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == PN_XNUM)
		return;
	bytes = header.e_phnum * sizeof(Elf64_Phdr);
	segments->segment = malloc(bytes);
	if (segments->segment &&
	    pread(fd, segments->segment, bytes, (off_t)header.e_phoff) == (ssize_t)bytes)
		segments->nr = header.e_phnum;
}

static void place_in_file(const struct segments *segments, uint64_t offset,
			  struct place *place)
{
	size_t i;

	place->address = offset;
	for (i = 0; i < segments->nr; i++) {
		const Elf64_Phdr *segment = &segments->segment[i];

		if (offset < segment->p_offset ||
		    offset - segment->p_offset >= segment->p_filesz)
			continue;
		place->offset = offset - segment->p_offset;
		if (segment->p_type == PT_NOTE)
			snprintf(place->where, sizeof(place->where),
				 "the notes: registers, or what it was started with");
		else
			snprintf(place->where, sizeof(place->where),
				 "memory at %#llx (%s%s%s), segment %zu",
				 (unsigned long long)(segment->p_vaddr + place->offset),
				 segment->p_flags & PF_R ? "r" : "-",
				 segment->p_flags & PF_W ? "w" : "-",
				 segment->p_flags & PF_X ? "x" : "-", i);
		return;
	}
	snprintf(place->where, sizeof(place->where), "byte %llu",
		 (unsigned long long)offset);
}

static int feed_all(struct scan *scan, int fd, uint64_t *length)
{
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;
	size_t filled;
	ssize_t n;

	for (;;) {
		/* Whole buffers, so that each begins at a multiple of four. */
		for (filled = 0; filled < SCAN_BUFFER; filled += (size_t)n) {
			n = pread(fd, buffer + filled, SCAN_BUFFER - filled,
				  (off_t)(*length + filled));
			if (n < 0 && errno == EINTR)
				n = 0;
			else if (n < 0)
				return -errno;
			else if (!n)
				break;
		}
		if (!filled)
			return 0;
		engine_feed(scan->engine, *length, buffer, filled);
		*length += filled;
	}
}

int scan_file(struct scan *scan, int fd, uint64_t *length, char *why, size_t room)
{
	struct place place = { .kind = "file" };
	struct segments segments;
	size_t i;
	int err;

	scan_forget(scan);
	scan->stopped = (struct stopped){ 0 };
	scan->peeked_at = UINT64_MAX;
	scan->memory = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	*length = 0;
	read_segments(fd, &segments);
	/* The engine begins anew. */
	memset(scan->buffer + ENGINE_BEFORE, 0, 8);
	engine_feed_alone(scan->engine, 0, scan->buffer + ENGINE_BEFORE, 8);
	scan->register_place = &place;
	err = feed_all(scan, fd, length);
	engine_flush(scan->engine);
	scan->register_place = NULL;
	for (i = 0; i < scan->nr_findings; i++)
		place_in_file(&segments, scan->findings[i].run.address,
			      &scan->findings[i].place);
	free(segments.segment);
	if (err)
		snprintf(why, room, "it cannot be read whole: %s", strerror(-err));
	return err;
}
