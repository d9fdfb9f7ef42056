// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which vector registers this processor has, and this system lets programs use:
 * asked once, for section_x86_64.S.
 */
#include <cpuid.h>

#include "internal.h"
#include "section.h"

/* XCR0: what the system saves at a context switch, so what programs may use. */
#define XCR0_AVX (1U << 1 | 1U << 2)
#define XCR0_AVX512 (XCR0_AVX | 1U << 5 | 1U << 6 | 1U << 7)

uint8_t registers_vectors;

static unsigned int xcr0(void)
{
	unsigned int low, high;

	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

void registers_probe(void)
{
	unsigned int a, b, c = 0, d, enabled;
	uint8_t vectors = VECTORS_SSE;

	__get_cpuid(1, &a, &b, &c, &d);
	if (c & bit_OSXSAVE) {
		enabled = xcr0();
		if ((enabled & XCR0_AVX) == XCR0_AVX && c & bit_AVX)
			vectors = VECTORS_AVX;
		if (vectors == VECTORS_AVX && __get_cpuid_count(7, 0, &a, &b, &c, &d)) {
			if (b & bit_AVX2)
				vectors = VECTORS_AVX2;
			if ((enabled & XCR0_AVX512) == XCR0_AVX512 && b & bit_AVX512F)
				vectors = VECTORS_AVX512;
		}
	}
	registers_vectors = vectors;
}
