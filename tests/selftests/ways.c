// SPDX-License-Identifier: MIT
/*
 * Sections that do not simply return: signals, longjmp, threads, fork, exit. On
 * whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "registers.h"
#include "tap.h"

#define STACK_BYTES (256 * 1024)

static uint64_t pattern;

/* How much of the secret, in words, is anywhere on the stack that @on is of. */
static size_t words_on_secret_stack(const void *on)
{
	const uint64_t *word = (const uint64_t *)((uintptr_t)on & ~(uintptr_t)4095);
	size_t found = 0;

	while (lethe_level_of((const char *)word - 1) != LETHE_LEVEL_NONE)
		word -= 4096 / sizeof(*word);
	for (; lethe_level_of(word) != LETHE_LEVEL_NONE; word++)
		found += *word == pattern;
	return found;
}

static volatile size_t seen_in_handler;
static volatile bool handler_ran;

static void handler(int number)
{
	(void)number;
	handler_ran = true;
	seen_in_handler = words_on_secret_stack(__builtin_frame_address(0));
}

static void signal_with_registers_full(void *arg)
{
	char here;

	*(void **)arg = &here;
	registers_fill(&pattern);
	/* As a call, raise() would spill some of what it saves; a signal, all. */
	__asm__ volatile("emms" : : : "memory");
	raise(SIGUSR1);
}

static void test_signal_frame(void)
{
	struct sigaction action = { .sa_handler = handler };
	void *on = NULL;
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

static jmp_buf way_out;
static void *jumped_from;

static __attribute__((noinline)) void jump_out(void *arg)
{
	volatile uint64_t frame[512];
	size_t i;

	(void)arg;
	for (i = 0; i < 512; i++)
		frame[i] = pattern;
	jumped_from = (void *)frame;
	longjmp(way_out, 1);
}

static void count_left(void *arg)
{
	*(size_t *)arg = words_on_secret_stack(__builtin_frame_address(0));
}

static void test_longjmp(void)
{
	size_t before, after = 1;
	int err;

	if (!setjmp(way_out))
		(void)lethe_do(jump_out, NULL);
	before = words_on_secret_stack(jumped_from);
	/* At its beginning: its end erases everything once more. */
	err = lethe_do(count_left, &after);
	tap_ok(before >= 512 && !err && !after && !lethe_enabled(),
	       "what a longjmp left behind is erased at the thread's next section (%zu words, %zu before)",
	       after, before);
}

struct job {
	void *on;
	unsigned int rounds;
	bool good;
};

static void use_stack(void *arg)
{
	volatile uint64_t frame[512];
	struct job *job = arg;
	size_t i;

	for (i = 0; i < 512; i++)
		frame[i] = pattern;
	job->on = (void *)frame;
	job->good &= lethe_enabled();
}

static void *run_sections(void *arg)
{
	struct job *job = arg;
	unsigned int i;

	job->good = true;
	for (i = 0; i < job->rounds; i++) {
		job->good &= !lethe_do(use_stack, job);
		job->good &= !words_on_secret_stack(job->on) && !lethe_enabled();
	}
	return NULL;
}

static void test_threads(void)
{
	struct job jobs[4] = { { 0 } };
	pthread_t threads[4];
	bool good = true, again = false;
	void *last;
	size_t i;

	for (i = 0; i < 4; i++) {
		jobs[i].rounds = 200;
		if (pthread_create(&threads[i], NULL, run_sections, &jobs[i]))
			tap_bail("no thread");
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		good &= jobs[i].good;
	}
	tap_ok(good, "four threads run 200 sections each, and each is erased");

	/* The stacks are back in the pool: one of the four is the next one's. */
	jobs[0].rounds = 1;
	last = jobs[0].on;
	for (i = 0; i < 4; i++)
		again |= jobs[i].on == last;
	pthread_create(&threads[0], NULL, run_sections, &jobs[0]);
	pthread_join(threads[0], NULL);
	for (again = false, i = 1; i < 4; i++)
		again |= jobs[0].on == jobs[i].on;
	again |= jobs[0].on == last;
	tap_ok(again && jobs[0].good, "a thread's stack is used again after it");
}

static void leave_thread(void *arg)
{
	use_stack(arg);
	pthread_exit(NULL);
}

static void *run_and_leave(void *arg)
{
	struct job *job = arg;

	job->good = true;
	(void)lethe_do(leave_thread, arg);
	return NULL;
}

static void test_pthread_exit(void)
{
	struct job job = { 0 };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_and_leave, &job))
		tap_bail("no thread");
	pthread_join(thread, NULL);
	tap_ok(job.good && job.on && !words_on_secret_stack(job.on),
	       "pthread_exit() inside a section leaves nothing on its stack");
}

static pid_t raw_fork(void)
{
	return (pid_t)syscall(SYS_fork);
}

/* The status of a child, by one fork or the other, that runs @fn(@arg). */
static int child_by(pid_t (*by)(void), void (*fn)(void *), void *arg)
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t pid;

	pid = by();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int child(void (*fn)(void *), void *arg)
{
	return child_by(fork, fn, arg);
}

static void read_byte(void *address)
{
	_exit(*(volatile char *)address != 0);
}

static void own_section(void *arg)
{
	struct job job = { .good = true };

	(void)arg;
	_exit(lethe_do(use_stack, &job) || !job.good || words_on_secret_stack(job.on));
}

static void test_fork(void)
{
	struct job job = { .good = true };
	static char ordinary;
	int status;

	(void)lethe_do(use_stack, &job);
	status = child(read_byte, &ordinary);
	tap_ok(WIFEXITED(status), "a fork's child reads an ordinary byte (control)");
	status = child(read_byte, job.on);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	       "a fork's child has no mapping of its parent's secret stack");
	/* Past the library's back: what the kernel itself keeps from the child. */
	status = child_by(raw_fork, read_byte, job.on);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	       "neither has the child of a bare fork system call");
	status = child(own_section, NULL);
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status),
	       "a fork's child makes a stack of its own for its sections");
	tap_ok(!lethe_do(use_stack, &job), "and the parent's sections go on");
}

static void exit_inside(void *arg)
{
	exit(*(int *)arg);
}

static void run_exit_inside(void *arg)
{
	(void)lethe_do(exit_inside, arg);
}

static void kill_inside(void *arg)
{
	(void)arg;
	raise(SIGKILL);
}

static void run_kill_inside(void *arg)
{
	(void)lethe_do(kill_inside, arg);
}

static void test_endings(void)
{
	int code = 7, status;

	status = child(run_exit_inside, &code);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	       "exit() inside a section exits");
	status = child(run_kill_inside, NULL);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	       "SIGKILL inside a section kills");
}

static void run_command(void *arg)
{
	*(int *)arg = system("exit 3");
}

static void test_system(void)
{
	int status = 0;

	(void)lethe_do(run_command, &status);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 3,
	       "system() works inside a section");
}

int main(void)
{
	if (getrandom(&pattern, sizeof(pattern), 0) != sizeof(pattern))
		tap_bail("no random numbers");
	registers_look();

	tap_plan(17);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_signal_frame();
	test_section_in_handler();
	test_longjmp();
	test_threads();
	test_pthread_exit();
	test_fork();
	test_endings();
	test_system();
	return tap_end();
}
