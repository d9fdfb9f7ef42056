// SPDX-License-Identifier: MIT
/*
 * For walk.sh: a section on the main thread and one on another, each with a
 * function of a known name in the middle for gdb to stop in.
 */
#include <pthread.h>
#include <stdio.h>

#include "lethe.h"

static volatile int here;

static __attribute__((noinline)) void stop_here(void *arg)
{
	here = *(int *)arg;
}

static __attribute__((noinline)) void *thread_body(void *arg)
{
	return lethe_do(stop_here, arg) ? NULL : arg;
}

int main(void)
{
	pthread_t thread;
	int n = 1;

	if (lethe_do(stop_here, &n))
		return 1;
	if (pthread_create(&thread, NULL, thread_body, &n) || pthread_join(thread, NULL))
		return 1;
	puts("walked");
	return 0;
}
