// SPDX-License-Identifier: MIT
/*
 * Signals and sections at their plainest: a handler's frame is erased with the
 * section that it interrupted, and a section that a handler begins there is part of
 * that. On whichever backend is in use.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "left.h"
#include "lethe.h"
#include "registers.h"
#include "tap.h"

static volatile size_t seen_in_handler;
static volatile bool handler_ran;

static void handler(int number)
{
	(void)number;
	handler_ran = true;
	seen_in_handler = words_on_secret_stack((uintptr_t)__builtin_frame_address(0));
}

static void signal_with_registers_full(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0);
	registers_fill(&pattern);
	/* As a call, raise() would spill some of what it saves; a signal, all. */
	__asm__ volatile("emms" : : : "memory");
	raise(SIGUSR1);
}

static void test_signal_frame(void)
{
	struct sigaction action = { .sa_handler = handler };
	uintptr_t on = 0;
	size_t left;
	int err;

	sigaction(SIGUSR1, &action, NULL);
	err = lethe_do(signal_with_registers_full, &on);
	left = words_on_secret_stack(on);
	tap_ok(!err && handler_ran && seen_in_handler > 0 && !left,
	       "a signal's frame, with the registers in it, is erased with the section (%zu words, %zu while it ran)",
	       left, seen_in_handler);
}

static volatile bool inner_ran;
static volatile int inner_error;
static volatile enum lethe_level inner_level;

static void note_inner(void *arg)
{
	(void)arg;
	inner_ran = true;
	inner_level = lethe_level_of(__builtin_frame_address(0));
}

static void section_in_handler(int number)
{
	(void)number;
	inner_error = lethe_do(note_inner, NULL);
}

static void raise_it(void *arg)
{
	volatile uint64_t mine = pattern;

	(void)arg;
	raise(SIGUSR2);
	if (mine != pattern)
		abort();
}

static void section_in_handler_on(void *alternate, size_t size, const char *where)
{
	stack_t ss = { .ss_sp = alternate, .ss_size = size };
	struct sigaction action = { .sa_handler = section_in_handler,
				    .sa_flags = SA_ONSTACK };
	int err;

	sigaltstack(&ss, NULL);
	sigaction(SIGUSR2, &action, NULL);
	err = lethe_do(raise_it, NULL);
	tap_ok(!err && !inner_error && inner_ran && inner_level != LETHE_LEVEL_NONE,
	       "a section begun by a handler whose stack is in %s is part of the one that it interrupts",
	       where);
	inner_ran = false;

	inner_error = -1;
	raise(SIGUSR2);
	tap_ok(!inner_error && inner_ran,
	       "outside of one the same handler may begin its own");
	inner_ran = false;
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

static void test_section_in_handler(void)
{
	static char apart[64 * 1024];
	/* Inside the thread's own stack, and yet not where the section came from. */
	char within[64 * 1024];

	section_in_handler_on(apart, sizeof(apart), "static memory");
	section_in_handler_on(within, sizeof(within), "the thread's stack");
}

int main(void)
{
	pattern_new();
	registers_look();

	tap_plan(5);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_signal_frame();
	test_section_in_handler();
	return tap_end();
}
