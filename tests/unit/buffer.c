// SPDX-License-Identifier: MIT
/*
 * Guarded buffers: where the data lie, what they cost, what is left, ways in and out. What
 * kills is in buffer_misuse.c, who may have one open in buffer_open.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buffer.h"
#include "buffer_helpers.h"

static struct lethe_buffer *new_buffer(size_t length, unsigned int flags)
{
	struct lethe_buffer *b = lethe_buffer_new(length, flags);

	cr_assert_not_null(b, "no %zu bytes: %s", length, strerror(errno));
	return b;
}

static struct lethe_buffer *must_new(size_t length)
{
	struct lethe_buffer *b = lethe_buffer_new(length, 0);

	must(b);
	return b;
}

static enum lethe_level expected(void)
{
	int err;

	return backend_get(&err)->level;
}

/* Around pages, and what there is room for before the data. */
static const size_t lengths[] = { 0,    1,    2,    7,    8,    15,    16,    17,
				  32,   100,  4079, 4080, 4081, 4095,  4096,  4097,
				  8175, 8176, 8191, 8192, 8193, 65535, 65536, 100000 };

Test(buffer, lies_at_the_end_of_its_pages_aligned_as_its_length_is_and_zero)
{
	struct lethe_buffer *b;
	size_t i, at, length;
	unsigned int flags;
	char *data;

	for (i = 0; i < ARRAY_SIZE(lengths) * 4; i++) {
		length = lengths[i / 4];
		flags = i & 1 ? LETHE_BUFFER_QUICK : 0;
		b = new_buffer(length, flags);
		data = lethe_buffer_data(b);
		cr_assert_eq(lethe_buffer_length(b), length);
		cr_assert_not_null(data);
		cr_assert_eq(((uintptr_t)data + length) % PAGE, 0);
		cr_assert(length % 16 || (uintptr_t)data % 16 == 0);
		for (at = 0; at < length; at++)
			cr_assert_eq(data[at], 0, "%zu of %zu", at, length);
		cr_assert(!length || lethe_level_of(data) == expected());
		cr_assert(!length || lethe_level_of(data + length - 1) == expected());
		/* Guards on either side. */
		cr_assert_eq(lethe_level_of(data + length), LETHE_LEVEL_NONE);
		cr_assert_eq(
			lethe_level_of((char *)(((uintptr_t)data - !length) & -PAGE) - 1),
			LETHE_LEVEL_NONE);
		memset(data, 0xff, length);
		lethe_buffer_free(b);
	}
}

static void refused(struct lethe_buffer *b, int error)
{
	cr_assert_null(b);
	cr_assert_eq(errno, error, "%s", strerror(errno));
	errno = 0;
}

Test(buffer, refuses_lengths_that_no_memory_has_and_flags_that_nobody_knows)
{
	refused(lethe_buffer_new(SIZE_MAX, 0), ENOMEM);
	refused(lethe_buffer_new(SIZE_MAX - 1, 0), ENOMEM);
	refused(lethe_buffer_new(SIZE_MAX / 2 + 1, 0), ENOMEM);
	refused(lethe_buffer_new(BUFFER_LENGTH_MAX + 1, 0), ENOMEM);
	refused(lethe_buffer_new(BUFFER_LENGTH_MAX, 0), ENOMEM);
	refused(lethe_buffer_new_array(SIZE_MAX / 2 + 1, 2, 0), ENOMEM);
	refused(lethe_buffer_new_array(SIZE_MAX, SIZE_MAX, 0), ENOMEM);
	refused(lethe_buffer_new_array(SIZE_MAX / 8 + 2, 8, 0), ENOMEM);
	refused(lethe_buffer_new(32, 2), EINVAL);
	refused(lethe_buffer_new(32, 1U << 31), EINVAL);
}

Test(buffer, is_for_an_array_too)
{
	static const size_t sizes[][2] = {
		{ 0, 0 }, { 0, 8 }, { 8, 0 }, { 3, 5 }, { 512, 8 }
	};
	struct lethe_buffer *b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		b = lethe_buffer_new_array(sizes[i][0], sizes[i][1], 0);
		cr_assert_not_null(b);
		cr_assert_eq(lethe_buffer_length(b), sizes[i][0] * sizes[i][1]);
		lethe_buffer_free(b);
	}
}

Test(buffer, none_is_freed_and_errno_kept)
{
	errno = 77;
	lethe_buffer_free(NULL);
	lethe_buffer_free(new_buffer(10, 0));
	cr_assert_eq(errno, 77);
}

/* Simple and the same everywhere: what is random need not be unforeseen. */
static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

