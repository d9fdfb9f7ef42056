// SPDX-License-Identifier: MIT
/*
 * longjmp() out of a section, which C has no hook for: what is left is found and
 * erased at the thread's next section, by lethe_wipe_thread(), and at the thread's
 * end. Each with a control that finds it before. Built twice: once plainly, once
 * with _FORTIFY_SOURCE=3, whose longjmp() has an opinion about stacks.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "registers.h"
#include "tap.h"

/* Most of the frame: what longjmp() itself calls lies over the rest. */
#define MOST (FRAME_WORDS / 2)

static __thread sigjmp_buf way_out;
static __thread uintptr_t frame;

static void jump_out(void *arg)
{
	(void)arg;
	frame = fill_frame();
	longjmp(way_out, 1);
}

static void sigjump_out(void *arg)
{
	sigset_t all;

	(void)arg;
	frame = fill_frame();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	siglongjmp(way_out, 1);
}

static void jump_from_nested(void *arg)
{
	unsigned int *deeper = arg;

	if (!(*deeper)--)
		jump_out(NULL);
	(void)lethe_do(jump_from_nested, arg);
}

/* Leaves a section open; the words that are found on its stack. */
static size_t leave_open(void (*fn)(void *), void *arg)
{
	pattern_new();
	frame = 0;
	if (!sigsetjmp(way_out, 1))
		(void)lethe_do(fn, arg);
	return words_on_secret_stack(frame);
}

static void count_left(void *arg)
{
	*(size_t *)arg = words_on_secret_stack((uintptr_t)__builtin_frame_address(0));
}

/* What the next section finds as it begins: its end erases everything again. */
static size_t left_for_next(void)
{
	size_t left = (size_t)-1;

	if (lethe_do(count_left, &left))
		return (size_t)-1;
	return left;
}

static void test_next_section(void)
{
	unsigned int deeper;
	size_t before, after;
	sigset_t now;

	before = leave_open(jump_out, NULL);
	after = left_for_next();
	tap_ok(before >= MOST && !after && !lethe_enabled(),
	       "what longjmp() left is erased at the next section (%zu words, %zu before)",
	       after, before);

	before = leave_open(sigjump_out, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	after = left_for_next();
	tap_ok(before >= MOST && !after && !sigismember(&now, SIGUSR1),
	       "what siglongjmp() left too, and the signal mask is the one it saved");

	deeper = 5;
	before = leave_open(jump_from_nested, &deeper);
	after = left_for_next();
	tap_ok(before >= MOST && !after && !lethe_enabled(),
	       "what longjmp() left that passed five nested sections too");
}

static void test_wipe_thread(void)
{
	unsigned int deeper = 5;
	size_t before, after;
	int err;

	before = leave_open(jump_out, NULL);
	err = lethe_wipe_thread();
	after = words_on_secret_stack(frame);
	tap_ok(before >= MOST && !err && !after && !lethe_enabled(),
	       "lethe_wipe_thread() erases what longjmp() left (%zu words, %zu before)",
	       after, before);

	before = leave_open(jump_from_nested, &deeper);
	err = lethe_wipe_thread();
	after = words_on_secret_stack(frame);
	tap_ok(before >= MOST && !err && !after && !lethe_enabled(),
	       "also past five nested sections");
	tap_ok(lethe_wipe_thread() == 0 && left_for_next() == 0,
	       "and a second one, and the next section, find nothing to do");
}

static void jump_with_registers_full(void *arg)
{
	(void)arg;
	registers_fill(&pattern);
	/* An x87 register that is not empty would not survive the next C code. */
	__asm__ volatile("emms" : : : "memory");
	longjmp(way_out, 1);
}

static void jump_and_stay(void *arg)
{
	(void)arg;
	if (!sigsetjmp(way_out, 1))
		(void)lethe_do(jump_with_registers_full, NULL);
}

static void jump_and_wipe(void *arg)
{
	jump_and_stay(arg);
	(void)lethe_wipe_thread();
}

static void test_registers(void)
{
	static struct registers plain, erased;
	const struct register_class *class;
	unsigned int control, left, controls = 0, lefts = 0;

	pattern_new();
	registers_after(jump_and_stay, NULL, &plain);
	registers_after(jump_and_wipe, NULL, &erased);
	for (class = register_classes; class->name; class ++) {
		if (class->needs > (int)registers_have)
			continue;
		control = registers_holding(&plain, class, pattern);
		left = registers_holding(&erased, class, pattern);
		if (left)
			tap_note("%s: %u, %u before", class->name, left, control);
		controls += control;
		lefts += left;
	}
	lefts += general_holding(&erased, pattern);
	tap_ok(controls >= 16 && !lefts,
	       "lethe_wipe_thread() erases the registers that longjmp() left (%u, %u before)",
	       lefts, controls);
}

struct leaver {
	uintptr_t frame;
	size_t before;
};

static void *leave_and_end(void *arg)
{
	struct leaver *leaver = arg;

	leaver->before = leave_open(jump_out, NULL);
	leaver->frame = frame;
	return NULL;
}

static void test_thread_end(void)
{
	struct leaver leaver = { 0 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, leave_and_end, &leaver))
		tap_bail("no thread");
	pthread_join(thread, NULL);
	tap_ok(leaver.before >= MOST && !words_on_secret_stack(leaver.frame),
	       "what longjmp() left is erased at the thread's end (%zu words before)",
	       leaver.before);
}

