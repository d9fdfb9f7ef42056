// SPDX-License-Identifier: MIT
/*
 * Guarded buffers: who may have one open, when, and what that costs; and what becomes
 * of whoever touches one that is not. What stouset/secrets asserts of its boxes is here.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buffer.h"
#include "buffer_helpers.h"

static volatile unsigned char sink;

static void touch(const struct lethe_buffer *b)
{
	sink = *(volatile unsigned char *)lethe_buffer_data(b);
}

static void change(const struct lethe_buffer *b)
{
	*(volatile unsigned char *)lethe_buffer_data(b) = 1;
}

/* One that nobody may touch. */
static struct lethe_buffer *must_new_closed(void)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	must(b && !lethe_buffer_protect(b, LETHE_ACCESS_NONE));
	return b;
}

#define MISUSE(name) static void name(void)

MISUSE(read_while_closed)
{
	touch(must_new_closed());
}

MISUSE(write_while_closed)
{
	change(must_new_closed());
}

MISUSE(write_while_open_to_be_read)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	touch(b);
	change(b);
}

/* What it may be at rest is no matter while it is open. */
MISUSE(write_while_open_to_be_read_of_one_that_may_be_written)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_protect(b, LETHE_ACCESS_WRITE));
	change(b);
	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	change(b);
}

MISUSE(read_after_close)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	touch(b);
	lethe_buffer_close(b);
	touch(b);
}

MISUSE(read_after_close_of_a_writer)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_WRITE));
	change(b);
	touch(b);
	lethe_buffer_close(b);
	touch(b);
}

MISUSE(read_after_the_last_close_of_two)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ) &&
	     !lethe_buffer_open(b, LETHE_ACCESS_READ));
	lethe_buffer_close(b);
	touch(b);
	lethe_buffer_close(b);
	touch(b);
}

MISUSE(write_what_may_be_read)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_protect(b, LETHE_ACCESS_READ));
	touch(b);
	change(b);
}

MISUSE(read_after_protect)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	must(b);
	change(b);
	must(!lethe_buffer_protect(b, LETHE_ACCESS_READ));
	touch(b);
	must(!lethe_buffer_protect(b, LETHE_ACCESS_WRITE));
	change(b);
	must(!lethe_buffer_protect(b, LETHE_ACCESS_NONE));
	touch(b);
}

MISUSE(read_after_the_library_used_it)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_fill_random(b));
	touch(b);
}

MISUSE(read_before_the_data_while_closed)
{
	struct lethe_buffer *b = must_new_closed();

	sink = ((volatile unsigned char *)lethe_buffer_data(b))[-16];
}

Test(buffer_open, kills_whoever_touches_it_at_the_wrong_time)
{
	faults(read_while_closed);
	faults(write_while_closed);
	faults(write_while_open_to_be_read);
	faults(write_while_open_to_be_read_of_one_that_may_be_written);
	faults(read_after_close);
	faults(read_after_close_of_a_writer);
	faults(read_after_the_last_close_of_two);
	faults(write_what_may_be_read);
	faults(read_after_protect);
	faults(read_after_the_library_used_it);
	faults(read_before_the_data_while_closed);
}

static struct lethe_buffer *new_closed(void)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	cr_assert_not_null(b, "%s", strerror(errno));
	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
	return b;
}

Test(buffer_open, counts_those_who_read)
{
	struct lethe_buffer *b = new_closed();
	unsigned int i;

	for (i = 0; i < 300; i++) {
		cr_assert_eq(b->readers, i);
		cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
		touch(b);
	}
	while (i--) {
		touch(b);
		lethe_buffer_close(b);
		cr_assert_eq(b->readers, i);
	}
	cr_assert_eq(b->now, LETHE_ACCESS_NONE);
	lethe_buffer_free(b);
}

Test(buffer_open, takes_no_more_than_can_be_counted)
{
	struct lethe_buffer *b = new_closed();

	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	b->readers = UINT_MAX - 1;
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), -EOVERFLOW);
	cr_assert_eq(lethe_buffer_copy(b, 0, NULL, 0), -EOVERFLOW);
	lethe_buffer_close(b);
	cr_assert_eq(b->readers, UINT_MAX - 1);
	b->readers = 1;
	lethe_buffer_close(b);
	lethe_buffer_free(b);
}

Test(buffer_open, lets_one_write_or_many_read)
{
	struct lethe_buffer *b = new_closed();

	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), 0);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), -EBUSY);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), -EBUSY);
	change(b);
	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_READ), -EBUSY);
	cr_assert_eq(lethe_buffer_seal(b), -EBUSY);
	lethe_buffer_close(b);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), -EBUSY);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), -EBUSY);
	cr_assert_eq(lethe_buffer_seal(b), -EBUSY);
	lethe_buffer_close(b);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), -EBUSY);
	lethe_buffer_close(b);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), 0);
	change(b);
	lethe_buffer_close(b);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_NONE), -EINVAL);
	cr_assert_eq(lethe_buffer_open(b, (enum lethe_access)3), -EINVAL);
	cr_assert_eq(lethe_buffer_protect(b, (enum lethe_access)3), -EINVAL);
	lethe_buffer_free(b);
}

