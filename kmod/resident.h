/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of the caller's address space is in memory: see resident.c.
 */
#ifndef LETHE_RESIDENT_H
#define LETHE_RESIDENT_H

/**
 * enum lethe_resident - what stands at an address
 * @LETHE_ABSENT: no page, in memory or elsewhere
 * @LETHE_SWAPPED: a page that is swapped out
 * @LETHE_FENCED: a guard page, which MADV_GUARD_INSTALL made
 * @LETHE_WRITABLE: a page, which a write reaches without a fault
 * @LETHE_GUARDED: a page, which a write reaches by a fault or not at all: shared
 *	copy-on-write, read-only, PROT_NONE, being migrated
 */
enum lethe_resident {
	LETHE_ABSENT,
	LETHE_SWAPPED,
	LETHE_FENCED,
	LETHE_WRITABLE,
	LETHE_GUARDED,
};

enum lethe_resident lethe_resident_run(unsigned long addr, unsigned long end,
				       unsigned long *next);

#endif /* LETHE_RESIDENT_H */
