// SPDX-License-Identifier: MIT
/*
 * A thread that ends inside a section: pthread_exit(), deferred and asynchronous
 * pthread_cancel(). It is erased while the thread unwinds, and nothing is lost of
 * what threads share. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

struct victim {
	struct lethe_options options;
	void (*fn)(void *);
	unsigned int deeper;
	uintptr_t frame;
	volatile bool cleaned_up, cleaned_inside, found_before, mask_back, returned;
	sem_t ready;
};

static void clean_up(void *arg)
{
	struct victim *victim = arg;

	victim->cleaned_up = true;
	victim->cleaned_inside = lethe_enabled();
	victim->found_before = words_at(victim->frame) > 0;
}

/* Outside, and yet before the thread is gone: the section is over by now. */
static void look_at_mask(void *arg)
{
	struct victim *victim = arg;
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	victim->mask_back = !sigismember(&now, SIGUSR1) && !lethe_enabled() &&
			    !words_on_secret_stack(victim->frame);
}

static void leave(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static void wait_for_cancel(void *arg)
{
	struct victim *victim = arg;

	sem_post(&victim->ready);
	for (;;)
		pause();
}

static void spin_for_cancel(void *arg)
{
	struct victim *victim = arg;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	sem_post(&victim->ready);
	for (;;)
		__asm__ volatile("" : : "r"(pattern));
}

static void inside(void *arg)
{
	struct victim *victim = arg;

	if (victim->deeper--) {
		(void)lethe_do(inside, victim);
		return;
	}
	victim->frame = fill_frame();
	pthread_cleanup_push(clean_up, victim);
	victim->fn(victim);
	pthread_cleanup_pop(0);
}

static void *run_victim(void *arg)
{
	struct victim *victim = arg;

	pthread_cleanup_push(look_at_mask, victim);
	(void)lethe_do_with(&victim->options, inside, victim, NULL);
	victim->returned = true;
	pthread_cleanup_pop(0);
	return NULL;
}

static bool end_one(struct victim *victim, bool cancel)
{
	void *result = victim;
	pthread_t thread;

	pattern_new();
	victim->options.size = sizeof(victim->options);
	sem_init(&victim->ready, 0, 0);
	if (pthread_create(&thread, NULL, run_victim, victim))
		tap_bail("no thread");
	if (cancel) {
		sem_wait(&victim->ready);
		pthread_cancel(thread);
	}
	pthread_join(thread, &result);
	return result == (cancel ? PTHREAD_CANCELED : NULL) && !victim->returned &&
	       victim->cleaned_up && victim->cleaned_inside && victim->found_before &&
	       victim->mask_back && !words_on_secret_stack(victim->frame);
}

static void test_ways(void)
{
	static const struct {
		void (*fn)(void *);
		bool cancel;
		const char *what;
	} ways[] = {
		{ leave, false, "pthread_exit()" },
		{ wait_for_cancel, true, "a deferred pthread_cancel()" },
		{ spin_for_cancel, true, "an asynchronous pthread_cancel()" },
	};
	struct victim victim;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		victim = (struct victim){ .fn = ways[i].fn };
		tap_ok(end_one(&victim, ways[i].cancel),
		       "%s: clean-up inside runs inside, outside after the end, all erased",
		       ways[i].what);
		victim = (struct victim){ .fn = ways[i].fn, .deeper = 5 };
		tap_ok(end_one(&victim, ways[i].cancel),
		       "%s through five nested sections likewise", ways[i].what);
		victim = (struct victim){ .fn = ways[i].fn,
					  .options.flags = LETHE_BLOCK_SIGNALS };
		tap_ok(end_one(&victim, ways[i].cancel),
		       "%s with LETHE_BLOCK_SIGNALS likewise, and the mask is back",
		       ways[i].what);
		victim = (struct victim){ .fn = ways[i].fn, .options.flags = LETHE_FAST };
		tap_ok(end_one(&victim, ways[i].cancel), "%s with LETHE_FAST likewise",
		       ways[i].what);
	}
}

/* libc has a signal for it too, and waits until each thread has handled it. */
static void *change_identity(void *arg)
{
	(void)arg;
	return setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1) ? arg : NULL;
}

static void change_identity_meanwhile(void *arg)
{
	pthread_t thread;
	void *result = arg;

	if (!pthread_create(&thread, NULL, change_identity, arg))
		pthread_join(thread, &result);
	if (result)
		*(bool *)arg = false;
}

static int set_id_during_blocked_section(void *arg)
{
	struct lethe_options options = { .size = sizeof(options),
					 .flags = LETHE_BLOCK_SIGNALS };
	bool changed = true;

	(void)arg;
	return lethe_do_with(&options, change_identity_meanwhile, &changed, NULL) ||
	       !changed;
}

static void test_set_id(void)
{
	struct ended ended;

	run_child(set_id_during_blocked_section, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "LETHE_BLOCK_SIGNALS does not keep libc from changing the process's identity (%s)",
	       how_ended(&ended));
}

#define CANCELS 500
/* Mostly alone, which is quickest; now and then beside others, which share a lock. */
#define AT_ONCE 4
#define ALONE 16

