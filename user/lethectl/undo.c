// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What is to be undone, and the signals that would otherwise end the program with it
 * left. Undoing is done inside the handler: the program may be anywhere, in a call
 * that waits too. It never makes a signal heeded that whoever started us ignores.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "undo.h"

#define MOST 64

/* The standard ones that end a program and can be caught; a fault of our own as well. */
static const int endings[] = {
	SIGHUP,
	SIGINT,
	SIGQUIT,
	SIGPIPE,
	SIGTERM,
	SIGALRM,
	SIGUSR1,
	SIGUSR2,
	SIGXCPU,
	SIGXFSZ,
	SIGPROF,
	SIGPOLL,
	SIGPWR,
	SIGVTALRM,
	SIGSTKFLT,
	/* From here on, those that say that something is wrong with us. */
	SIGABRT,
	SIGSEGV,
	SIGBUS,
	SIGILL,
	SIGFPE,
	SIGSYS,
	SIGTRAP,
};

enum { EMPTY, FILLING, THERE, UNDOING };

static struct {
	void (*undo)(void *arg);
	void *arg;
	atomic_int state;
} things[MOST];

static pid_t owner;
/* The threads that are about to end the program, and in the midst of undoing. */
static atomic_int dying, undoing;
static volatile sig_atomic_t polite, asked;

static void fill(sigset_t *set)
{
	size_t i;

	sigemptyset(set);
	/* Not the faults: what is blocked would end it at once, with nothing undone. */
	for (i = 0; endings[i] != SIGABRT; i++)
		sigaddset(set, endings[i]);
}

static void undo(int number)
{
	int there = THERE;
	sigset_t set, was;

	/* Half undone is not undone: no signal ends the program meanwhile. */
	fill(&set);
	pthread_sigmask(SIG_BLOCK, &set, &was);
	if (atomic_compare_exchange_strong(&things[number].state, &there, UNDOING)) {
		atomic_store(&undoing, gettid());
		things[number].undo(things[number].arg);
		atomic_store(&undoing, 0);
		atomic_store(&things[number].state, EMPTY);
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static void undo_each(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int i;

	if (getpid() != owner)
		return;
	for (i = MOST - 1; i >= 0; i--) {
		undo(i);
		/* Another thread's; if it is ours, then it was that which failed. */
		while (atomic_load(&things[i].state) == UNDOING &&
		       atomic_load(&undoing) != gettid())
			nanosleep(&moment, NULL);
	}
}

static void on_ending(int signal)
{
	int self = gettid(), first = 0;
	sigset_t set;

	if (polite && !asked && (signal == SIGINT || signal == SIGTERM)) {
		asked = signal;
		return;
	}
	if (getpid() == owner) {
		/* One thread undoes; the others wait for the end. */
		while (!atomic_compare_exchange_strong(&dying, &first, self) &&
		       first != self) {
			pause();
			first = 0;
		}
		/* After a fault in what was undone, the rest still is. */
		undo_each();
	}
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + signal);
}

static void catch (int signal)
{
	struct sigaction action = { .sa_handler = on_ending }, was;

	/* nohup(1) and a shell's jobs in the background mean it. */
	if (sigaction(signal, NULL, &was) || was.sa_handler != SIG_DFL)
		return;
	fill(&action.sa_mask);
	sigaction(signal, &action, NULL);
}

void undo_begin(void)
{
	size_t i;

	if (owner == getpid())
		return;
	if (owner)
		/* A child that has things of its own: its parent's are not. */
		for (i = 0; i < MOST; i++)
			atomic_store(&things[i].state, EMPTY);
	else
		atexit(undo_all);
	owner = getpid();
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		catch (endings[i]);
}

int undo_push(void (*fn)(void *arg), void *arg)
{
	int i, empty;

	undo_begin();
	/* Above the newest, so that the order stays. */
	for (i = MOST; i > 0 && atomic_load(&things[i - 1].state) == EMPTY; i--)
		;
	empty = EMPTY;
	if (i == MOST ||
	    !atomic_compare_exchange_strong(&things[i].state, &empty, FILLING)) {
		fputs("lethectl: too much to undo\n", stderr);
		abort();
	}
	things[i].undo = fn;
	things[i].arg = arg;
	atomic_store(&things[i].state, THERE);
	return i;
}

void undo_now(int number)
{
	undo(number);
}

void undo_forget(int number)
{
	atomic_store(&things[number].state, EMPTY);
}

void undo_all(void)
{
	/* Another thread is at it, in a handler, and ends the program when it is done. */
	while (getpid() == owner && atomic_load(&dying) &&
	       atomic_load(&dying) != gettid())
		pause();
	undo_each();
}

void stop_politely(void)
{
	undo_begin();
	polite = 1;
}

int stop_asked(void)
{
	return asked;
}
