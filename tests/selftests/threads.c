// SPDX-License-Identifier: MIT
/*
 * Sections in threads: many at a time, thousands one after the other in a pool,
 * threads made inside a section, sections run by a thread's destructors. Each
 * thread has a stack of its own, and gives it back. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

/* What 64 of are well within 8 MiB, RLIMIT_MEMLOCK's usual value. */
#define SMALL_STACK (32 * 1024)

static const struct lethe_options small = {
	.size = sizeof(small),
	.stack_size = SMALL_STACK,
};

struct job {
	unsigned int rounds, good;
	uintptr_t frame;
	pthread_barrier_t *all_inside;
};

static void run_threads(unsigned int n, void *(*fn)(void *), struct job *jobs)
{
	pthread_t threads[64];
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, fn, &jobs[i]))
			tap_bail("no thread");
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void use_stack(void *arg)
{
	struct job *job = arg;

	job->frame = fill_frame();
	job->good += lethe_enabled() && words_at(job->frame);
}

static void *many_sections(void *arg)
{
	struct job *job = arg;
	uintptr_t first = 0;
	unsigned int i;

	for (i = 0; i < job->rounds; i++) {
		if (lethe_do(use_stack, job) || words_on_secret_stack(job->frame) ||
		    lethe_enabled())
			return NULL;
		if (!first)
			first = job->frame;
		if (job->frame != first)
			return NULL;
	}
	return NULL;
}

static void test_eight(void)
{
	struct job jobs[8] = { 0 };
	unsigned int i, good = 0;

	for (i = 0; i < 8; i++)
		jobs[i].rounds = 500;
	run_threads(8, many_sections, jobs);
	for (i = 0; i < 8; i++)
		good += jobs[i].good;
	tap_ok(good == 8 * 500,
	       "8 threads run 500 sections each, each on its one stack, each erased (%u)",
	       good);
}

static void meet_inside(void *arg)
{
	struct job *job = arg;

	job->frame = fill_frame();
	pthread_barrier_wait(job->all_inside);
	/* All 64 are in their sections now: what each has, it has alone. */
	job->good += lethe_enabled() && words_at(job->frame);
	pthread_barrier_wait(job->all_inside);
}

static void *meet(void *arg)
{
	struct job *job = arg;

	if (lethe_do_with(&small, meet_inside, job, NULL))
		tap_bail("a thread's section does not run");
	job->good += !words_on_secret_stack(job->frame) && !lethe_enabled();
	return NULL;
}

static void test_sixty_four(void)
{
	struct job jobs[64] = { 0 };
	pthread_barrier_t barrier;
	unsigned int i, j, good = 0, shared = 0;
	size_t once, twice;

	pthread_barrier_init(&barrier, NULL, 64);
	for (i = 0; i < 64; i++)
		jobs[i].all_inside = &barrier;
	run_threads(64, meet, jobs);
	for (i = 0; i < 64; i++) {
		good += jobs[i].good;
		for (j = 0; j < i; j++)
			shared += jobs[i].frame / SMALL_STACK ==
				  jobs[j].frame / SMALL_STACK;
	}
	tap_ok(good == 128 && !shared,
	       "64 threads in sections at once have 64 stacks, and each is erased");
	once = secret_bytes();
	run_threads(64, meet, jobs);
	twice = secret_bytes();
	tap_ok(once >= 64 * SMALL_STACK && twice == once,
	       "64 more run on the same stacks (%zu KiB, %zu KiB)", once / 1024,
	       twice / 1024);
	pthread_barrier_destroy(&barrier);
}

/* A pool: what is to be done is counted down, by whoever comes. */
static int jobs_left, jobs_done;

static void pool_job(void *arg)
{
	use_stack(arg);
	__atomic_fetch_add(&jobs_done, 1, __ATOMIC_RELAXED);
}

static void *pool_worker(void *arg)
{
	struct job *job = arg;

	for (;;) {
		if (__atomic_fetch_sub(&jobs_left, 1, __ATOMIC_RELAXED) <= 0)
			return NULL;
		if (lethe_do_with(&small, pool_job, job, NULL) || words_at(job->frame))
			return NULL;
		job->rounds++;
	}
}

static void test_pool(void)
{
	struct job jobs[4] = { 0 };
	size_t before = secret_bytes();

	jobs_left = 20000;
	jobs_done = 0;
	run_threads(4, pool_worker, jobs);
	tap_ok(jobs_done == 20000,
	       "a pool of 4 threads runs 20,000 sections (%u, %u, %u and %u)",
	       jobs[0].rounds, jobs[1].rounds, jobs[2].rounds, jobs[3].rounds);
	tap_ok(secret_bytes() == before, "on stacks that were there");
}

