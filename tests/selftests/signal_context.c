// SPDX-License-Identifier: MIT
/*
 * Handlers that do more than return: that change what the section goes on with,
 * interrupt each other, or jump, within the section and out of it. On the section's
 * stack and on an alternate one, in each of the three modes.
 */
#include <setjmp.h>
#include <ucontext.h>

#include "signals.h"

#define ALTERNATE ((size_t)64 * 1024)
#define DEEPEST 5U

/* What a handler puts into a register, and where it has the section go on. */
#define PUT 0x0123456789abcdefULL

static char alternate[ALTERNATE] __attribute__((aligned(16)));
static volatile uintptr_t go_on_at;
static volatile unsigned int handled;
static sigjmp_buf back;

static void skip(int number, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;

	(void)number;
	(void)info;
	handled++;
	context->uc_mcontext.gregs[REG_RIP] = (greg_t)go_on_at;
}

static void change_registers(int number, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;

	(void)number;
	(void)info;
	handled++;
	context->uc_mcontext.gregs[REG_R12] = (greg_t)PUT;
	memset(&context->uc_mcontext.fpregs->_xmm[5], 0x5a, 16);
}

static void nest(int number, siginfo_t *info, void *arg)
{
	(void)info;
	(void)arg;
	if (++handled < DEEPEST)
		fill_and_send(number);
}

static void jump(int number, siginfo_t *info, void *arg)
{
	(void)number;
	(void)info;
	(void)arg;
	handled++;
	siglongjmp(back, 1);
}

static void illegal(void *arg)
{
	bool *right = arg;
	uint64_t kept = ~complement;

	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, %0\n\t"
			 "ud2\n"
			 "1:"
			 : "=m"(go_on_at), "+r"(kept)
			 :
			 : "rax", "memory");
	*right = handled == 1 && !(kept + complement + 1) && lethe_enabled();
}

static void bad_address(void *arg)
{
	uint64_t kept = ~complement, read = 7;
	bool *right = arg;

	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, %0\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movq (%%rax), %2\n"
			 "1:"
			 : "=m"(go_on_at), "+r"(kept), "+r"(read)
			 :
			 : "rax", "memory");
	*right = handled == 1 && read == 7 && !(kept + complement + 1);
}

static void registers_changed(void *arg)
{
	register uint64_t general __asm__("r12") = 0;
	register uint64_t kept __asm__("r13") = ~complement;
	uint64_t vector[2] = { 0 }, other[2] = { 0 };
	bool *right = arg;

	__asm__ volatile("pcmpeqd %%xmm5, %%xmm5\n\t"
			 "pcmpeqd %%xmm6, %%xmm6\n\t"
			 "int3\n\t"
			 "movups %%xmm5, %2\n\t"
			 "movups %%xmm6, %3"
			 : "+r"(general), "+r"(kept), "=m"(vector), "=m"(other)
			 :
			 : "xmm5", "xmm6", "memory");
	*right = handled == 1 && general == PUT && !(kept + complement + 1) &&
		 vector[0] == 0x5a5a5a5a5a5a5a5aULL && vector[1] == vector[0] &&
		 other[0] == UINT64_MAX && other[1] == UINT64_MAX;
}

static void nested(void *arg)
{
	bool *right = arg;

	fill_and_send(SIGTRAP);
	*right = handled == DEEPEST && lethe_enabled();
}

static void jumps_within(void *arg)
{
	volatile uint64_t kept = ~complement;
	bool *right = arg;

	if (!sigsetjmp(back, 1))
		fill_and_send(SIGSEGV);
	*right = handled == 1 && !(kept + complement + 1) && lethe_enabled();
}

static void jumps_out(void *arg)
{
	*(bool *)arg = true;
	fill_and_send(SIGSEGV);
	*(bool *)arg = false;
}

struct scenario {
	const char *sentence;
	int number;
	void (*handler)(int, siginfo_t *, void *);
	void (*section)(void *);
	int flags;
	unsigned int signals;
};

static const struct scenario scenarios[] = {
	{ "a handler has a section go on after a SIGILL", SIGILL, skip, illegal, 0, 1 },
	{ "and after a SIGSEGV", SIGSEGV, skip, bad_address, 0, 1 },
	{ "changes a general and a vector register of it", SIGTRAP, change_registers,
	  registers_changed, 0, 1 },
	{ "is interrupted by itself, five deep", SIGTRAP, nest, nested, SA_NODEFER,
	  DEEPEST },
	{ "jumps out of a SIGSEGV back into the section", SIGSEGV, jump, jumps_within, 0,
	  1 },
};

