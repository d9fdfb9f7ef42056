/* SPDX-License-Identifier: MIT */
/*
 * A line of the residue table, among the results of whichever test measured it: that
 * test judges it, and table.py gathers the lines of all.
 */
#ifndef RESIDUE_RECORD_H
#define RESIDUE_RECORD_H

#include <inttypes.h>

#include "../selftests/tap.h"

/**
 * residue_record() - one row, measured
 * @row: its name, as table.py has it
 * @backend: "kmod", "memfd_secret", "mlock"; or another word in its place, as "wipe"
 * @control: copies found with the erasure off, by the same search in the same run
 * @copies: copies found
 * @searched: bytes that were searched for these
 * @why: in a clause, why there are copies and have to be; "" where there are none
 */
__attribute__((unused)) static void residue_record(const char *row, const char *backend,
						   uint64_t control, uint64_t copies,
						   uint64_t searched, const char *why)
{
	tap_note("residue\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s", row,
		 backend, control, copies, searched, why);
}

#endif /* RESIDUE_RECORD_H */
