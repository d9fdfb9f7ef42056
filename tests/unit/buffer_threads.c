// SPDX-License-Identifier: MIT
/*
 * Guarded buffers and threads: shared, handed on, forked away from in the middle, and
 * cancelled.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "buffer_helpers.h"

/* One that nobody may touch. */
static struct lethe_buffer *must_new_closed(void)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	must(b && !lethe_buffer_protect(b, LETHE_ACCESS_NONE));
	return b;
}

static struct lethe_buffer *new_closed(void)
{
	struct lethe_buffer *b = lethe_buffer_new(32, 0);

	cr_assert_not_null(b, "%s", strerror(errno));
	cr_assert_eq(lethe_buffer_protect(b, LETHE_ACCESS_NONE), 0);
	return b;
}

#define THREADS 4
#define TIMES 2000

/* Readers find what one writer has written, all of it or nothing. */
static void *read_often(void *arg)
{
	struct lethe_buffer *b = arg;
	volatile unsigned char *data = lethe_buffer_data(b);
	unsigned int i;
	int err;

	for (i = 0; i < TIMES;) {
		err = lethe_buffer_open(b, LETHE_ACCESS_READ);
		if (err == -EBUSY) {
			sched_yield();
			continue;
		}
		if (err || data[0] != data[31])
			return (void *)1;
		lethe_buffer_close(b);
		i++;
	}
	return NULL;
}

static void *write_often(void *arg)
{
	struct lethe_buffer *b = arg;
	volatile unsigned char *data = lethe_buffer_data(b);
	unsigned int i, tries = 0;
	int err;

	/* It may never come to it: others take turns in having it open. */
	for (i = 0; i < TIMES / 10 && tries < 100 * TIMES; tries++) {
		err = lethe_buffer_open(b, LETHE_ACCESS_WRITE);
		if (err == -EBUSY) {
			sched_yield();
			continue;
		}
		if (err)
			return (void *)1;
		data[0]++;
		data[31]++;
		lethe_buffer_close(b);
		i++;
	}
	return NULL;
}

Test(buffer_threads, is_for_threads)
{
	struct lethe_buffer *b = new_closed();
	pthread_t threads[THREADS];
	void *result;
	size_t i;

	for (i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL,
					    i ? read_often : write_often, b),
			     0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		cr_assert_null(result);
	}
	cr_assert(!b->readers && !b->writer && b->now == LETHE_ACCESS_NONE);
	lethe_buffer_free(b);
}

/* Made there, read here, freed elsewhere. */
static void *make_one(void *arg)
{
	struct lethe_buffer *b = lethe_buffer_new(3, 0);

	if (b) {
		memcpy(lethe_buffer_data(b), arg, 3);
		lethe_buffer_protect(b, LETHE_ACCESS_NONE);
	}
	return b;
}

static void *free_one(void *arg)
{
	lethe_buffer_free(arg);
	return NULL;
}

Test(buffer_threads, is_handed_from_thread_to_thread)
{
	static char abc[] = "abc";
	struct lethe_buffer *b;
	pthread_t thread;
	void *made;

	cr_assert_eq(pthread_create(&thread, NULL, make_one, abc), 0);
	pthread_join(thread, &made);
	b = made;
	cr_assert_not_null(b);
	cr_assert_eq(lethe_buffer_open(b, LETHE_ACCESS_READ), 0);
	cr_assert(lethe_equal(lethe_buffer_data(b), abc, 3));
	cr_assert_not(lethe_equal(lethe_buffer_data(b), "abd", 3));
	lethe_buffer_close(b);
	cr_assert_eq(pthread_create(&thread, NULL, free_one, b), 0);
	pthread_join(thread, NULL);
}

static int fds[2];
static volatile bool stop;

static void *come_and_go(void *arg)
{
	struct lethe_buffer *b;
	size_t length;

	for (length = 1; !stop; length = (length * 7 + 3) % 9000) {
		b = lethe_buffer_new(length, length % 2);
		if (!b || lethe_buffer_open(b, LETHE_ACCESS_READ))
			return arg;
		lethe_buffer_close(b);
		if (length % 5 == 0 && lethe_buffer_seal(b))
			return arg;
		lethe_buffer_free(b);
		if (length % 31 == 0)
			lethe_trim();
	}
	return NULL;
}

static void child_of_many_threads(void)
{
	struct lethe_buffer *b = must_new_closed();

	must(!lethe_buffer_seal(b) && !lethe_buffer_unseal(b));
	must(!lethe_buffer_open(b, LETHE_ACCESS_READ));
	lethe_buffer_close(b);
	lethe_buffer_free(b);
}

static void nothing(void *arg)
{
	(void)arg;
}

Test(buffer_threads, is_whole_in_a_child_that_was_forked_at_any_moment)
{
	pthread_t threads[2];
	void *result;
	size_t i;

	/*
	 * A thread's first section asks libc where its stack is, which allocates: in a
	 * child of threads that is a lock of ASan's own that nobody holds.
	 */
	cr_assert_eq(lethe_do(nothing, NULL), 0);

	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, &fds), 0);
	for (i = 0; i < 30; i++)
		lives(child_of_many_threads);
	stop = true;
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &result);
		cr_assert_null(result);
	}
}

static struct lethe_buffer *waited_for;

static void *wait_for_bytes(void *arg)
{
	lethe_buffer_read(waited_for, 0, fds[0], 1);
	return arg;
}

Test(buffer_threads, is_closed_again_if_a_thread_is_cancelled_as_it_reads)
{
	pthread_t thread;
	void *result;
	int tries;

	waited_for = new_closed();
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(pthread_create(&thread, NULL, wait_for_bytes, &fds), 0);
	for (tries = 0; tries < 10000; tries++) {
		if (lethe_buffer_protect(waited_for, LETHE_ACCESS_NONE) == -EBUSY)
			break;
		usleep(1000);
	}
	pthread_cancel(thread);
	pthread_join(thread, &result);
	cr_assert_eq(result, PTHREAD_CANCELED);
	cr_assert_eq(lethe_buffer_protect(waited_for, LETHE_ACCESS_NONE), 0);
	cr_assert_eq(waited_for->now, LETHE_ACCESS_NONE);
	lethe_buffer_free(waited_for);
}
