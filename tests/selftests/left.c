// SPDX-License-Identifier: MIT
/*
 * Where a secret is left, by reading the memory. It knows secret memory by
 * lethe_level_of() alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

#define PAGE 4096
/* As long as no mapping of the library is, and TSan's shadow of one is not. */
#define LARGEST ((uintptr_t)1 << 35)

uint64_t pattern;

void pattern_new(void)
{
	if (getrandom(&pattern, sizeof(pattern), 0) != sizeof(pattern))
		tap_bail("no random numbers");
}

__attribute__((noinline)) uintptr_t fill_frame(void)
{
	volatile uint64_t frame[FRAME_WORDS];
	uintptr_t where = (uintptr_t)frame;
	size_t i;

	for (i = 0; i < FRAME_WORDS; i++)
		frame[i] = pattern;
	return where;
}

void fill_frame_at(void *where)
{
	*(uintptr_t *)where = fill_frame();
}

__attribute__((noinline)) size_t words_in(uintptr_t start, uintptr_t end)
{
	const volatile uint64_t *word = (const volatile uint64_t *)start;
	size_t found = 0;

	for (; (uintptr_t)word < end; word++)
		found += *word == pattern;
	return found;
}

size_t words_at(uintptr_t frame)
{
	return words_in(frame, frame + FRAME_WORDS * sizeof(uint64_t));
}

static bool is_secret(uintptr_t address)
{
	return lethe_level_of((const void *)address) != LETHE_LEVEL_NONE;
}

struct extent secret_around(uintptr_t address)
{
	struct extent around;

	around.start = around.end = address / PAGE * PAGE;
	while (is_secret(around.start - 1))
		around.start -= PAGE;
	while (is_secret(around.end))
		around.end += PAGE;
	return around;
}

size_t words_on_secret_stack(uintptr_t on)
{
	struct extent stack = secret_around(on);

	return words_in(stack.start, stack.end);
}

/*
 * The kernel lets the first thread's stack grow to wherever it is touched, Valgrind
 * only to where the stack pointer is, and that is written to: it leaves out a load
 * whose value nobody uses.
 */
static void reach_down(size_t bytes)
{
	__asm__ volatile("subq %0, %%rsp\n\t"
			 "orb $0, (%%rsp)\n\t"
			 "addq %0, %%rsp"
			 :
			 : "r"(bytes)
			 : "cc", "memory");
}

__attribute__((noinline)) size_t words_below(size_t bytes)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	reach_down(bytes);
	return words_in((here - bytes) / sizeof(uint64_t) * sizeof(uint64_t), here);
}

size_t secret_bytes(void)
{
	uintptr_t start, end;
	FILE *maps = fopen("/proc/self/maps", "re");
	size_t bytes = 0;
	char line[512], r;

	if (!maps)
		tap_bail("no /proc/self/maps");
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %c", &start, &end, &r) != 3 ||
		    r != 'r')
			continue;
		/* A sanitizer's own, which nobody lives to see the end of. */
		if (end - start > LARGEST)
			continue;
		for (; start < end; start += PAGE)
			bytes += is_secret(start) ? PAGE : 0;
	}
	fclose(maps);
	return bytes;
}
