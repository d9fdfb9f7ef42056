/* SPDX-License-Identifier: MIT */
/*
 * What a task does while others wipe it, each with a check that nothing of its own
 * was touched: frames of a recursion, the red zone, vector registers; and the calls
 * that wipe, with what may come of them. Included after door.h.
 */
#ifndef LETHE_TESTS_RACE_H
#define LETHE_TESTS_RACE_H

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "door.h"

#define ALL_FLAGS 15
#define FRAME_WORDS 48
#define RED_ZONE_WORDS 16
#define VECTOR_WORDS 64

/* How long this goes on: a minute, where it is asked for, finds what is rare. */
UNUSED static double race_seconds(double usual)
{
	const char *text = getenv("LETHE_RACE_SECONDS");

	return text ? strtod(text, NULL) : usual;
}

UNUSED static double race_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Xorshift: each thread has its own, and every run the same. */
UNUSED static uint64_t race_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * @leaf at the end of so many frames, whose words are looked at on the way back.
 * The words that are not what they were.
 */
UNUSED static __attribute__((noinline)) unsigned int
race_recurse(unsigned int depth, uint64_t seed, unsigned int (*leaf)(uint64_t))
{
	volatile uint64_t words[FRAME_WORDS];
	unsigned int bad;

	for (unsigned int i = 0; i < FRAME_WORDS; i++)
		words[i] = seed ^ (depth * FRAME_WORDS + i);
	bad = depth ? race_recurse(depth - 1, seed, leaf) : leaf(seed);
	for (unsigned int i = 0; i < FRAME_WORDS; i++)
		bad += words[i] != (seed ^ (depth * FRAME_WORDS + i));
	return bad;
}

/* The 128 bytes below the stack pointer, which belong to who runs. */
UNUSED static __attribute__((noinline)) unsigned int race_red_zone(uint64_t seed)
{
	unsigned int spins = 200 + seed % 2000;
	unsigned char bad;

	__asm__ volatile("leaq -256(%%rsp), %%rsp\n\t"
			 "leaq -128(%%rsp), %%rdi\n\t"
			 "movl %[words], %%ecx\n\t"
			 "rep stosq\n"
			 "1:\tpause\n\t"
			 "subl $1, %[spins]\n\t"
			 "jnz 1b\n\t"
			 "leaq -128(%%rsp), %%rdi\n\t"
			 "movl %[words], %%ecx\n\t"
			 "repe scasq\n\t"
			 "leaq 256(%%rsp), %%rsp\n\t"
			 "setne %[bad]"
			 : [bad] "=q"(bad), [spins] "+r"(spins)
			 : "a"(seed | 1), [words] "i"(RED_ZONE_WORDS)
			 : "rcx", "rdi", "memory", "cc");
	return bad;
}

/*
 * All vector registers full, for a while in the program and through a system call
 * that may give the processor to another. The words that are not what they were.
 */
UNUSED static __attribute__((noinline)) unsigned int race_vectors(uint64_t seed)
{
	uint64_t in[VECTOR_WORDS], out[VECTOR_WORDS] = { 0 };
	unsigned int spins = 1000 + seed % 4000, bad = 0, words = VECTOR_WORDS;
	long number = SYS_sched_yield;

	for (uint64_t i = 0; i < VECTOR_WORDS; i++)
		in[i] = seed ^ i << 32 ^ i;
#define HOLD                    \
	"1:\tpause\n\t"         \
	"subl $1, %[spins]\n\t" \
	"jnz 1b\n\t"            \
	"syscall\n\t"
#define SIXTEEN ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
#define CLOBBERS                                                                      \
	"rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", \
		"xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",   \
		"xmm14", "xmm15"
	if (__builtin_cpu_supports("avx")) {
		__asm__ volatile(SIXTEEN
				 "vmovdqu 32*\\n(%[in]), %%ymm\\n\n\t.endr\n" HOLD SIXTEEN
				 "vmovdqu %%ymm\\n, 32*\\n(%[out])\n\t.endr\n\tvzeroupper"
				 : [spins] "+r"(spins), "+a"(number)
				 : [in] "r"(in), [out] "r"(out)
				 : CLOBBERS);
	} else {
		words /= 2;
		__asm__ volatile(SIXTEEN
				 "movdqu 16*\\n(%[in]), %%xmm\\n\n\t.endr\n" HOLD SIXTEEN
				 "movdqu %%xmm\\n, 16*\\n(%[out])\n\t.endr"
				 : [spins] "+r"(spins), "+a"(number)
				 : [in] "r"(in), [out] "r"(out)
				 : CLOBBERS);
	}
	for (unsigned int i = 0; i < words; i++)
		bad += in[i] != out[i];
	return bad;
#undef HOLD
#undef SIXTEEN
#undef CLOBBERS
}

/* What came of the calls; threads count together. */
static struct {
	atomic_ulong done[ALL_FLAGS + 1]; /* by the flags */
	atomic_ulong gone, again, busy;
	atomic_int wrong; /* an errno that is not documented, the last one */
} race_calls;

/* Any choice of flags, a range where there is one. 0, or -errno. */
UNUSED static int race_wipe(pid_t tid, uint32_t flags, uint64_t start, uint64_t length)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = flags, .tid = tid };
	int err;

	if (flags & LETHE_WIPE_RANGE) {
		args.start = start;
		args.length = length;
	}
	err = call(LETHE_IOC_WIPE, &args);
	if (!err)
		race_calls.done[flags]++;
	else if (err == -ESRCH)
		race_calls.gone++;
	else if (err == -EAGAIN)
		race_calls.again++;
	else if (err == -EBUSY && flags & LETHE_WIPE_SIGSTACK)
		race_calls.busy++;
	else
		race_calls.wrong = -err;
	return err;
}

UNUSED static unsigned long race_done_with(uint32_t flag)
{
	unsigned long sum = 0;

	for (uint32_t flags = 1; flags <= ALL_FLAGS; flags++)
		if (flags & flag)
			sum += race_calls.done[flags];
	return sum;
}

/* That every kind was done, and that nothing else than is documented came. */
UNUSED static void race_report(const char *whose)
{
	unsigned long range = race_done_with(LETHE_WIPE_RANGE);
	unsigned long registers = race_done_with(LETHE_WIPE_REGISTERS);
	unsigned long dead = race_done_with(LETHE_WIPE_DEAD_STACK);
	unsigned long signal = race_done_with(LETHE_WIPE_SIGSTACK);

	tap_note("ESRCH %lu, EAGAIN %lu, EBUSY %lu times", (unsigned long)race_calls.gone,
		 (unsigned long)race_calls.again, (unsigned long)race_calls.busy);
	tap_ok(range && registers && dead && signal,
	       "%s: ranges (%lu), registers (%lu), dead stacks (%lu), signal stacks (%lu) are wiped",
	       whose, range, registers, dead, signal);
	tap_ok(!race_calls.wrong, "%s: what fails, fails as it is documented (%s)", whose,
	       race_calls.wrong ? strerror(race_calls.wrong) : "ESRCH, EAGAIN, EBUSY");
}

#endif /* LETHE_TESTS_RACE_H */
