// SPDX-License-Identifier: MIT
/*
 * Guarded buffers, as a program has them: on whichever backend is in use, and with
 * threads, for the tools that watch those. What each function refuses is in the unit
 * tests.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define PAGE 4096
#define NR_THREADS 3
#define TIMES 300

static struct lethe_buffer *new_buffer(size_t length)
{
	struct lethe_buffer *b = lethe_buffer_new(length, 0);

	if (!b)
		tap_bail("lethe_buffer_new: %s", strerror(errno));
	return b;
}

static enum lethe_level expected(void)
{
	return strcmp(lethe_backend(), "mlock") ? LETHE_LEVEL_UNMAPPED :
						  LETHE_LEVEL_LOCKED;
}

static bool lies_right(size_t length)
{
	struct lethe_buffer *b = new_buffer(length);
	volatile unsigned char *data = lethe_buffer_data(b);
	bool right = ((uintptr_t)data + length) % PAGE == 0;
	size_t i;

	for (i = 0; i < length; i++) {
		right = right && !data[i] &&
			lethe_level_of((void *)&data[i]) == expected();
		data[i] = 1;
	}
	right = right && lethe_level_of((void *)&data[length]) == LETHE_LEVEL_NONE;
	lethe_buffer_free(b);
	return right;
}

/* What a child does, which is to die of it. */
static int past_the_end(void *unused)
{
	(void)unused;
	((volatile char *)lethe_buffer_data(new_buffer(32)))[32] = 1;
	return 0;
}

static int before_the_page(void *unused)
{
	(void)unused;
	((volatile char *)lethe_buffer_data(new_buffer(PAGE)))[-1] = 1;
	return 0;
}

static int while_closed(void *unused)
{
	struct lethe_buffer *b = new_buffer(32);

	(void)unused;
	lethe_buffer_protect(b, LETHE_ACCESS_NONE);
	return *(volatile char *)lethe_buffer_data(b);
}

static int while_read(void *unused)
{
	struct lethe_buffer *b = new_buffer(32);

	(void)unused;
	lethe_buffer_protect(b, LETHE_ACCESS_NONE);
	lethe_buffer_open(b, LETHE_ACCESS_READ);
	if (*(volatile char *)lethe_buffer_data(b))
		return 1;
	*(volatile char *)lethe_buffer_data(b) = 1;
	return 0;
}

static int after_free(void *unused)
{
	struct lethe_buffer *b = new_buffer(32);
	volatile char *data = lethe_buffer_data(b);

	(void)unused;
	lethe_buffer_free(b);
	return *data;
}

static int canary(void *unused)
{
	struct lethe_buffer *b = new_buffer(32);

	(void)unused;
	((volatile char *)lethe_buffer_data(b))[-1] ^= 1;
	lethe_buffer_free(b);
	return 0;
}

static int of_the_parent(void *buffer)
{
	struct lethe_buffer *b = buffer, *own = new_buffer(32);
	bool right = lethe_buffer_open(b, LETHE_ACCESS_READ) == -ESTALE;

	lethe_buffer_free(b);
	memset(lethe_buffer_data(own), 1, 32);
	right = right && !lethe_buffer_seal(own) && !lethe_buffer_unseal(own) &&
		((char *)lethe_buffer_data(own))[31] == 1;
	lethe_buffer_free(own);
	return !right;
}

static bool dies_of(int (*fn)(void *), int signal)
{
	struct ended ended;

	run_child(fn, NULL, &ended);
	return killed_by(&ended, signal);
}

static bool survives_fork(void)
{
	struct lethe_buffer *b = new_buffer(32);
	struct ended ended;
	bool right;

	memset(lethe_buffer_data(b), 7, 32);
	run_child(of_the_parent, b, &ended);
	right = exited_with(&ended, 0) && ((char *)lethe_buffer_data(b))[0] == 7;
	lethe_buffer_free(b);
	return right;
}

/* All that have it open see one and the same in all of it. */
static void *use_shared(void *arg)
{
	struct lethe_buffer *b = arg;
	unsigned int i, tries = 0;
	unsigned char *data;
	int err;

	for (i = 0; i < TIMES && tries < 1000 * TIMES; tries++) {
		err = lethe_buffer_open(b,
					i % 8 ? LETHE_ACCESS_READ : LETHE_ACCESS_WRITE);
		if (err == -EBUSY) {
			sched_yield();
			continue;
		}
		if (err)
			return arg;
		data = lethe_buffer_data(b);
		if (data[0] != data[299])
			return arg;
		if (i % 8 == 0)
			memset(data, data[0] + 1, 300);
		lethe_buffer_close(b);
		i++;
	}
	return NULL;
}

static void *use_own(void *arg)
{
	struct lethe_buffer *b;
	unsigned int i;

	for (i = 0; i < TIMES; i++) {
		b = lethe_buffer_new(i * 37 % 5000 + 1, i & LETHE_BUFFER_QUICK);
		if (!b || lethe_buffer_fill_random(b) ||
		    lethe_buffer_protect(b, LETHE_ACCESS_NONE) ||
		    (i % 3 == 0 && lethe_buffer_seal(b)) ||
		    lethe_buffer_open(b, LETHE_ACCESS_READ))
			return arg;
		lethe_buffer_close(b);
		lethe_buffer_free(b);
		if (i % 50 == 0)
			lethe_trim();
	}
	return NULL;
}

static bool threads_agree(void *(*fn)(void *), void *arg)
{
	pthread_t threads[NR_THREADS];
	bool agree = true;
	void *result;
	size_t i;

	for (i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, fn, arg))
			tap_bail("no thread");
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], &result);
		agree = agree && !result;
	}
	return agree;
}

int main(void)
{
	struct lethe_buffer *b;
	bool right;

	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_plan(11);
	tap_ok(lies_right(1) && lies_right(32) && lies_right(PAGE) && lies_right(10000),
	       "its data are zero, secret, and end where a guard begins");
	tap_ok(dies_of(past_the_end, SIGSEGV), "a write past its end is a SIGSEGV");
	tap_ok(dies_of(before_the_page, SIGSEGV), "one before its first page is");
	tap_ok(dies_of(while_closed, SIGSEGV), "a read while nobody may is");
	tap_ok(dies_of(while_read, SIGSEGV), "a write while it is open to be read is");
	tap_ok(dies_of(after_free, SIGSEGV), "a read after its end is");
	tap_ok(dies_of(canary, SIGABRT),
	       "a write before its first byte aborts in the end");
	tap_ok(survives_fork(), "a fork's child has none of it, and buffers of its own");

	b = new_buffer(300);
	lethe_buffer_protect(b, LETHE_ACCESS_NONE);
	tap_ok(threads_agree(use_shared, b), "threads read it at once, or one writes it");
	if (lethe_buffer_open(b, LETHE_ACCESS_WRITE))
		tap_bail("it cannot be opened");
	memset(lethe_buffer_data(b), 9, 300);
	lethe_buffer_close(b);
	right = !lethe_buffer_seal(b) && !lethe_buffer_data(b) &&
		!lethe_buffer_open(b, LETHE_ACCESS_READ) &&
		((char *)lethe_buffer_data(b))[299] == 9;
	tap_ok(right, "what was sealed is there again when it is opened");
	lethe_buffer_close(b);
	lethe_buffer_free(b);
	tap_ok(threads_agree(use_own, &b), "threads make, seal, open and free their own");
	return tap_end();
}
