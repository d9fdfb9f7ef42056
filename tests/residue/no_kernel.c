// SPDX-License-Identifier: MIT
/*
 * Of what lethectl scan is made of, the part that residue-search goes without: what the
 * kernel keeps of a thread's registers. It takes BPF programs, which not every machine can
 * build or load, and the rows of kernel_copies_test are of that.
 */
#include "scan.h"

int kernel_scan(struct scan *scan)
{
	(void)scan;
	return 0;
}

void kernel_open(struct scan *scan)
{
	(void)scan;
}

bool kernel_place(struct scan *scan, uint64_t offset, struct place *place)
{
	(void)scan;
	(void)offset;
	(void)place;
	return true;
}

void kernel_wipe(struct scan *scan)
{
	(void)scan;
}

void kernel_close(struct scan *scan)
{
	(void)scan;
}
