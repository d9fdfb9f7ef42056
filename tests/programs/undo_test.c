// SPDX-License-Identifier: MIT
/*
 * What lethectl sets up in a machine goes away again, however it ends: by every signal
 * that ends a program, in the midst of it, of a child, of a thread.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "undo.h"

/* What was undone says so in it, a letter each. */
static int line[2];

static void tell(void *letter)
{
	if (write(line[1], letter, 1) != 1)
		_exit(99);
}

static void say_it(char letter)
{
	tell(&letter);
}

static void tell_slowly(void *letter)
{
	const struct timespec moment = { .tv_nsec = 100000000 };

	tell(letter);
	nanosleep(&moment, NULL);
	say_it('!');
}

static int push(void (*undo)(void *arg), char letter)
{
	static char letters[128];

	letters[(int)letter] = letter;
	return undo_push(undo, &letters[(int)letter]);
}

static void fail_in_it(void *unused)
{
	(void)unused;
	raise(SIGSEGV);
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* Runs @fn in a child, which gets @signal if not 0; what was undone, in order. */
static const char *undone(void (*fn)(void), int signal, int *status)
{
	static char letters[16];
	const struct timespec moment = { .tv_nsec = 50000000 };
	size_t at = 0;
	ssize_t n;
	pid_t pid;

	if (pipe(line))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		alarm(20);
		fn();
		exit(0);
	}
	close(line[1]);
	/* The first letter says that all is set up. */
	if (read(line[0], letters, 1) != 1)
		tap_bail("a child of the test failed");
	nanosleep(&moment, NULL);
	if (signal)
		kill(pid, signal);
	while (at < sizeof(letters) - 1 &&
	       (n = read(line[0], letters + at, sizeof(letters) - 1 - at)) > 0)
		at += (size_t)n;
	letters[at] = '\0';
	close(line[0]);
	waitpid(pid, status, 0);
	return letters;
}

static void two_and_wait(void)
{
	push(tell, 'a');
	push(tell, 'b');
	say_it('+');
	wait_for_ever();
}

static void two_and_exit(void)
{
	push(tell, 'a');
	push(tell, 'b');
	say_it('+');
}

static void some_before(void)
{
	int a = push(tell, 'a'), b;

	b = push(tell, 'b');
	push(tell, 'c');
	say_it('+');
	undo_now(a);
	undo_now(a);
	undo_forget(b);
	push(tell, 'd');
}

static void a_fault(void)
{
	volatile char *volatile nowhere = NULL;

	push(tell, 'a');
	say_it('+');
	*nowhere = 0;
}

static void an_abort(void)
{
	push(tell, 'a');
	say_it('+');
	abort();
}

static void a_reader_that_went(void)
{
	int pipes[2];

	push(tell, 'a');
	say_it('+');
	if (pipe(pipes))
		_exit(99);
	close(pipes[0]);
	if (write(pipes[1], "x", 1) < 0)
		_exit(98);
}

static void in_the_midst(void)
{
	push(tell, 'a');
	push(tell_slowly, 'b');
	say_it('+');
	exit(0);
}

static void a_fault_in_it(void)
{
	push(tell, 'a');
	undo_push(fail_in_it, NULL);
	say_it('+');
	wait_for_ever();
}

static void a_child(void)
{
	pid_t pid;

	push(tell, 'a');
	say_it('+');
	pid = fork();
	if (!pid)
		exit(0);
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid) {
		raise(SIGTERM);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid) {
		push(tell, 'c');
		exit(0);
	}
	waitpid(pid, NULL, 0);
	say_it('p');
}

static void *exit_slowly(void *unused)
{
	(void)unused;
	exit(0);
}

static void a_thread(void)
{
	pthread_t thread;

	push(tell, 'a');
	push(tell_slowly, 'b');
	say_it('+');
	if (pthread_create(&thread, NULL, exit_slowly, NULL))
		_exit(99);
	wait_for_ever();
}

static void ignored(void)
{
	signal(SIGHUP, SIG_IGN);
	push(tell, 'a');
	push(tell, 'b');
	raise(SIGHUP);
	say_it('+');
	say_it('h');
	wait_for_ever();
}

static void politely(void)
{
	stop_politely();
	push(tell, 'a');
	say_it('+');
	while (!stop_asked())
		pause();
	say_it(stop_asked() == SIGINT ? 'i' : 't');
	raise(SIGINT);
	_exit(97);
}

static void test_signals(void)
{
	static const int signals[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM,
				       SIGUSR1, SIGALRM, SIGXCPU, SIGPWR,  SIGTRAP };
	const char *letters;
	int status;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		letters = undone(two_and_wait, signals[i], &status);
		tap_ok(!strcmp(letters, "ba") && WIFSIGNALED(status) &&
			       WTERMSIG(status) == signals[i],
		       "%s: undone, newest first, and it dies of that signal",
		       strsignal(signals[i]));
	}
	letters = undone(two_and_wait, SIGKILL, &status);
	tap_ok(!*letters && WIFSIGNALED(status), "control: SIGKILL leaves it");
}

static void test_endings(void)
{
	const char *letters;
	int status;

	letters = undone(two_and_exit, 0, &status);
	tap_ok(!strcmp(letters, "ba") && !status, "at exit it is undone, newest first");
	letters = undone(some_before, 0, &status);
	tap_ok(!strcmp(letters, "adc") && !status,
	       "what was undone before, or forgotten, is not undone again");
	letters = undone(a_fault, 0, &status);
	tap_ok(!strcmp(letters, "a") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGSEGV,
	       "a fault: undone");
	letters = undone(an_abort, 0, &status);
	tap_ok(!strcmp(letters, "a") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGABRT,
	       "abort(): undone");
	letters = undone(a_reader_that_went, 0, &status);
	tap_ok(!strcmp(letters, "a") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGPIPE,
	       "a pipe whose reader went: undone");
	letters = undone(a_fault_in_it, SIGTERM, &status);
	tap_ok(!strcmp(letters, "a") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGSEGV,
	       "a fault in what undoes ends it, with the rest undone");
}

static void test_meetings(void)
{
	const char *letters;
	int status;

	letters = undone(in_the_midst, SIGTERM, &status);
	tap_ok(!strcmp(letters, "b!a"),
	       "a signal while it is undone does not cut that short");
	letters = undone(a_thread, SIGTERM, &status);
	tap_ok(!strcmp(letters, "b!a"), "nor does one that another thread gets");
	letters = undone(a_child, 0, &status);
	tap_ok(!strcmp(letters, "cpa") && !status,
	       "a child's end undoes what is the child's, and not its parent's");
	letters = undone(ignored, SIGTERM, &status);
	tap_ok(!strcmp(letters, "hba") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGTERM,
	       "a signal that was ignored, as nohup(1) has it, stays so");
	letters = undone(politely, SIGINT, &status);
	tap_ok(!strcmp(letters, "ia") && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGINT,
	       "asked to stop it may end by itself; asked again, it is undone and dies");
}

int main(void)
{
	tap_plan(11 + 6 + 5);
	test_signals();
	test_endings();
	test_meetings();
	return tap_end();
}