Test(buffer_open, closes_to_what_it_is_at_rest)
{
	static const enum lethe_access all[] = { LETHE_ACCESS_NONE, LETHE_ACCESS_READ,
						 LETHE_ACCESS_WRITE };
	struct lethe_buffer *b = new_closed();
	size_t rest, open;

	for (rest = 0; rest < 3; rest++) {
		cr_assert_eq(lethe_buffer_protect(b, all[rest]), 0);
		for (open = 1; open < 3; open++) {
			cr_assert_eq(lethe_buffer_open(b, all[open]), 0);
			cr_assert_eq(b->now, all[open]);
			lethe_buffer_close(b);
			cr_assert_eq(b->now, all[rest]);
		}
	}
	lethe_buffer_free(b);
}

MISUSE(closed_without_open)
{
	lethe_buffer_close(must_new_closed());
}

MISUSE(closed_once_too_often)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ) &&
	     !lethe_buffer_open(b, LETHE_ACCESS_READ));
	lethe_buffer_close(b);
	lethe_buffer_close(b);
	lethe_buffer_close(b);
}

MISUSE(closed_twice_by_who_wrote)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_WRITE));
	lethe_buffer_close(b);
	lethe_buffer_close(b);
}

MISUSE(freed_while_read)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	lethe_buffer_free(b);
}

MISUSE(freed_while_written)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_WRITE));
	lethe_buffer_free(b);
}

Test(buffer_open, aborts_where_the_count_is_wrong)
{
	aborts(closed_without_open, ": it is not open");
	aborts(closed_once_too_often, ": it is not open");
	aborts(closed_twice_by_who_wrote, ": it is not open");
	aborts(freed_while_read, ": it is open");
	aborts(freed_while_written, ": it is open");
}

static void cannot_open(void)
{
	struct lethe_buffer *b = must_new_closed();

	forbid(SYS_mprotect);
	must(lethe_buffer_open(b, LETHE_ACCESS_READ) == -EACCES);
	must(lethe_buffer_open(b, LETHE_ACCESS_WRITE) == -EACCES);
	must(lethe_buffer_protect(b, LETHE_ACCESS_READ) == -EACCES);
	must(lethe_buffer_seal(b) == -EACCES);
	must(!b->readers && !b->writer && b->now == LETHE_ACCESS_NONE &&
	     b->at_rest == LETHE_ACCESS_NONE);
}

MISUSE(cannot_close)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	forbid(SYS_mprotect);
	lethe_buffer_close(b);
}

MISUSE(cannot_wipe)
{
	struct lethe_buffer *b = must_new_closed();

	forbid(SYS_mprotect);
	lethe_buffer_free(b);
}

/* What cannot be protected is given back instead; that faults as well. */
MISUSE(cannot_keep)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);
	volatile unsigned char *data;

	must(b);
	data = lethe_buffer_data(b);
	forbid(SYS_mprotect);
	lethe_buffer_free(b);
	sink = *data;
}

Test(buffer_open, fails_closed_where_mprotect_fails)
{
	lives(cannot_open);
	aborts(cannot_close, ": it stays open to everybody (Permission denied)");
	aborts(cannot_wipe, ": its pages cannot be wiped (Permission denied)");
	faults(cannot_keep);
}

static struct lethe_buffer *counted;

static void open_many(void)
{
	unsigned int i;

	if (!counted)
		counted = must_new_closed();
	for (i = 0; i < 20; i++)
		must(!lethe_buffer_open(counted, LETHE_ACCESS_READ));
	for (i = 0; i < 20; i++)
		lethe_buffer_close(counted);
}

static void open_to_write(void)
{
	if (!counted)
		counted = must_new_closed();
	must(!lethe_buffer_open(counted, LETHE_ACCESS_WRITE));
	lethe_buffer_close(counted);
}

static void open_what_is_open_to_all(void)
{
	open_to_write();
	must(!lethe_buffer_protect(counted, LETHE_ACCESS_WRITE));
	must(!lethe_buffer_open(counted, LETHE_ACCESS_WRITE));
	lethe_buffer_close(counted);
	must(!lethe_buffer_protect(counted, LETHE_ACCESS_NONE));
}

Test(buffer_open, takes_one_mprotect_to_open_and_one_to_close_however_many_do)
{
	cr_assert_eq(calls_of(open_many, SYS_mprotect), 2);
	cr_assert_eq(calls_of(open_to_write, SYS_mprotect), 2);
	/* Two of open_to_write()'s, two to protect. */
	cr_assert_eq(calls_of(open_what_is_open_to_all, SYS_mprotect), 4);
}
