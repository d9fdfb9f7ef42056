/* SPDX-License-Identifier: MIT */
/* Which tool a program was built for. */
#ifndef TESTS_UNDER_H
#define TESTS_UNDER_H

#include <stdbool.h>

static inline bool under_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}

#endif /* TESTS_UNDER_H */
