// SPDX-License-Identifier: MIT
/*
 * Lethe: the secret is a variable of the section. What a longjmp() left is erased by
 * lethe_wipe_thread(), where a program would call it: where the longjmp() arrived.
 * The thread is lethe_thread_create()'s: one that pthread_create() makes in a section
 * is outside of it.
 */
#include <lethe.h>
#include <pthread.h>
#include <stdlib.h>

#include "piece.h"

const char piece_promises[] = "own general vector stack deep text stream live signal "
			      "altstack longjmp thread";

static void section(void *arg)
{
	void (**work)(const uint8_t *secret) = arg;
	uint8_t secret[SECRET_SIZE];

	piece_read(secret);
	(*work)(secret);
}

const char *piece_start(void)
{
	return lethe_backend() ? NULL : "no backend";
}

void piece_run(void (*work)(const uint8_t *secret))
{
	if (setjmp(row_way_out))
		lethe_wipe_thread();
	else if (lethe_do(section, &work))
		abort();
}

struct job {
	void (*fn)(void *);
	void *arg;
};

static void *run(void *arg)
{
	struct job *job = arg;

	job->fn(job->arg);
	return NULL;
}

void piece_thread(void (*fn)(void *), void *arg)
{
	struct job job = { fn, arg };
	pthread_t thread;

	if (lethe_thread_create(&thread, NULL, run, &job) || pthread_join(thread, NULL))
		abort();
}
