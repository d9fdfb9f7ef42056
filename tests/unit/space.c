// SPDX-License-Identifier: MIT
/* The reservation: what lies where, and what a forked child has of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

static enum lethe_level expected(void)
{
	int err;

	return backend_get(&err)->level;
}

Test(space, refuses_what_is_no_number_of_pages)
{
	cr_assert_null(space_map(0, 0));
	cr_assert_eq(errno, EINVAL);
	cr_assert_null(space_map(PAGE + 1, 0));
	cr_assert_eq(errno, EINVAL);
	cr_assert_null(space_map(SIZE_MAX - PAGE + 1, 0));
	cr_assert_eq(errno, EINVAL);
}

Test(space, knows_the_level_of_each_page_and_no_more)
{
	/* Within a chunk, to its last page, past it, and as a chunk fills. */
	static const size_t pages[] = { 1, 15, 16, 17, 31, 32, 33 };
	size_t i, page;
	char *p;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		p = space_map(pages[i] * PAGE, 0);
		cr_assert_not_null(p);
		for (page = 0; page < pages[i]; page++)
			cr_assert_eq(lethe_level_of(p + page * PAGE), expected());
		cr_assert_eq(lethe_level_of(p + pages[i] * PAGE - 1), expected());
		cr_assert_eq(lethe_level_of(p + pages[i] * PAGE), LETHE_LEVEL_NONE);
		cr_assert_eq(lethe_level_of(p - 1), LETHE_LEVEL_NONE);
		space_unmap(p, pages[i] * PAGE, 0);
		cr_assert_eq(lethe_level_of(p), LETHE_LEVEL_NONE);
	}
}

Test(space, knows_ordinary_memory_from_secret)
{
	int here = 0;

	cr_assert_eq(lethe_level_of(&here), LETHE_LEVEL_NONE);
	cr_assert_eq(lethe_level_of(NULL), LETHE_LEVEL_NONE);
	cr_assert_eq(lethe_level_of((void *)UINTPTR_MAX), LETHE_LEVEL_NONE);
	cr_assert_not(space_contains(&here));
}

Test(space, gives_zeroed_pages_the_second_time_too)
{
	size_t i, round, length = 8 * PAGE;
	unsigned char *p;

	for (round = 0; round < 64; round++) {
		p = space_map(length, 0);
		cr_assert_not_null(p);
		for (i = 0; i < length; i++)
			cr_assert_eq(p[i], 0);
		for (i = 0; i < length; i++)
			p[i] = 0xff;
		space_unmap(p, length, 0);
	}
}

Test(space, leaves_a_page_of_nothing_between_two, .signal = SIGSEGV)
{
	volatile char *p = space_map(CHUNK, 0);

	cr_assert_not_null(space_map(PAGE, 0));
	p[CHUNK] = 1;
}

Test(space, faults_where_pages_were_given_back, .signal = SIGSEGV)
{
	volatile char *p = space_map(PAGE, 0);

	space_unmap((void *)p, PAGE, 0);
	p[0] = 1;
}

Test(space, is_lost_in_a_child_and_its_addresses_are_not_used_again)
{
	char *p = space_map(PAGE, 0), *q;
	int status;
	pid_t pid;
	size_t i;

	cr_assert_not(space_lost(p));
	pid = fork();
	if (!pid) {
		for (i = 0; i < 64; i++) {
			q = space_map(PAGE, 0);
			if (!q || q == p || lethe_level_of(q) != expected())
				_exit(1);
		}
		_exit(space_lost(p) && !space_lost(p + CHUNK * 1024) &&
				      lethe_level_of(p) == LETHE_LEVEL_NONE ?
			      0 :
			      2);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
	cr_assert_eq(lethe_level_of(p), expected());
}

/* Every mapping in the reservation: how many are, and how many are not, so marked. */
static void count_in_dumps(size_t *kept, size_t *dumped)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool in = false;
	char line[512];

	*kept = *dumped = 0;
	cr_assert_not_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = space_contains((void *)start);
		else if (in && !strncmp(line, "VmFlags:", 8))
			++*(strstr(line, " dd") ? kept : dumped);
	}
	fclose(smaps);
}

/* What is not there is none of gcore's business either: gigabytes of it. */
Test(space, is_kept_from_dumps_mapped_or_not)
{
	char *p = space_map(PAGE, 0), *q = space_map(20 * PAGE, CHUNK);
	size_t kept, dumped;

	cr_assert(p && q);
	count_in_dumps(&kept, &dumped);
	cr_assert_gt(kept, 2);
	cr_assert_eq(dumped, 0);
	space_unmap(p, PAGE, 0);
	count_in_dumps(&kept, &dumped);
	cr_assert_gt(kept, 1);
	cr_assert_eq(dumped, 0);
	space_unmap(q, 20 * PAGE, CHUNK);
}

/* As a fork's child has them copied: without a guard, in order, and all of each. */
Test(space, finds_what_has_no_guard)
{
	static const size_t pages[] = { 1, 15, 16, 17, 32, 40 };
	char *starts[ARRAY_SIZE(pages)], *from, *start, *guarded;
	size_t i, length, found = 0, mapped = lethe_space_mapped(), all = 0;

	guarded = space_map(3 * PAGE, CHUNK);
	cr_assert_not_null(guarded);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		starts[i] = space_map(pages[i] * PAGE, 0);
		cr_assert_not_null(starts[i]);
		all += pages[i] * PAGE;
	}
	cr_assert_eq(lethe_space_mapped(), mapped + all + 3 * PAGE);
	space_fork_prepare();
	for (from = (char *)lethe_space_base; space_next_unguarded(from, &start, &length);
	     from = start + length) {
		cr_assert_neq(start, guarded);
		for (i = 0; i < ARRAY_SIZE(pages); i++)
			if (start == starts[i] && length == pages[i] * PAGE)
				found++;
	}
	space_fork_parent();
	cr_assert_eq(found, ARRAY_SIZE(pages));
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		space_unmap(starts[i], pages[i] * PAGE, 0);
	space_unmap(guarded, 3 * PAGE, CHUNK);
}