struct runner {
	pthread_t thread;
	sem_t ready;
	unsigned int sections;
	uintptr_t frame;
};

static void quick_section(void *arg)
{
	struct runner *runner = arg;

	runner->frame = fill_frame();
	runner->sections++;
}

/*
 * The function may be cancelled anywhere; lethe_do() itself, as nearly all of
 * libc, at no moment: so it is for the function to allow it, while it runs.
 */
static void cancellable_section(void *arg)
{
	struct runner *runner = arg;
	unsigned int i;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (i = 0; i < 20; i++)
		runner->frame = fill_frame();
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
	runner->sections++;
}

static void *cancelled_inside(void *arg)
{
	struct runner *runner = arg;

	sem_post(&runner->ready);
	for (;;)
		(void)lethe_do(cancellable_section, runner);
	return NULL;
}

static void *cancelled_anywhere(void *arg)
{
	struct runner *runner = arg;

	(void)lethe_do(quick_section, runner);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	sem_post(&runner->ready);
	for (;;)
		(void)lethe_do(quick_section, runner);
	return NULL;
}

/* A moment that no clock chooses, so that each run has others. */
static void pass_time(unsigned int turns)
{
	volatile unsigned int i;

	for (i = 0; i < turns; i++)
		;
}

/* How many of @n threads were cancelled with nothing left; the sections they ran. */
static unsigned int cancel_some(unsigned int n, void *(*fn)(void *),
				unsigned int *sections)
{
	struct runner runners[AT_ONCE] = { 0 };
	unsigned int i, cancelled = 0;
	void *result;

	for (i = 0; i < n; i++) {
		sem_init(&runners[i].ready, 0, 0);
		if (pthread_create(&runners[i].thread, NULL, fn, &runners[i]))
			tap_bail("no thread");
	}
	for (i = 0; i < n; i++) {
		sem_wait(&runners[i].ready);
		pass_time((unsigned int)random() % 20000);
		pthread_cancel(runners[i].thread);
	}
	for (i = 0; i < n; i++) {
		pthread_join(runners[i].thread, &result);
		cancelled += result == PTHREAD_CANCELED;
		*sections += runners[i].sections;
	}
	/* A stack that one left was perhaps another's, until all are gone. */
	for (i = 0; i < n; i++)
		if (runners[i].frame && words_on_secret_stack(runners[i].frame))
			return 0;
	return cancelled;
}

static unsigned int cancel_many(void *(*fn)(void *), unsigned int *sections)
{
	unsigned int turn, n, begun, cancelled = 0;

	pattern_new();
	*sections = 0;
	for (turn = begun = 0; begun < CANCELS; turn++, begun += n) {
		n = turn % ALONE ? 1 : AT_ONCE;
		if (begun + n > CANCELS)
			n = CANCELS - begun;
		cancelled += cancel_some(n, fn, sections);
	}
	return cancelled;
}

static void use_pool(void *arg)
{
	struct runner *runner = arg;

	runner->frame = fill_frame();
	runner->sections += words_at(runner->frame) > 0;
}

static void *use_pool_in_thread(void *arg)
{
	struct runner *runner = arg;

	if (!lethe_do(use_pool, runner) && !words_on_secret_stack(runner->frame))
		runner->sections++;
	return NULL;
}

static int cancel_many_in_child(void *arg)
{
	struct runner runners[8] = { 0 };
	unsigned int sections, good = 0, i;

	srandom((unsigned int)getpid());
	if (cancel_many(*(void *(**)(void *))arg, &sections) != CANCELS || !sections)
		return 1;
	for (i = 0; i < 8; i++)
		pthread_create(&runners[i].thread, NULL, use_pool_in_thread, &runners[i]);
	for (i = 0; i < 8; i++) {
		pthread_join(runners[i].thread, NULL);
		good += runners[i].sections;
	}
	if (good != 16)
		return 2;
	(void)lethe_trim();
	return secret_bytes() ? 3 : 0;
}

/* There when the library is instrumented; this file then is not. */
extern void __tsan_init(void) __attribute__((weak));

static void test_many(void)
{
	void *(*fn)(void *) = cancelled_inside;
	struct ended ended;

	run_child(cancel_many_in_child, &fn, &ended);
	tap_ok(exited_with(&ended, 0),
	       "500 threads cancelled at random moments of functions in sections: erased, and the pool is whole (%s)",
	       how_ended(&ended));
	/* A thread cancelled in TSan's runtime never unlocks what its successor locks. */
	if (__tsan_init) {
		tap_skip("a runtime whose locks survive it, which TSan's is not",
			 "500 cancelled at random moments");
		return;
	}
	fn = cancelled_anywhere;
	run_child(cancel_many_in_child, &fn, &ended);
	tap_ok(exited_with(&ended, 0),
	       "500 cancelled at random moments, in sections or between them, likewise (%s)",
	       how_ended(&ended));
}

int main(void)
{
	tap_plan(15);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_ways();
	test_set_id();
	test_many();
	return tap_end();
}