Test(buffer, ten_thousand_of_random_lengths_come_go_and_keep_what_is_in_them)
{
	struct lethe_buffer *live[32] = { NULL };
	unsigned char filled[32];
	uint32_t random = 5, i, at;
	unsigned char *data;
	size_t length, n;

	for (i = 0; i < 10000; i++) {
		at = next(&random) % 32;
		if (live[at]) {
			length = lethe_buffer_length(live[at]);
			data = lethe_buffer_data(live[at]);
			if (next(&random) % 2)
				cr_assert_eq(
					lethe_buffer_protect(live[at], LETHE_ACCESS_READ),
					0);
			for (n = 0; n < length; n += 1 + length / 8)
				cr_assert_eq(data[n], filled[at]);
			if (next(&random) % 2)
				cr_assert_eq(
					lethe_buffer_protect(live[at], LETHE_ACCESS_NONE),
					0);
			lethe_buffer_free(live[at]);
		}
		length = next(&random) % (next(&random) % 16 ? 200 : 20000);
		live[at] = new_buffer(length, next(&random) % 2 ? LETHE_BUFFER_QUICK : 0);
		filled[at] = (unsigned char)i;
		memset(lethe_buffer_data(live[at]), filled[at], length);
	}
	for (at = 0; at < 32; at++)
		lethe_buffer_free(live[at]);
}

static volatile unsigned char sink;
static struct lethe_buffer *parents;

static void use_parents(void)
{
	struct lethe_buffer *own;
	char here[32];

	must(lethe_buffer_length(parents) == 32);
	must(lethe_buffer_open(parents, LETHE_ACCESS_READ) == -ESTALE);
	must(lethe_buffer_protect(parents, LETHE_ACCESS_READ) == -ESTALE);
	must(lethe_buffer_seal(parents) == -ESTALE);
	must(lethe_buffer_unseal(parents) == -ESTALE);
	must(lethe_buffer_fill_random(parents) == -ESTALE);
	must(lethe_buffer_copy(parents, 0, here, 32) == -ESTALE);
	lethe_buffer_close(parents);
	lethe_buffer_free(parents);
	lethe_buffer_free(parents);
	own = must_new(32);
	must(own != parents && lethe_buffer_data(own) != lethe_buffer_data(parents));
	must(!lethe_buffer_fill_random(own));
	lethe_buffer_free(own);
	lethe_buffer_free(parents);
}

static void touch_parents(void)
{
	sink = *(volatile unsigned char *)lethe_buffer_data(parents);
}

Test(buffer, is_not_in_a_forks_child_which_has_its_own)
{
	static char filled[32];
	unsigned char *data;

	lethe_buffer_free(new_buffer(32, 0));
	parents = new_buffer(32, 0);
	data = lethe_buffer_data(parents);
	memset(data, 7, 32);
	lives(use_parents);
	faults(touch_parents);
	memset(filled, 7, 32);
	cr_assert_eq(memcmp(data, filled, 32), 0);
	cr_assert_eq(lethe_buffer_open(parents, LETHE_ACCESS_WRITE), 0);
	lives(use_parents);
	lethe_buffer_close(parents);
	lethe_buffer_free(parents);
}

Test(buffer, is_lost_with_all_that_the_kernel_takes_back)
{
	struct lethe_buffer *idle = new_buffer(32, 0), *open = new_buffer(4096, 0),
			    *closed = new_buffer(32, 0), *fresh;

	lethe_buffer_free(new_buffer(32, 0));
	lethe_buffer_free(new_buffer(4096, LETHE_BUFFER_QUICK));
	cr_assert_eq(lethe_buffer_open(open, LETHE_ACCESS_READ), 0);
	cr_assert_eq(lethe_buffer_protect(closed, LETHE_ACCESS_NONE), 0);
	revoked(revoked_generation());
	cr_assert_eq(lethe_buffer_open(idle, LETHE_ACCESS_WRITE), -ESTALE);
	cr_assert_eq(lethe_buffer_open(closed, LETHE_ACCESS_READ), -ESTALE);
	cr_assert_eq(lethe_buffer_protect(closed, LETHE_ACCESS_WRITE), -ESTALE);
	cr_assert_eq(lethe_buffer_seal(idle), -ESTALE);
	/* No ordinary memory is there instead. */
	cr_assert_lt(mprotect(closed->run.start, PAGE, PROT_NONE), 1);
	cr_assert_eq(lethe_level_of(lethe_buffer_data(closed)), LETHE_LEVEL_NONE);
	lethe_buffer_close(open);
	lethe_buffer_free(open);
	lethe_buffer_free(idle);
	lethe_buffer_free(closed);
	fresh = new_buffer(32, 0);
	cr_assert_eq(lethe_level_of(lethe_buffer_data(fresh)), expected());
	memset(lethe_buffer_data(fresh), 1, 32);
	lethe_buffer_free(fresh);
}

