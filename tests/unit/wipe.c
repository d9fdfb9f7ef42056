// SPDX-License-Identifier: MIT
/* lethe_wipe() and lethe_equal(). */
#include <criterion/criterion.h>
#include <string.h>

#include "internal.h"

Test(wipe, zeroes_the_range_and_nothing_beside_it)
{
	unsigned char bytes[64];
	size_t i;

	memset(bytes, 0xa5, sizeof(bytes));
	lethe_wipe(bytes + 5, 50);
	for (i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(bytes[i], i < 5 || i >= 55 ? 0xa5 : 0, "byte %zu", i);
}

Test(wipe, of_nothing_is_nothing)
{
	unsigned char byte = 0xa5;

	lethe_wipe(&byte, 0);
	cr_assert_eq(byte, 0xa5);
}

/* The dead frame is read through a pointer that the compiler cannot follow. */
static __attribute__((noinline)) const volatile unsigned char *leave_frame(bool wipe)
{
	unsigned char secret[256];
	unsigned char *p = secret;

	__asm__ volatile("" : "+r"(p));
	memset(p, 0x5a, sizeof(secret));
	__asm__ volatile("" : : "r"(p) : "memory");
	if (wipe)
		lethe_wipe(secret, sizeof(secret));
	__asm__ volatile("" : "+r"(p));
	return p;
}

static __attribute__((noinline)) size_t bytes_left(const volatile unsigned char *frame)
{
	size_t i, left = 0;

	for (i = 0; i < 256; i++)
		left += frame[i] == 0x5a;
	return left;
}

Test(wipe, of_a_dying_frame_is_not_optimised_away)
{
	cr_assert_gt(bytes_left(leave_frame(false)), 100, "the control");
	cr_assert_lt(bytes_left(leave_frame(true)), 8);
}

Test(equal, tells_every_single_bit)
{
	unsigned char a[32], b[32];
	size_t bit;

	memset(a, 0x3c, sizeof(a));
	memcpy(b, a, sizeof(b));
	cr_assert(lethe_equal(a, b, sizeof(a)));
	for (bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (unsigned char)(1 << bit % 8);
		cr_assert_not(lethe_equal(a, b, sizeof(a)), "bit %zu", bit);
		b[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

Test(equal, of_nothing_is_true)
{
	cr_assert(lethe_equal("a", "b", 0));
}
