/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * resident.c and what wipe_stack.c needs of it.
 */
#ifndef LETHE_RESIDENT_H
#define LETHE_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Zero what is resident of [start, end), which is not empty and does not wrap round.
 * @stops: at the first page on the way down that cannot be written, instead of
 * leaving that one out. 0 or -errno: -EOPNOTSUPP where there is no /proc and the
 * range is no stack that the library knows.
 */
int resident_wipe(uintptr_t start, uintptr_t end, bool stops);

/* Is there a page, and may this thread read it? As far as protection keys go too. */
bool resident_can_be_read(uintptr_t at);

#endif /* LETHE_RESIDENT_H */
