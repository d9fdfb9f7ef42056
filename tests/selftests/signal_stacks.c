// SPDX-License-Identifier: MIT
/*
 * Whose the alternate signal stack is: a section begun in a handler that runs on it,
 * one that sets another, handlers that do, and waiting for signals in a section.
 * What the program set is what is there after, as it would be without a section.
 */
#include <poll.h>
#include <setjmp.h>
#include <sys/signalfd.h>
#include <ucontext.h>

#include "signals.h"

#define ALTERNATE ((size_t)32 * 1024)
#define CANARY 0x5eedf00dULL

static char first[ALTERNATE] __attribute__((aligned(16)));
static char second[ALTERNATE] __attribute__((aligned(16)));
static volatile unsigned int handled, inner_handled;
static unsigned int flags_of_section;
static volatile int error;
static volatile enum lethe_level level;

static bool is_set_to(const void *start)
{
	stack_t now = get_alternate();

	return !(now.ss_flags & SS_DISABLE) && now.ss_sp == start &&
	       now.ss_size == ALTERNATE;
}

static void inner_handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	inner_handled++;
	level = lethe_level_of(context);
}

static void send_inside(void *arg)
{
	(void)arg;
	fill_and_send(SIGUSR2);
}

/* On the alternate stack: its frame is there for the next to begin over. */
static void section_in_handler(int number, siginfo_t *info, void *context)
{
	volatile uint64_t canary[256];
	size_t i;

	(void)info;
	(void)context;
	for (i = 0; i < 256; i++)
		canary[i] = CANARY + i;
	error = do_flags(flags_of_section, send_inside, NULL, NULL);
	for (i = 0; i < 256; i++)
		error |= canary[i] != CANARY + i;
	handled += number == SIGUSR1;
}

static NOINLINE void test_begun_in_handler(unsigned int flags, unsigned int stack_flags)
{
	size_t left;

	set_alternate(first, ALTERNATE, stack_flags);
	handle(SIGUSR1, section_in_handler, SA_ONSTACK);
	handle(SIGUSR2, inner_handler, SA_ONSTACK);
	touch_below();
	memset(first, 0, ALTERNATE);
	new_secret();
	flags_of_section = flags;
	handled = inner_handled = 0;
	raise(SIGUSR1);
	left = copies_below() + copies(first, first + ALTERNATE);
	tap_ok(!error && handled == 1 && inner_handled == 1 && is_set_to(first) && !left,
	       "%s: a section in a handler on the alternate stack%s, interrupted by another with SA_ONSTACK: the first one's frame stays (%zu words left)",
	       mode_name(flags), stack_flags ? " (SS_AUTODISARM)" : "", left);
}

#define LARGE ((size_t)256 * 1024)

/* As much as the program's alternate stack has room for. */
static void need_much(int number, siginfo_t *info, void *context)
{
	volatile char frame[LARGE - 64 * 1024];
	size_t i;

	(void)number;
	(void)info;
	for (i = sizeof(frame); i >= 4096; i -= 4096)
		frame[i - 1] = 1;
	inner_handled++;
	level = lethe_level_of(context);
}

static NOINLINE void test_large(void)
{
	static char large[LARGE] __attribute__((aligned(16)));
	struct lethe_report report;
	stack_t before, after;

	set_alternate(large, LARGE, 0);
	handle(SIGUSR2, need_much, SA_ONSTACK);
	inner_handled = 0;
	before = get_alternate();
	error = do_flags(0, send_inside, NULL, &report);
	after = get_alternate();
	tap_ok(!error && inner_handled == 1 && level == report.level &&
		       same_alternate(&before, &after),
	       "a handler that needs most of a large alternate stack has as much in a section");
}

static volatile int flags_in_handler;

static void look_at_flags(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	flags_in_handler = get_alternate().ss_flags;
}

static NOINLINE void test_flags(unsigned int stack_flags)
{
	int plainly;

	set_alternate(first, ALTERNATE, stack_flags);
	handle(SIGUSR2, look_at_flags, SA_ONSTACK);
	raise(SIGUSR2);
	plainly = flags_in_handler;
	flags_in_handler = -1;
	error = lethe_do(send_inside, NULL);
	tap_ok(!error && flags_in_handler == plainly && is_set_to(first),
	       "a handler on an alternate stack%s finds it %s, as without a section",
	       stack_flags ? " with SS_AUTODISARM" : "",
	       plainly & SS_ONSTACK ? "in use" : "disabled");
}

static void set_second_and_send(void *arg)
{
	(void)arg;
	set_alternate(second, ALTERNATE, 0);
	fill_and_send(SIGUSR2);
}

/* What is there after, on ordinary memory, of a stack that the section set. */
static NOINLINE size_t set_inside(unsigned int flags, bool plainly)
{
	set_alternate(first, ALTERNATE, 0);
	handle(SIGUSR2, inner_handler, SA_ONSTACK);
	touch_below();
	memset(second, 0, ALTERNATE);
	new_secret();
	inner_handled = 0;
	error = 0;
	if (plainly)
		set_second_and_send(NULL);
	else
		error = do_flags(flags, set_second_and_send, NULL, NULL);
	return copies_below() + copies(second, second + ALTERNATE);
}

static NOINLINE void test_set_inside(unsigned int flags)
{
	size_t left = set_inside(flags, false);

	tap_ok(!error && inner_handled == 1 && is_set_to(second),
	       "%s: an alternate stack that the section sets is there after it",
	       mode_name(flags));
	tap_ok(!left, "%s: and nothing is left on it (%zu words)", mode_name(flags),
	       left);
}