static void *leave_and_continue(void *arg)
{
	struct leaver *leaver = arg;

	leaver->before = leave_open(jump_out, NULL);
	leaver->before = leaver->before >= MOST && !left_for_next() &&
			 leave_open(jump_out, NULL) >= MOST && !lethe_wipe_thread() &&
			 !words_on_secret_stack(frame);
	return NULL;
}

static void test_in_thread(void)
{
	struct leaver leaver = { 0 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, leave_and_continue, &leaver))
		tap_bail("no thread");
	pthread_join(thread, NULL);
	tap_ok(leaver.before, "both hold in a thread that is not the first");
}

static void test_many(void)
{
	size_t bytes = secret_bytes();
	unsigned int i, deeper, good = 0;

	for (i = 0; i < 1000; i++) {
		deeper = i % 4;
		good += leave_open(jump_from_nested, &deeper) >= MOST;
	}
	tap_ok(good == 1000 && !lethe_wipe_thread() && secret_bytes() == bytes,
	       "1,000 sections that are jumped out of, one after the other, cost no stack more");
}

static void jump_from_handler(int number)
{
	(void)number;
	siglongjmp(way_out, 1);
}

static void fault(void *arg)
{
	frame = fill_frame();
	*(volatile char *)arg = 1;
}

/* The program's own alternate stack is the one that it finds afterwards. */
static void test_handler_on_alternate_stack(void)
{
	static char alternate[64 * 1024];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, now;
	struct sigaction action = { .sa_handler = jump_from_handler,
				    .sa_flags = SA_ONSTACK },
			 old;
	size_t before, after, in_handler;

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &action, &old);
	before = leave_open(fault, NULL);
	after = left_for_next();
	in_handler = words_in((uintptr_t)alternate,
			      (uintptr_t)alternate + sizeof(alternate));
	sigaltstack(NULL, &now);
	tap_ok(before >= MOST && !after && !in_handler,
	       "a SIGSEGV handler on an alternate stack may siglongjmp() out: erased likewise");
	tap_ok(now.ss_sp == alternate && now.ss_size == sizeof(alternate) &&
		       !now.ss_flags,
	       "and the alternate stack is the program's again");

	(void)leave_open(fault, NULL);
	(void)lethe_wipe_thread();
	sigaltstack(NULL, &now);
	tap_ok(!words_on_secret_stack(frame) && now.ss_sp == alternate && !now.ss_flags,
	       "also by lethe_wipe_thread()");
	sigaction(SIGSEGV, &old, NULL);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

#if defined(__USE_FORTIFY_LEVEL) && __USE_FORTIFY_LEVEL > 0
#define FORTIFIED 1

static __attribute__((noinline)) void mark_here(void)
{
	char room[4096];

	__asm__ volatile("" : : "r"(room) : "memory");
	if (setjmp(way_out))
		_exit(0);
}

static int jump_down(void *arg)
{
	(void)arg;
	mark_here();
	longjmp(way_out, 1);
}

/* Is longjmp() here the one that checks? */
static void test_fortified(void)
{
	struct ended ended;

	run_child(jump_down, NULL, &ended);
	tap_ok(killed_by(&ended, SIGABRT) && lines_with(&ended, "longjmp"),
	       "this program's longjmp() aborts where it is wrong (control: %s)",
	       how_ended(&ended));
}
#else
#define FORTIFIED 0

static void test_fortified(void)
{
}
#endif

int main(void)
{
	registers_look();
	tap_plan(13 + FORTIFIED);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_fortified();
	/* Before the controls: a thread's first section makes its stack. */
	(void)left_for_next();
	test_next_section();
	test_wipe_thread();
	test_registers();
	test_thread_end();
	test_in_thread();
	test_many();
	test_handler_on_alternate_stack();
	return tap_end();
}
