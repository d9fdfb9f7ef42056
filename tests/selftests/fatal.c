// SPDX-License-Identifier: MIT
/*
 * The signals that end a process with a core dump, in a section and outside of any: it
 * ends by that very signal, as it would without the library, and whoever handles or
 * ignores one goes on to do so. What is then in the core is for residue/core_test. On
 * whichever backend is in use.
 */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

static const int fatal[] = { SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
			     SIGFPE,  SIGSEGV, SIGSYS,  SIGXCPU, SIGXFSZ };
#define FATAL (sizeof(fatal) / sizeof(*fatal))

#define MARK 0x6c65746865666174UL

/* One way to die. */
struct death {
	void (*how)(void *);
	int number;
	struct lethe_options options;
};

static void send(void *arg)
{
	const struct death *death = arg;

	kill(getpid(), death->number);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* No core file of it is wanted here. */
static void begin(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
}

static int in_section(void *arg)
{
	struct death *death = arg;

	begin();
	death->options.size = sizeof(death->options);
	return lethe_do_with(&death->options, death->how, death, NULL) ? 1 : 0;
}

static int after_section(void *arg)
{
	struct death *death = arg;

	begin();
	if (lethe_do(nothing, NULL))
		return 1;
	death->how(death);
	return 0;
}

static bool dies(int (*where)(void *), void (*how)(void *), int number,
		 unsigned int flags)
{
	struct death death = { .how = how, .number = number, .options.flags = flags };
	struct ended ended;

	run_child(where, &death, &ended);
	if (killed_by(&ended, number) && !*ended.said)
		return true;
	tap_note("signal %d: %s, said \"%.100s\"", number, how_ended(&ended), ended.said);
	return false;
}

static void test_sent(void)
{
	unsigned int inside = 0, fast = 0, after = 0;

	for (size_t i = 0; i < FATAL; i++) {
		inside += dies(in_section, send, fatal[i], 0);
		fast += dies(in_section, send, fatal[i], LETHE_FAST);
		after += dies(after_section, send, fatal[i], 0);
	}
	tap_ok(inside == FATAL, "each of %zu that is sent in a section ends the process",
	       FATAL);
	tap_ok(fast == FATAL, "with LETHE_FAST likewise");
	tap_ok(after == FATAL, "and outside of sections");
}

static void write_to_nothing(void *arg)
{
	(void)arg;
	__asm__ volatile("xorl %%eax, %%eax\n\tmovl %%eax, (%%rax)"
			 :
			 :
			 : "rax", "memory");
}

static void divide_by_zero(void *arg)
{
	(void)arg;
	__asm__ volatile("xorl %%ecx, %%ecx\n\tidivl %%ecx" : : : "rax", "rcx", "rdx");
}

static void be_undefined(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

static void trap(void *arg)
{
	(void)arg;
	__asm__ volatile("int3");
}

static void give_up(void *arg)
{
	(void)arg;
	abort();
}

static void test_caused(void)
{
	static const struct death deaths[] = {
		{ .how = write_to_nothing, .number = SIGSEGV },
		{ .how = divide_by_zero, .number = SIGFPE },
		{ .how = be_undefined, .number = SIGILL },
		{ .how = trap, .number = SIGTRAP },
		{ .how = give_up, .number = SIGABRT }
	};
	const size_t n = sizeof(deaths) / sizeof(*deaths);
	unsigned int inside = 0, blocked = 0, after = 0;

	for (size_t i = 0; i < n; i++) {
		inside += dies(in_section, deaths[i].how, deaths[i].number, 0);
		blocked += dies(in_section, deaths[i].how, deaths[i].number,
				LETHE_BLOCK_SIGNALS);
		after += dies(after_section, deaths[i].how, deaths[i].number, 0);
	}
	tap_ok(inside == n, "each of %zu that the section itself causes ends it", n);
	tap_ok(blocked == n, "with LETHE_BLOCK_SIGNALS likewise");
	tap_ok(after == n, "and outside of sections");
}

static volatile uint64_t seen;

static void handle(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;

	(void)number;
	(void)info;
	seen = interrupted->uc_mcontext.gregs[REG_RBX];
}

static void install(int number)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };

	sigaction(number, &action, NULL);
}

/* With a mark in a register when the signal comes. */
static void send_marked(void *arg)
{
	const struct death *death = arg;
	long number = 62; /* kill() */
	uint64_t kept = MARK;

	__asm__ volatile("xchgq %%rbx, %1\n\tsyscall\n\txchgq %%rbx, %1"
			 : "+a"(number), "+r"(kept)
			 : "D"((long)getpid()), "S"((long)death->number)
			 : "rcx", "r11", "memory");
	if (kept != MARK)
		_exit(3);
}

static int handled(void *arg)
{
	struct death *death = arg;
	bool before = death->options.flags;

	begin();
	if (before)
		install(death->number);
	if (lethe_do(nothing, NULL))
		return 1;
	if (!before)
		install(death->number);
	if (lethe_do(send_marked, death))
		return 1;
	return seen == MARK ? 40 : 2;
}

static int ignored(void *arg)
{
	struct death *death = arg;

	begin();
	signal(death->number, SIG_IGN);
	return lethe_do(send, death) ? 1 : 41;
}

static void test_handled(void)
{
	unsigned int before = 0, since = 0, ignoring = 0;
	struct ended ended;

	for (size_t i = 0; i < FATAL; i++) {
		struct death death = { .number = fatal[i] };

		run_child(handled, &death, &ended);
		since += exited_with(&ended, 40);
		run_child(ignored, &death, &ended);
		ignoring += exited_with(&ended, 41);
		death.options.flags = 1;
		run_child(handled, &death, &ended);
		before += exited_with(&ended, 40);
	}
	tap_ok(before == FATAL,
	       "a handler from before the first section is called, and has the registers");
	tap_ok(since == FATAL, "and so is one that was installed since");
	tap_ok(ignoring == FATAL, "what is ignored goes on to be");
}

int main(void)
{
	tap_plan(9);
	test_sent();
	test_caused();
	test_handled();
	return tap_end();
}
