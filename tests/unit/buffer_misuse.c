// SPDX-License-Identifier: MIT
/*
 * Guarded buffers, when they are touched out of bounds or after their end: children die
 * of it, by the right signal and with the right words.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "buffer.h"
#include "buffer_helpers.h"

static struct lethe_buffer *must_new(size_t length)
{
	struct lethe_buffer *b = lethe_buffer_new(length, 0);

	must(b);
	return b;
}

static volatile unsigned char sink;

#define MISUSE(name) static void name(void)

MISUSE(write_past_the_end)
{
	((volatile char *)lethe_buffer_data(must_new(7)))[7] = 1;
}

MISUSE(read_past_the_end)
{
	sink = ((volatile unsigned char *)lethe_buffer_data(must_new(4096)))[4096];
}

MISUSE(write_far_past_the_end)
{
	((volatile char *)lethe_buffer_data(must_new(7)))[7 + 4095] = 1;
}

MISUSE(write_past_the_end_of_pages_used_before)
{
	lethe_buffer_free(must_new(7));
	((volatile char *)lethe_buffer_data(must_new(9)))[9] = 1;
}

MISUSE(touch_one_of_no_bytes)
{
	*(volatile char *)lethe_buffer_data(must_new(0)) = 1;
}

MISUSE(write_before_the_page)
{
	((volatile char *)lethe_buffer_data(must_new(100)))[100 - 4097] = 1;
}

MISUSE(write_before_what_fills_its_pages)
{
	((volatile char *)lethe_buffer_data(must_new(8192)))[-1] = 1;
}

Test(buffer_misuse, its_guards_kill)
{
	faults(write_past_the_end);
	faults(read_past_the_end);
	faults(write_far_past_the_end);
	faults(write_past_the_end_of_pages_used_before);
	faults(touch_one_of_no_bytes);
	faults(write_before_the_page);
	faults(write_before_what_fills_its_pages);
}

static void underflow(size_t length, size_t by, unsigned int flags)
{
	struct lethe_buffer *b = lethe_buffer_new(length, flags);
	volatile unsigned char *data;

	must(b);
	data = lethe_buffer_data(b);
	data[-(ptrdiff_t)by] ^= 1;
	lethe_buffer_free(b);
}

MISUSE(one_byte_before)
{
	underflow(32, 1, 0);
}

MISUSE(one_byte_before_a_quick_one)
{
	underflow(32, 1, LETHE_BUFFER_QUICK);
}

MISUSE(sixteen_bytes_before)
{
	underflow(32, 16, 0);
}

MISUSE(seventeen_bytes_before)
{
	underflow(32, 17, 0);
}

MISUSE(where_its_page_begins)
{
	underflow(33, 4096 - 33, 0);
}

MISUSE(before_one_of_no_bytes)
{
	underflow(0, 1, 0);
}

MISUSE(in_the_only_byte_there_is)
{
	underflow(4095, 1, 0);
}

/* What stood there, as an earlier buffer had it. */
MISUSE(with_the_canary_of_another)
{
	struct lethe_buffer *a = must_new(32), *b = must_new(32);

	memcpy((char *)lethe_buffer_data(a) - 16, (char *)lethe_buffer_data(b) - 16, 16);
	lethe_buffer_free(a);
}

MISUSE(and_protected)
{
	struct lethe_buffer *b = must_new(32);

	((char *)lethe_buffer_data(b))[-3] ^= 64;
	lethe_buffer_protect(b, LETHE_ACCESS_NONE);
}

MISUSE(and_closed)
{
	struct lethe_buffer *b = must_new(32);

	must(!lethe_buffer_protect(b, LETHE_ACCESS_NONE) &&
	     !lethe_buffer_open(b, LETHE_ACCESS_WRITE));
	((char *)lethe_buffer_data(b))[-3] ^= 64;
	lethe_buffer_close(b);
}

MISUSE(and_sealed)
{
	struct lethe_buffer *b = must_new(32);

	((char *)lethe_buffer_data(b))[-99] ^= 64;
	lethe_buffer_seal(b);
}

Test(buffer_misuse, finds_what_was_written_before_it)
{
	static const char why[] = ": what lies before its data was overwritten";

	aborts(one_byte_before, why);
	aborts(one_byte_before_a_quick_one, why);
	aborts(sixteen_bytes_before, why);
	aborts(seventeen_bytes_before, why);
	aborts(where_its_page_begins, why);
	aborts(before_one_of_no_bytes, why);
	aborts(in_the_only_byte_there_is, why);
	aborts(with_the_canary_of_another, why);
	aborts(and_protected, why);
	aborts(and_closed, why);
	aborts(and_sealed, why);
}

static volatile unsigned char *dangling(unsigned int flags)
{
	struct lethe_buffer *b = lethe_buffer_new(32, flags);
	volatile unsigned char *data;

	must(b);
	data = lethe_buffer_data(b);
	data[5] = 1;
	lethe_buffer_free(b);
	return data;
}

MISUSE(read_after_free)
{
	sink = dangling(0)[5];
}

MISUSE(write_after_free)
{
	dangling(0)[5] = 1;
}

MISUSE(read_after_free_and_trim)
{
	volatile unsigned char *data = dangling(0);

	must(lethe_trim());
	sink = data[5];
}

MISUSE(read_a_quick_one_after_free_and_trim)
{
	volatile unsigned char *data = dangling(LETHE_BUFFER_QUICK);

	must(lethe_trim());
	sink = data[5];
}

MISUSE(read_a_quick_one_after_free)
{
	must(dangling(LETHE_BUFFER_QUICK)[5] == 0);
}

MISUSE(write_a_quick_one_after_free)
{
	dangling(LETHE_BUFFER_QUICK)[5] = 1;
	must_new(64);
}

MISUSE(write_a_quick_one_after_free_and_trim)
{
	dangling(LETHE_BUFFER_QUICK)[5] = 1;
	lethe_trim();
}

Test(buffer_misuse, is_not_to_be_touched_once_it_is_freed)
{
	static const char why[] =
		" were written after the buffer that they were had been freed";

	faults(read_after_free);
	faults(write_after_free);
	faults(read_after_free_and_trim);
	faults(read_a_quick_one_after_free_and_trim);
	lives(read_a_quick_one_after_free);
	aborts(write_a_quick_one_after_free, why);
	aborts(write_a_quick_one_after_free_and_trim, why);
}

MISUSE(freed_twice)
{
	struct lethe_buffer *b = must_new(32);

	lethe_buffer_free(b);
	/* Not the next description that is taken. */
	must_new(32);
	lethe_buffer_free(b);
}

MISUSE(opened_after_free)
{
	struct lethe_buffer *b = must_new(32);

	lethe_buffer_free(b);
	lethe_buffer_open(b, LETHE_ACCESS_READ);
}

MISUSE(asked_after_free)
{
	struct lethe_buffer *b = must_new(32);

	lethe_buffer_free(b);
	lethe_buffer_data(b);
}

Test(buffer_misuse, is_known_for_freed)
{
	aborts(freed_twice, ": it is free already");
	aborts(opened_after_free, ": it is free already");
	aborts(asked_after_free, ": it is free already");
}