Test(buffer, is_charged_for_its_data_and_not_for_its_guards)
{
	struct lethe_buffer *many[64], *large;
	size_t i, before;

	lethe_buffer_free(new_buffer(1, 0));
	lethe_trim();
	before = status_kb("VmLck:");
	for (i = 0; i < 64; i++)
		many[i] = new_buffer(100, 0);
	/* Control: the data are. */
	cr_assert_eq(status_kb("VmLck:") - before, 64 * 4);
	large = new_buffer(10 * PAGE - 3, 0);
	cr_assert_eq(status_kb("VmLck:") - before, 74 * 4);
	for (i = 0; i < 64; i++)
		lethe_buffer_protect(many[i], LETHE_ACCESS_NONE);
	cr_assert_eq(status_kb("VmLck:") - before, 74 * 4);
	for (i = 0; i < 64; i++)
		lethe_buffer_free(many[i]);
	lethe_buffer_free(large);
	/* Some are kept, and not many. */
	cr_assert_leq(status_kb("VmLck:") - before, RUNS_KEPT_PAGES * 4);
	cr_assert_eq(lethe_trim(), RUNS_KEPT_PAGES * PAGE);
	cr_assert_eq(status_kb("VmLck:"), before);
}

Test(buffer, keeps_few_pages_whatever_their_sizes_were)
{
	size_t before, pages;

	lethe_buffer_free(new_buffer(1, 0));
	lethe_trim();
	before = status_kb("VmLck:");
	for (pages = 1; pages < 40; pages++) {
		lethe_buffer_free(new_buffer(pages * PAGE, pages % 2));
		cr_assert_leq(status_kb("VmLck:") - before, RUNS_KEPT_PAGES * 4);
	}
	lethe_trim();
	cr_assert_eq(status_kb("VmLck:"), before);
}

#define FEW 40

static void run_out_of_memory(void)
{
	struct lethe_buffer *b[FEW + 1];
	size_t n, round;

	limit_locked(FEW * PAGE);
	for (round = 0; round < 3; round++) {
		for (n = 0; n <= FEW && (b[n] = lethe_buffer_new(64, 0)); n++)
			memset(lethe_buffer_data(b[n]), 1, 64);
		must(errno == ENOMEM && n == FEW);
		/* As good as ever, all of them. */
		while (n--) {
			must(((char *)lethe_buffer_data(b[n]))[63] == 1);
			lethe_buffer_free(b[n]);
		}
	}
	/* What was kept of small ones serves a large one. */
	must(lethe_buffer_new((FEW / 2) * PAGE, 0));
}

Test(buffer, is_an_error_where_the_limit_is_reached_and_nothing_is_lost_by_it)
{
	lives(run_out_of_memory);
}

static void new_and_free(void)
{
	lethe_buffer_free(must_new(32));
}

static void new_and_free_quick(void)
{
	struct lethe_buffer *b = lethe_buffer_new(32, LETHE_BUFFER_QUICK);

	must(b);
	lethe_buffer_free(b);
}

Test(buffer, of_kept_pages_takes_two_mprotects_and_a_quick_one_none)
{
	/* Control: that they are counted. */
	cr_assert_eq(calls_of(new_and_free, SYS_mprotect), 2);
	cr_assert_eq(calls_of(new_and_free, SYS_mmap), 0);
	cr_assert_eq(calls_of(new_and_free, SYS_munmap), 0);
	cr_assert_eq(calls_of(new_and_free_quick, SYS_mprotect), 0);
	cr_assert_eq(calls_of(new_and_free_quick, SYS_mmap), 0);
}

static void find_after_free(unsigned int flags)
{
	struct lethe_buffer *b = new_buffer(32, flags);
	struct needle needle;

	cr_assert_eq(lethe_buffer_fill_random(b), 0);
	needle_take(&needle, lethe_buffer_data(b));
	cr_assert_eq(needle_count(&needle), 4);
	lethe_buffer_free(b);
	/* Also in what is kept, were it readable. */
	b = new_buffer(32, flags);
	cr_assert_eq(needle_count(&needle), 0);
	lethe_buffer_free(b);
}

