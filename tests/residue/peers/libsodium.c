// SPDX-License-Identifier: MIT
/*
 * libsodium: sodium_malloc() for the secret, sodium_memzero(), and, for what calls
 * left on the stack, sodium_stackzero(). How deep that has to go is the caller's to
 * know: here, twice what the deepest row needs, at the end of a thread too. Whatever
 * lies on a stack is its business, then.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "piece.h"

#define DEEP_ENOUGH (128 * 1024)

const char piece_promises[] = "own stack deep signal longjmp thread";

const char *piece_start(void)
{
	return sodium_init() < 0 ? "libsodium does not start" : NULL;
}

void piece_run(void (*work)(const uint8_t *secret))
{
	uint8_t *volatile secret = sodium_malloc(SECRET_SIZE);

	if (!secret)
		abort();
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
	sodium_memzero(secret, SECRET_SIZE);
	sodium_free(secret);
	sodium_stackzero(DEEP_ENOUGH);
}

struct job {
	void (*fn)(void *);
	void *arg;
};

static void *run(void *arg)
{
	struct job *job = arg;

	job->fn(job->arg);
	sodium_stackzero(DEEP_ENOUGH);
	return NULL;
}

void piece_thread(void (*fn)(void *), void *arg)
{
	struct job job = { fn, arg };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, &job) || pthread_join(thread, NULL))
		abort();
}
