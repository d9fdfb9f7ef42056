/* SPDX-License-Identifier: MIT */
/*
 * What the tests of signals have in common: a secret that ordinary memory never
 * holds, a signal that comes when every register is full of it, and a search of
 * stacks for it. Judges nothing itself.
 */
#ifndef TESTS_SIGNALS_H
#define TESTS_SIGNALS_H

#ifndef __ASSEMBLER__

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lethe.h"
#include "tap.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "registers.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

#define UNUSED __attribute__((unused))
#define NOINLINE __attribute__((noinline))

/* The secret's complement: the secret itself is made where it may be. */
static uint64_t complement;

/*
 * Fills every register with the eight bytes at @secret, rbx, rbp and r12 to r15 too,
 * and sends @number to the calling thread by the very next system call. Leaves them
 * full, but for what the ABI preserves.
 */
void signals_fill_and_send(void *secret, int process, int thread, int number);
/* The same without the signal. */
void signals_fill(void *secret);
/* Fills them, lets some time pass, and leaves them as they are then. */
void signals_spin(void *secret);

/* A new one for each search and each control: neither finds the other's. */
static UNUSED void new_secret(void)
{
	if (getrandom(&complement, sizeof(complement), 0) != sizeof(complement))
		tap_bail("no random numbers");
}

/*
 * Words of the secret in [from, to). The compiler is kept from computing the secret
 * itself, which it would leave in registers and on the stack.
 */
static UNUSED NOINLINE size_t copies(const volatile void *from, const volatile void *to)
{
	const volatile uint64_t *word =
		(const volatile uint64_t *)(((uintptr_t)from + 7) & ~(uintptr_t)7);
	size_t found = 0;
	uint64_t inverse;

	for (; (const volatile void *)(word + 1) <= to; word++) {
		inverse = ~*word;
		__asm__("" : "+r"(inverse));
		found += inverse == complement;
	}
	return found;
}

/* What is dead of the stack that this runs on, as deep as tests go. */
#define DEAD_STACK ((size_t)96 * 1024)

static UNUSED NOINLINE size_t copies_below(void)
{
	const char *here = (const char *)__builtin_frame_address(0);

	return copies(here - DEAD_STACK, here);
}

/* Stack that is there to be searched, and has nothing in it. */
static UNUSED NOINLINE void touch_below(void)
{
	volatile char frame[DEAD_STACK + 4096];

	memset((char *)frame, 0, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static UNUSED NOINLINE void fill_and_send(int number)
{
	volatile uint64_t secret = ~complement;

	signals_fill_and_send((void *)&secret, getpid(), (int)syscall(SYS_gettid),
			      number);
}

/* The secret pages that the address lies in, from end to end. */
struct extent {
	const char *start, *end;
};

static UNUSED struct extent extent_of(const void *address)
{
	const uintptr_t page = 4096;
	struct extent extent = { NULL, NULL };
	const char *p = (const char *)((uintptr_t)address & ~(page - 1));

	if (lethe_level_of(p) == LETHE_LEVEL_NONE)
		return extent;
	for (extent.start = p; lethe_level_of(extent.start - 1) != LETHE_LEVEL_NONE;)
		extent.start -= page;
	for (extent.end = p + page; lethe_level_of(extent.end) != LETHE_LEVEL_NONE;)
		extent.end += page;
	return extent;
}

static UNUSED size_t copies_in(struct extent extent)
{
	return copies(extent.start, extent.end);
}

static UNUSED void handle(int number, void (*handler)(int, siginfo_t *, void *),
			  int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO | flags;
	if (sigaction(number, &action, NULL) < 0)
		tap_bail("sigaction: %s", strerror(errno));
}

static UNUSED void set_alternate(void *start, size_t size, unsigned int flags)
{
	stack_t ss;

	memset(&ss, 0, sizeof(ss));
	ss.ss_sp = start;
	ss.ss_size = size;
	ss.ss_flags = (int)flags;
	if (sigaltstack(&ss, NULL) < 0)
		tap_bail("sigaltstack: %s", strerror(errno));
}

static UNUSED stack_t get_alternate(void)
{
	stack_t ss;

	memset(&ss, 0, sizeof(ss));
	sigaltstack(NULL, &ss);
	return ss;
}

static UNUSED bool same_alternate(const stack_t *a, const stack_t *b)
{
	if (a->ss_flags & SS_DISABLE && b->ss_flags & SS_DISABLE)
		return true;
	return a->ss_sp == b->ss_sp && a->ss_size == b->ss_size &&
	       a->ss_flags == b->ss_flags;
}

static UNUSED void nothing(void *arg)
{
	(void)arg;
}

static UNUSED int do_flags(unsigned int flags, void (*fn)(void *), void *arg,
			   struct lethe_report *report)
{
	struct lethe_options options;

	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.flags = flags;
	if (report) {
		memset(report, 0, sizeof(*report));
		report->size = sizeof(*report);
	}
	return lethe_do_with(&options, fn, arg, report);
}

static UNUSED const char *mode_name(unsigned int flags)
{
	if (flags & LETHE_FAST)
		return "LETHE_FAST";
	return flags & LETHE_BLOCK_SIGNALS ? "LETHE_BLOCK_SIGNALS" : "default";
}

static UNUSED void begin_tests(unsigned int planned)
{
	new_secret();
	registers_look();
	tap_plan(planned);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
}

#ifdef __cplusplus
}
#endif

#endif /* __ASSEMBLER__ */
#endif /* TESTS_SIGNALS_H */
