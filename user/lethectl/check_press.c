// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Presses the subject's memory until no ordinary page of its own is left in it. Which
 * are, its page table says; nobody touches them meanwhile, since it sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "output.h"

#define PAGE 4096
#define AT_ONCE 512
/* Rounds by the cgroup alone, before what has stayed is asked for page by page. */
#define ROUNDS 3
/* And so many more in vain, 20 ms each: whoever holds those pages does not let go. */
#define VAIN 50

/* Documentation/admin-guide/mm/pagemap.rst */
#define PRESENT (1ULL << 63)
#define SWAPPED (1ULL << 62)
#define SHARED (1ULL << 61) /* of a file, or of shared memory */
#define OWN (1ULL << 56)    /* mapped here and nowhere else */

/* The subject's page table, and what is in it. */
struct table {
	int pagemap, pidfd;
	FILE *smaps;
	const struct subject *subject;
	size_t stayed, left;
	bool decoys_only;
};

static bool is_decoy(const struct subject *subject, unsigned long long address)
{
	return address - subject->decoy < subject->decoys * PAGE;
}

static int count(struct table *table, unsigned long long from, unsigned long long to)
{
	uint64_t entries[AT_ONCE];
	size_t nr, i;

	for (; from < to; from += nr * PAGE) {
		nr = (to - from) / PAGE < AT_ONCE ? (to - from) / PAGE : AT_ONCE;
		if (pread(table->pagemap, entries, nr * sizeof(*entries),
			  (off_t)(from / PAGE * sizeof(*entries))) !=
		    (ssize_t)(nr * sizeof(*entries)))
			return -EIO;
		for (i = 0; i < nr; i++) {
			/* What it has from its parent since fork() is that one's too. */
			if ((entries[i] & (PRESENT | SHARED | OWN)) == (PRESENT | OWN))
				table->stayed++;
			if (entries[i] & SWAPPED &&
			    is_decoy(table->subject, from + i * PAGE))
				table->left++;
		}
	}
	return 0;
}

/* What is refused or not heeded is still there at the next count. */
static void advise(const struct table *table, unsigned long long from,
		   unsigned long long to)
{
	struct iovec range = { (void *)(uintptr_t)from, to - from };

	syscall(SYS_process_madvise, table->pidfd, &range, 1UL, MADV_PAGEOUT, 0U);
}

/* Of one mapping, as smaps has it: is it ordinary memory, so that it can leave? */
static bool is_ordinary(const char *flags)
{
	/* Locked, as secret memory is; and what has no page of its own, or is no memory. */
	static const char *const not [] = { " lo", " pf", " mm", " io" };
	size_t i;

	for (i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
		if (strstr(flags, not [i]))
			return false;
	return true;
}

/* Each ordinary mapping, in one walk. 0 or -errno. */
static int walk(struct table *table, bool press)
{
	unsigned long long from = 0, to = 0, start, end;
	char line[512], blank;
	int err = 0;

	rewind(table->smaps);
	table->stayed = table->left = 0;
	while (!err && fgets(line, sizeof(line), table->smaps)) {
		/* Other lines begin with what may pass for a number: "FilePmdMapped:". */
		if (sscanf(line, "%llx-%llx%c", &start, &end, &blank) == 3 &&
		    blank == ' ') {
			from = start;
			to = end;
		}
		if (strncmp(line, "VmFlags:", 8) || !is_ordinary(line + 8) ||
		    to > 1ULL << 47)
			continue;
		if (press)
			advise(table, from, to);
		err = count(table, from, to);
	}
	return err ? err : ferror(table->smaps) ? -EIO : 0;
}

static int table_open(struct table *table, const struct subject *subject)
{
	char path[64];

	memset(table, 0, sizeof(*table));
	table->subject = subject;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", subject->pid);
	table->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (table->pagemap < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/smaps", subject->pid);
	table->smaps = fopen(path, "re");
	table->pidfd = (int)syscall(SYS_pidfd_open, subject->pid, 0);
	return table->smaps && table->pidfd >= 0 ? 0 : -errno;
}

static void table_close(struct table *table)
{
	if (table->pagemap >= 0)
		close(table->pagemap);
	if (table->pidfd > 0)
		close(table->pidfd);
	if (table->smaps)
		fclose(table->smaps);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int press_once(struct check *check, struct table *table, unsigned int round)
{
	int err;

	if (check->pressure.version)
		cgroup_press(&check->pressure, check->guarded);
	err = walk(table, !check->pressure.version || round >= ROUNDS);
	check->left = table->left;
	check->stayed = table->stayed;
	progress("%zu of %zu decoys have left, %zu ordinary pages have not", table->left,
		 check->subject->decoys, table->stayed);
	return err;
}

int press(struct check *check)
{
	double start = seconds();
	unsigned int round, vain = 0;
	struct table table;
	size_t stayed = SIZE_MAX;
	int err = table_open(&table, check->subject);

	for (round = 0; !err; round++) {
		err = press_once(check, &table, round);
		check->took = seconds() - start;
		if (err || !table.stayed)
			break;
		vain = table.stayed < stayed ? 0 : vain + 1;
		stayed = table.stayed;
		if (check->took > check->seconds || vain > ROUNDS + VAIN)
			err = -ETIMEDOUT;
		else if (round > ROUNDS)
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	table_close(&table);
	return err;
}
