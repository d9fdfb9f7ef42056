// SPDX-License-Identifier: MIT
/*
 * Has the observed thread preempted, by another on the same processor that never waits.
 * Whether what the kernel copied then is still there later is for who calls it.
 */
#include "preempted.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "../selftests/tap.h"
#include "full.h"
#include "observed.h"

static volatile bool hogging;
static struct copies seen;

static bool is_saved(void)
{
	seen = copies_look();
	return copies_in_all(&seen) && seen.frame == FULL_ON_PROCESSOR_GENERAL;
}

static void *hog(void *arg)
{
	(void)arg;
	while (hogging)
		__builtin_ia32_pause();
	return NULL;
}

struct copies preempted(void (*job)(void))
{
	pthread_t other;
	cpu_set_t all, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		tap_bail("sched_getaffinity: %s", strerror(errno));
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	hogging = true;
	full_end = 0;
	if (pthread_setaffinity_np(observed_thread(), sizeof(one), &one) ||
	    pthread_create(&other, NULL, hog, NULL) ||
	    pthread_setaffinity_np(other, sizeof(one), &one))
		tap_bail("no two threads on one processor");
	observed_begin(job);
	observed_until(is_saved, "a thread that never blocks is preempted");
	full_end = 1;
	observed_finish();
	hogging = false;
	pthread_join(other, NULL);
	pthread_setaffinity_np(observed_thread(), sizeof(all), &all);
	return seen;
}