Test(buffer, leaves_nothing_in_the_process_when_it_is_freed)
{
	find_after_free(0);
	find_after_free(LETHE_BUFFER_QUICK);
}

static void fill(int fd, size_t length)
{
	char bytes[64];
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = (char)(i + 1);
	cr_assert_eq(write(fd, bytes, length), (ssize_t)length);
}

Test(buffer, reads_from_a_descriptor_what_comes_or_all_of_it)
{
	struct lethe_buffer *b = new_buffer(50, 0);
	unsigned char *data = lethe_buffer_data(b);
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	fill(fds[1], 20);
	cr_assert_eq(lethe_buffer_read(b, 10, fds[0], 40), 20);
	cr_assert(!data[9] && data[10] == 1 && data[29] == 20 && !data[30]);
	fill(fds[1], 20);
	fill(fds[1], 20);
	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
	cr_assert_eq(lethe_buffer_read_exactly(b, 0, fds[0], 30), 0);
	cr_assert_eq(lethe_buffer_read(b, 50, fds[0], 0), 0);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert(data[0] == 1 && data[19] == 20 && data[20] == 1 && data[29] == 10);
	cr_assert_eq(lethe_buffer_read(b, 0, fds[0], 1), -EBUSY);
	lethe_buffer_close(b);
	/* Too little: what came is wiped, and nothing else. */
	close(fds[1]);
	cr_assert_eq(lethe_buffer_read_exactly(b, 5, fds[0], 45), -ENODATA);
	cr_assert_eq(lethe_buffer_read(b, 0, fds[0], 50), 0);
	close(fds[0]);
	cr_assert_eq(lethe_buffer_read(b, 0, fds[0], 50), -EBADF);
	cr_assert_eq(lethe_buffer_read_exactly(b, 0, fds[0], 50), -EBADF);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert(data[4] == 5 && !data[5] && !data[14] && data[15] == 16);
	lethe_buffer_close(b);
	cr_assert_eq(lethe_buffer_read(b, 51, 0, 0), -EINVAL);
	cr_assert_eq(lethe_buffer_read(b, 50, 0, 1), -EINVAL);
	cr_assert_eq(lethe_buffer_read(b, SIZE_MAX, 0, 2), -EINVAL);
	cr_assert_eq(lethe_buffer_read_exactly(b, 2, 0, SIZE_MAX), -EINVAL);
	lethe_buffer_free(b);
}

Test(buffer, is_filled_with_randomness_to_its_last_byte)
{
	static unsigned char seen[100000], zero[16];
	struct lethe_buffer *b;
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		length = lengths[i];
		b = new_buffer(length, 0);
		cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
		cr_assert_eq(lethe_buffer_fill_random(b), 0);
		memset(seen, 0, sizeof(seen));
		cr_assert_eq(lethe_buffer_copy(b, 0, seen, length), 0);
		if (length >= 16) {
			cr_assert_neq(memcmp(seen, zero, 16), 0);
			cr_assert_neq(memcmp(seen + length - 16, zero, 16), 0);
		}
		lethe_buffer_free(b);
	}
}

Test(buffer, takes_bytes_in_and_gives_them_out)
{
	struct lethe_buffer *b = new_buffer(10, 0);
	char from[] = "secret", to[10] = "..........", zero[sizeof(from)] = { 0 };

	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
	cr_assert_eq(lethe_buffer_move(b, 4, from, 7), -EINVAL);
	cr_assert_str_eq(from, "secret");
	cr_assert_eq(lethe_buffer_move(b, 4, from, 6), 0);
	cr_assert_eq(memcmp(from, zero, 6), 0);
	cr_assert_eq(lethe_buffer_copy(b, 3, to, 7), 0);
	cr_assert_eq(memcmp(to, "\0secret...", 10), 0);
	cr_assert_eq(lethe_buffer_copy(b, 3, to, 8), -EINVAL);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert_eq(lethe_buffer_move(b, 0, to, 1), -EBUSY);
	cr_assert_eq(lethe_buffer_copy(b, 4, to, 6), 0);
	cr_assert(lethe_equal(lethe_buffer_data(b), "\0\0\0\0secret", 10));
	lethe_buffer_close(b);
	/* Whoever has it open to be written may as well call. */
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_WRITE), 0);
	memcpy(from, "SECRET", 6);
	cr_assert_eq(lethe_buffer_move(b, 0, from, 6), 0);
	cr_assert_eq(lethe_buffer_copy(b, 0, to, 6), 0);
	cr_assert_eq(memcmp(to, "SECRET", 6), 0);
	lethe_buffer_close(b);
	lethe_buffer_free(b);
}
