/* SPDX-License-Identifier: MIT */
/*
 * Stacks that a test makes and looks at: what lies below the stack pointer to the
 * byte, while nothing else is called. Included after door.h. It judges nothing.
 */
#ifndef LETHE_TESTS_USTACK_H
#define LETHE_TESTS_USTACK_H

#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "door.h"

#ifndef MADV_NOHUGEPAGE
#define MADV_NOHUGEPAGE 15
#endif

#define FILL 0xe5
#define RED_ZONE ((size_t)128)
#define BELOW ((size_t)256) /* as much as is filled below the stack pointer */

/* The middle of what is there of it afterwards is where the red zone ends. */
struct below {
	unsigned char bytes[BELOW]; /* the last one was just below the pointer */
	uintptr_t sp;
};

#define BELOW_BEGIN                    \
	"leaq -1024(%%rsp), %%rsp\n\t" \
	"leaq -256(%%rsp), %%rdi\n\t"  \
	"movl $256, %%ecx\n\t"         \
	"movl %[fill], %%eax\n\t"      \
	"rep stosb\n\t"
#define BELOW_END                     \
	"movq %%rsp, %[sp]\n\t"       \
	"leaq -256(%%rsp), %%rsi\n\t" \
	"movq %[bytes], %%rdi\n\t"    \
	"movl $256, %%ecx\n\t"        \
	"rep movsb\n\t"               \
	"leaq 1024(%%rsp), %%rsp\n\t"

/* The call, by a function whose frame ends where it has filled what is below. */
__attribute__((noinline, unused)) static int wipe_below(struct lethe_wipe *args,
							struct below *below)
{
	uintptr_t sp;
	long ret;

	__asm__ volatile(
		BELOW_BEGIN "movq %[door], %%rdi\n\t"
			    "movq %[code], %%rsi\n\t"
			    "movq %[args], %%rdx\n\t"
			    "movl %[number], %%eax\n\t"
			    "syscall\n\t"
			    "movq %%rax, %[ret]\n\t" BELOW_END
		: [ret] "=&r"(ret), [sp] "=&r"(sp)
		: [fill] "i"(FILL), [door] "r"((long)door), [code] "r"(LETHE_IOC_WIPE),
		  [args] "r"(args), [number] "i"(SYS_ioctl), [bytes] "r"(below->bytes)
		: "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc");
	below->sp = sp;
	return ret;
}

/* The same for whom others wipe: it says that it is there, and spins until @go. */
__attribute__((noinline, unused)) static void
spin_below(volatile int *there, volatile int *go, struct below *below)
{
	uintptr_t sp;

	__asm__ volatile(BELOW_BEGIN "movl $1, (%[there])\n\t"
				     "1:\n\t"
				     "pause\n\t"
				     "cmpl $0, (%[go])\n\t"
				     "je 1b\n\t" BELOW_END
			 : [sp] "=&r"(sp)
			 : [fill] "i"(FILL), [there] "r"(there), [go] "r"(go),
			   [bytes] "r"(below->bytes)
			 : "rax", "rcx", "rsi", "rdi", "memory", "cc");
	below->sp = sp;
}

/* The red zone is whole; below it everything is @rest. */
UNUSED static bool red_zone_kept(const struct below *below, unsigned char rest)
{
	return all_are(below->bytes + BELOW - RED_ZONE, FILL, RED_ZONE) &&
	       all_are(below->bytes, rest, BELOW - RED_ZONE);
}

/* Pages of their own, of which a touch makes one. */
UNUSED static unsigned char *must_map_pages(size_t nr)
{
	unsigned char *p = must_map_plain(nr * PAGE);

	madvise(p, nr * PAGE, MADV_NOHUGEPAGE);
	return p;
}

/* The first byte of the range that is in memory; its end if none is. */
UNUSED static unsigned char *lowest_resident(unsigned char *start, unsigned char *end)
{
	unsigned char there = 0;

	for (; start < end; start += PAGE)
		if (!mincore(start, PAGE, &there) && there & 1)
			break;
	return start;
}

UNUSED static size_t resident_pages(unsigned char *start, unsigned char *end)
{
	unsigned char there = 0;
	size_t sum = 0;

	for (; start < end; start += PAGE)
		sum += !mincore(start, PAGE, &there) && there & 1;
	return sum;
}

/* The mapping that an address is in, as /proc has it. */
UNUSED static bool mapping_of(const void *at, unsigned char **start, unsigned char **end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from = 0, to = 0;
	bool found = false;
	char line[512];

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-%lx", &from, &to) == 2 &&
			(uintptr_t)at >= from && (uintptr_t)at < to;
	if (maps)
		fclose(maps);
	*start = (unsigned char *)from;
	*end = (unsigned char *)to;
	return found;
}

/* Runs @fn with its stack in [@stack, @stack + @length), and comes back. */
UNUSED static void run_on(unsigned char *stack, size_t length, void (*fn)(void))
{
	ucontext_t home, there;

	if (getcontext(&there))
		tap_bail("getcontext: %s", strerror(errno));
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = length;
	there.uc_link = &home;
	makecontext(&there, fn, 0);
	if (swapcontext(&home, &there))
		tap_bail("swapcontext: %s", strerror(errno));
}

/* Fills @size bytes of a frame far below the caller's, and returns where they are. */
__attribute__((noinline, unused)) static unsigned char *leave_frame(size_t size)
{
	unsigned char *frame = __builtin_alloca(size);
	uintptr_t at = (uintptr_t)frame;

	memset(frame, FILL, size);
	__asm__ volatile("" : "+r"(at) : "r"(frame) : "memory");
	return (unsigned char *)at;
}

UNUSED static size_t count_fill(const unsigned char *at, size_t length)
{
	size_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += ((const volatile unsigned char *)at)[i] == FILL;
	return sum;
}

#endif /* LETHE_TESTS_USTACK_H */