static volatile int set_error;

static void set_second(int number, siginfo_t *info, void *context)
{
	const stack_t ss = { .ss_sp = second, .ss_size = ALTERNATE };

	(void)number;
	(void)info;
	(void)context;
	set_error = sigaltstack(&ss, NULL) < 0 ? errno : 0;
}

static NOINLINE void test_set_in_handler(int onstack)
{
	int plain_error, section_error;
	bool plainly, in_section;

	handle(SIGUSR2, set_second, onstack);
	set_alternate(first, ALTERNATE, 0);
	raise(SIGUSR2);
	plain_error = set_error;
	plainly = is_set_to(first);
	set_alternate(first, ALTERNATE, 0);
	error = lethe_do(send_inside, NULL);
	section_error = set_error;
	in_section = is_set_to(first);
	tap_ok(!error && plain_error == section_error && plainly == in_section,
	       "a handler %s SA_ONSTACK that sets one: as without a section (%s, and the %s is there after)",
	       onstack ? "with" : "without",
	       section_error == EPERM ? "EPERM" : "no error",
	       plainly ? "old one" : "new one");
}

static void take_away(void *arg)
{
	static const stack_t none = { .ss_flags = SS_DISABLE };

	(void)arg;
	sigaltstack(&none, NULL);
}

static void test_taken_away(void)
{
	set_alternate(first, ALTERNATE, 0);
	error = lethe_do(take_away, NULL);
	tap_ok(!error && get_alternate().ss_flags & SS_DISABLE,
	       "one that the section disables is disabled after it");
}

static sigset_t only(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	return set;
}

static void wait_each_way(void *arg)
{
	sigset_t usr2 = only(SIGUSR2), before, none;
	const struct timespec second_long = { 1, 0 };
	struct signalfd_siginfo info;
	bool *right = arg;
	int fd, number = 0;

	sigemptyset(&none);
	pthread_sigmask(SIG_BLOCK, &usr2, &before);
	fill_and_send(SIGUSR2);
	right[0] = !sigwait(&usr2, &number) && number == SIGUSR2 && !inner_handled;

	fd = signalfd(-1, &usr2, SFD_CLOEXEC);
	fill_and_send(SIGUSR2);
	right[1] = read(fd, &info, sizeof(info)) == sizeof(info) &&
		   info.ssi_signo == SIGUSR2 && !inner_handled;
	close(fd);

	fill_and_send(SIGUSR2);
	right[2] = sigsuspend(&none) < 0 && errno == EINTR && inner_handled == 1;

	fill_and_send(SIGUSR2);
	right[3] = ppoll(NULL, 0, &second_long, &none) < 0 && errno == EINTR &&
		   inner_handled == 2;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static NOINLINE void test_waits(unsigned int flags, int onstack)
{
	bool right[4] = { false };
	size_t left;

	set_alternate(first, ALTERNATE, 0);
	handle(SIGUSR2, inner_handler, onstack);
	touch_below();
	memset(first, 0, ALTERNATE);
	new_secret();
	inner_handled = 0;
	error = do_flags(flags, wait_each_way, right, NULL);
	left = copies_below() + copies(first, first + ALTERNATE);
	tap_ok(!error && right[0] && right[1] && right[2] && right[3] && !left,
	       "%s, %s SA_ONSTACK: sigwait, signalfd, sigsuspend and ppoll in a section (%d%d%d%d, %zu words left)",
	       mode_name(flags), onstack ? "with" : "without", right[0], right[1],
	       right[2], right[3], left);
}

static jmp_buf back;

static void jump_out(void *arg)
{
	(void)arg;
	longjmp(back, 1);
}

static void test_jump_with_signals_blocked(void)
{
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	/* Not sigsetjmp(): what is saved is not the mask. */
	if (!setjmp(back))
		do_flags(LETHE_BLOCK_SIGNALS, jump_out, NULL, NULL);
	error = lethe_wipe_thread();
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	tap_ok(!error && !memcmp(&before, &after, 8),
	       "LETHE_BLOCK_SIGNALS: lethe_wipe_thread() after a longjmp() puts the mask back");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void block_usr2(void *arg)
{
	sigset_t usr2 = only(SIGUSR2);

	(void)arg;
	pthread_sigmask(SIG_BLOCK, &usr2, NULL);
}

static void test_mask_is_the_functions(void)
{
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	error = lethe_do(block_usr2, NULL);
	pthread_sigmask(SIG_SETMASK, &before, &after);
	tap_ok(!error && sigismember(&after, SIGUSR2),
	       "a mask that a section sets is there after it");
}

int main(void)
{
	static const unsigned int modes[] = { 0, LETHE_FAST, LETHE_BLOCK_SIGNALS };
	size_t i, control;

	begin_tests(21);
	if (lethe_do(nothing, NULL))
		tap_bail("no section");
	for (i = 0; i < 2; i++) {
		test_begun_in_handler(modes[i], 0);
		test_begun_in_handler(modes[i], SS_AUTODISARM);
		test_set_inside(modes[i]);
	}
	control = set_inside(0, true);
	tap_ok(inner_handled == 1 && control > 0,
	       "control: plainly, the handler leaves %zu words there", control);
	test_large();
	test_flags(0);
	test_flags(SS_AUTODISARM);
	test_set_in_handler(0);
	test_set_in_handler(SA_ONSTACK);
	test_taken_away();
	for (i = 0; i < 2; i++) {
		test_waits(modes[i], 0);
		test_waits(modes[i], SA_ONSTACK);
	}
	test_jump_with_signals_blocked();
	test_mask_is_the_functions();
	return tap_end();
}
