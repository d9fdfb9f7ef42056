// SPDX-License-Identifier: MIT
/*
 * For perf.sh: a section on the main thread and one on another, each with a
 * function of a known name that takes so much processor time that samples are
 * taken in it.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "lethe.h"

#define MILLISECONDS 400

static volatile unsigned long rounds;

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static __attribute__((noinline)) void hot_inside(void *arg)
{
	long until = milliseconds() + MILLISECONDS;
	int i;

	while (milliseconds() < until)
		for (i = 0; i < 1000000; i++)
			rounds++;
	*(int *)arg = 1;
}

static __attribute__((noinline)) void *thread_body(void *arg)
{
	int err = lethe_do(hot_inside, arg);

	/* A call that is no jump. */
	__asm__ volatile("");
	return err ? NULL : arg;
}

int main(void)
{
	pthread_t thread;
	int done = 0;

	if (lethe_do(hot_inside, &done) || !done)
		return 1;
	if (pthread_create(&thread, NULL, thread_body, &done) ||
	    pthread_join(thread, NULL))
		return 1;
	puts("done");
	return 0;
}
