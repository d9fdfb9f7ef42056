// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What every user of secrets needs, and a plain memset(), memcpy() or memcmp() is
 * not: a wipe that stays, a copy that leaves nothing in a register, a compare that
 * does not tell.
 */
#include <string.h>

#include "internal.h"

void wipe_memory(void *start, size_t length)
{
	memset(start, 0, length);
	/* The memory is "read" here, so the stores before cannot be dead. */
	__asm__ volatile("" : : "r"(start) : "memory");
}

PUBLIC void lethe_wipe(void *start, size_t length)
{
	wipe_memory(start, length);
}

void copy_secret(void *to, const void *from, size_t length)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

PUBLIC bool lethe_equal(const void *a, const void *b, size_t length)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char differ = 0;
	size_t i;

	for (i = 0; i < length; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}