static void *look_outside(void *arg)
{
	struct job *job = arg;

	job->good = !lethe_enabled() &&
		    lethe_level_of(__builtin_frame_address(0)) == LETHE_LEVEL_NONE;
	if (lethe_do_with(&small, use_stack, job, NULL) == 0)
		job->good += !words_on_secret_stack(job->frame);
	return NULL;
}

struct maker {
	struct job made;
	uintptr_t frame;
	bool still_inside;
};

static void make_thread(void *arg)
{
	struct maker *maker = arg;

	maker->frame = fill_frame();
	run_threads(1, look_outside, &maker->made);
	maker->still_inside = lethe_enabled() && words_at(maker->frame);
}

static void test_made_inside(void)
{
	struct maker maker = { 0 };
	int err = lethe_do(make_thread, &maker);

	tap_ok(!err && maker.made.good == 3 && maker.made.frame &&
		       secret_around(maker.made.frame).start !=
			       secret_around(maker.frame).start,
	       "a thread made inside a section starts outside, on an ordinary stack, and can have its own");
	tap_ok(maker.still_inside && !words_on_secret_stack(maker.frame),
	       "its maker's section goes on, and ends erased");
}

static pthread_key_t keys[2];
static unsigned int sections_in_destructors;

static void run_in_destructor(void *arg)
{
	struct job job = { 0 };

	if (!lethe_do_with(&small, use_stack, &job, NULL) && job.good &&
	    !words_on_secret_stack(job.frame))
		__atomic_fetch_add(&sections_in_destructors, 1, __ATOMIC_RELAXED);
	/* Once more, after the library's own destructor has had its turn. */
	if (arg == &keys[0])
		pthread_setspecific(keys[0], &keys[1]);
}

static void *with_destructors(void *arg)
{
	struct job *job = arg;

	pthread_setspecific(keys[0], &keys[0]);
	pthread_setspecific(keys[1], &keys[0]);
	if (job->rounds)
		(void)lethe_do_with(&small, use_stack, job, NULL);
	return NULL;
}

static void test_destructors(void)
{
	struct job job;
	size_t before;
	unsigned int i;

	/* The other was made before the library made its own. */
	pthread_key_create(&keys[1], run_in_destructor);
	before = secret_bytes();
	for (i = 0; i < 100; i++) {
		job = (struct job){ .rounds = i % 2 };
		run_threads(1, with_destructors, &job);
	}
	tap_ok(sections_in_destructors == 100 * 3,
	       "destructors of thread-local data run sections, before and after the library's (%u)",
	       sections_in_destructors);
	tap_ok(secret_bytes() == before, "and no stack is lost by it");
}

static atomic_bool cancelled;

/* Its cancellation is pending, and where it is found is the next function that asks. */
static void *begin_cancelled(void *arg)
{
	struct lethe_options fresh = { .size = sizeof(fresh),
				       .stack_size = *(size_t *)arg };
	struct job job = { 0 };

	while (!cancelled)
		;
	if (lethe_do_with(&fresh, use_stack, &job, NULL) || !job.good)
		return NULL;
	*(size_t *)arg = 0;
	pthread_testcancel();
	return NULL;
}

static int cancel_first_sections(void *arg)
{
	pthread_t thread;
	unsigned int i;
	size_t size;
	void *result;

	(void)arg;
	for (i = 0; i < 10; i++) {
		/* A stack that is not there yet, so that it has to be made. */
		size = (10 + i) * 4096;
		cancelled = false;
		if (pthread_create(&thread, NULL, begin_cancelled, &size))
			return 1;
		pthread_cancel(thread);
		cancelled = true;
		pthread_join(thread, &result);
		if (size || result != PTHREAD_CANCELED)
			return 2;
	}
	return 0;
}

static void test_pending_cancellation(void)
{
	struct ended ended;

	run_child(cancel_first_sections, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "lethe_do() is no cancellation point, while it makes a stack neither (%s)",
	       how_ended(&ended));
}

int main(void)
{
	pthread_key_create(&keys[0], run_in_destructor);
	tap_plan(11);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	pattern_new();
	test_eight();
	test_sixty_four();
	test_pool();
	test_made_inside();
	test_destructors();
	test_pending_cancellation();
	tap_ok(lethe_trim() > 0 && secret_bytes() == 0,
	       "after all of it lethe_trim() gives back every page");
	return tap_end();
}
