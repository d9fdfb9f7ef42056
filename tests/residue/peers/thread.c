// SPDX-License-Identifier: MIT
/*
 * A thread as pthreads make it: of those peers that have no way of their own.
 */
#include <pthread.h>
#include <stdlib.h>

#include "rows.h"

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

	if (pthread_create(&thread, NULL, run, &job) || pthread_join(thread, NULL))
		abort();
}
