// SPDX-License-Identifier: MIT
/*
 * Which registers there are, where XSAVE puts them, and which of them hold a
 * pattern. The offsets come from the processor, not from a table.
 */
#include <cpuid.h>
#include <string.h>

#include "registers.h"

uint32_t registers_have;

struct register_class register_classes[] = {
	/* The offset of these is fixed; of the others, the component's number. */
	{ "x87 and MMX", 32, 16, 8, 8, HAVE_SSE },
	{ "xmm0 to xmm15", 160, 16, 16, 16, HAVE_SSE },
	{ "ymm0 to ymm15, upper half", 2, 16, 16, 16, HAVE_AVX },
	{ "k0 to k7", 5, 8, 8, 8, HAVE_AVX512 },
	{ "zmm0 to zmm15, upper half", 6, 32, 32, 16, HAVE_AVX512 },
	{ "zmm16 to zmm31", 7, 64, 64, 16, HAVE_AVX512 },
	{ NULL, 0, 0, 0, 0, 0 },
};

void registers_look(void)
{
	struct register_class *class;
	unsigned int size, offset, c, d;

	if (__builtin_cpu_supports("avx512bw"))
		registers_have = HAVE_AVX512;
	else if (__builtin_cpu_supports("avx"))
		registers_have = HAVE_AVX;

	for (class = register_classes; class->name; class ++) {
		/* Above 7 it has been asked already. */
		if (class->needs == HAVE_SSE || class->offset > 7)
			continue;
		__cpuid_count(0xd, (unsigned int)class->offset, size, offset, c, d);
		class->offset = offset;
	}
}

unsigned int registers_holding(const struct registers *registers,
			       const struct register_class *class, uint64_t pattern)
{
	const uint8_t *at = registers->xsave + class->offset;
	unsigned int i, holding = 0;

	for (i = 0; i < class->count; i++, at += class->stride)
		holding += memmem(at, class->width, &pattern, sizeof(pattern)) != NULL;
	return holding;
}

unsigned int general_holding(const struct registers *registers, uint64_t pattern)
{
	unsigned int i, holding = 0;

	for (i = 0; i < sizeof(registers->general) / sizeof(registers->general[0]); i++)
		holding += registers->general[i] == pattern;
	return holding;
}
