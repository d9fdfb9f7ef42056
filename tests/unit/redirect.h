/* SPDX-License-Identifier: MIT */
/* What the tests of liblethe-malloc.so share. */
#ifndef REDIRECT_H
#define REDIRECT_H

#include <criterion/criterion.h>
#include <string.h>

#include "lethe.h"

static inline bool secret(const void *p)
{
	return lethe_level_of(p) > LETHE_LEVEL_NONE;
}

/* Where a block was: not a pointer to it any more, as the compiler sees it. */
static inline char *place_of(void *block)
{
	__asm__("" : "+r"(block));
	return block;
}

static inline bool is_zero(const char *p, size_t length)
{
	while (length--)
		if (*p++)
			return false;
	return true;
}

static inline void do_in_section(void (*fn)(void *), void *arg)
{
	int err = lethe_do(fn, arg);

	cr_assert_eq(err, 0, "lethe_do: %s", strerror(-err));
}

#endif /* REDIRECT_H */
