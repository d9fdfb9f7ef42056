// SPDX-License-Identifier: MIT
/* What the library says, and how it dies. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <signal.h>

#include "internal.h"

Test(message, is_a_line_with_our_name_and_keeps_errno, .init = cr_redirect_stderr)
{
	errno = EXDEV;
	message("%d of %s", 3, "them");
	cr_assert_eq(errno, EXDEV);
	cr_assert_stderr_eq_str("lethe: 3 of them\n");
}

Test(message, that_is_too_long_is_cut_and_still_a_line, .init = cr_redirect_stderr)
{
	char expected[256];

	memset(expected, 'x', sizeof(expected));
	memcpy(expected, "lethe: ", 7);
	/* 256 bytes in all: one was for vsnprintf's end, one is for the line's. */
	expected[254] = '\n';
	expected[255] = 0;
	message("%0300d", 0);
	fflush(stderr);
	for (size_t i = 7; i < 254; i++)
		expected[i] = '0';
	cr_assert_stderr_eq_str(expected);
}

Test(message, of_death_aborts, .signal = SIGABRT, .init = cr_redirect_stderr)
{
	die("enough");
}
