/* SPDX-License-Identifier: MIT */
/*
 * The pages of a process that are kept from swap and from core dumps: Lethe's, on every
 * backend, and what another library has locked.
 */
#ifndef RESIDUE_SECRET_PAGES_H
#define RESIDUE_SECRET_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct secret_pages {
	struct secret_range {
		uint64_t start, end;
		bool readable; /* by the process itself, now */
	} * range;
	size_t nr;
};

/* Of a process that stands still, or of this one. 0 or -errno; free() @range after it. */
int secret_pages_read(struct secret_pages *pages, pid_t pid);
bool secret_pages_have(const struct secret_pages *pages, uint64_t address);

#endif /* RESIDUE_SECRET_PAGES_H */