static size_t left_anywhere(const struct extent *stack)
{
	return copies_below() + copies(alternate, alternate + ALTERNATE) +
	       copies_in(*stack);
}

/* So that its stack is known: another of the same mode. */
static void where_am_i(void *arg)
{
	*(struct extent *)arg = extent_of(__builtin_frame_address(0));
}

static NOINLINE void test(const struct scenario *scenario, unsigned int flags,
			  int onstack)
{
	struct lethe_report report;
	stack_t before, after;
	struct extent stack;
	bool right = false;
	size_t left;
	int err;

	do_flags(flags, where_am_i, &stack, NULL);
	handle(scenario->number, scenario->handler, scenario->flags | onstack);
	touch_below();
	memset(alternate, 0, sizeof(alternate));
	new_secret();
	handled = 0;
	before = get_alternate();
	err = do_flags(flags, scenario->section, &right, &report);
	after = get_alternate();
	left = left_anywhere(&stack);
	if (!tap_ok(!err && right && same_alternate(&before, &after) && !left &&
			    report.signals == scenario->signals,
		    "%s, %s SA_ONSTACK: %s; %u signals counted, %zu words left",
		    mode_name(flags), onstack ? "with" : "without", scenario->sentence,
		    report.signals, left))
		tap_note("error %d, right %d, handled %u, alternate %p then %p", err,
			 right, handled, before.ss_sp, after.ss_sp);
}

static NOINLINE void test_control(const struct scenario *scenario)
{
	bool right = false;
	size_t left;

	handle(scenario->number, scenario->handler, scenario->flags | SA_ONSTACK);
	touch_below();
	memset(alternate, 0, sizeof(alternate));
	new_secret();
	handled = 0;
	scenario->section(&right);
	left = copies_below() + copies(alternate, alternate + ALTERNATE);
	tap_ok(handled == scenario->signals && left > 0,
	       "control: plainly, %s: %zu words left", scenario->sentence, left);
}

static NOINLINE void test_out(unsigned int flags, int onstack, bool by_next)
{
	volatile bool left_early = false;
	stack_t before, after;
	sigset_t mask_before, mask_after;
	struct extent stack;
	size_t left;
	int err = 0;

	do_flags(flags, where_am_i, &stack, NULL);
	handle(SIGSEGV, jump, onstack);
	touch_below();
	memset(alternate, 0, sizeof(alternate));
	new_secret();
	handled = 0;
	before = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
	if (!sigsetjmp(back, 1))
		do_flags(flags, jumps_out, (void *)&left_early, NULL);
	err = by_next ? lethe_do(nothing, NULL) : lethe_wipe_thread();
	after = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
	left = left_anywhere(&stack);
	tap_ok(!err && handled == 1 && left_early && same_alternate(&before, &after) &&
		       !memcmp(&mask_before, &mask_after, 8) && !left && !lethe_enabled(),
	       "%s, %s SA_ONSTACK: a handler jumps out of the section, which %s erases (%zu words left)",
	       mode_name(flags), onstack ? "with" : "without",
	       by_next ? "the next one" : "lethe_wipe_thread()", left);
}

int main(void)
{
	static const unsigned int modes[] = { 0, LETHE_FAST, LETHE_BLOCK_SIGNALS };
	const size_t n = sizeof(scenarios) / sizeof(scenarios[0]);
	size_t i, mode;

	begin_tests((unsigned int)(3 * (2 * n + 4) + n));
	set_alternate(alternate, sizeof(alternate), 0);
	for (mode = 0; mode < 3; mode++) {
		for (i = 0; i < n; i++) {
			test(&scenarios[i], modes[mode], SA_ONSTACK);
			test(&scenarios[i], modes[mode], 0);
		}
		test_out(modes[mode], SA_ONSTACK, false);
		test_out(modes[mode], SA_ONSTACK, true);
		test_out(modes[mode], 0, false);
		test_out(modes[mode], 0, true);
	}
	for (i = 0; i < n; i++)
		test_control(&scenarios[i]);
	return tap_end();
}
