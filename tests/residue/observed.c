// SPDX-License-Identifier: MIT
/*
 * See observed.h. The thread that looks sleeps between two looks, so that one
 * processor is enough for both.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "observed.h"

#define PATIENCE_S 20
#define LOOK_EVERY_NS 20000

static void (*volatile next_job)(void);
static volatile bool ending;
static volatile int tid;
static pthread_t thread;

static void *work(void *arg)
{
	(void)arg;
	tid = gettid();
	while (!ending) {
		void (*job)(void) = next_job;

		if (!job) {
			__builtin_ia32_pause();
			continue;
		}
		job();
		next_job = NULL;
	}
	return NULL;
}

static bool has_started(void)
{
	return tid;
}

static bool is_done(void)
{
	return !next_job;
}

void observed_until(bool (*condition)(void), const char *what)
{
	struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	time_t end = time(NULL) + PATIENCE_S;

	while (!condition()) {
		if (time(NULL) > end)
			tap_bail("not within %d s: %s", PATIENCE_S, what);
		nanosleep(&pause, NULL);
	}
}

int observed_start(void)
{
	int err = pthread_create(&thread, NULL, work, NULL);

	if (err)
		tap_bail("pthread_create: %s", strerror(err));
	observed_until(has_started, "a thread starts");
	return tid;
}

pthread_t observed_thread(void)
{
	return thread;
}

void observed_begin(void (*job)(void))
{
	next_job = job;
}

void observed_finish(void)
{
	observed_until(is_done, "a job is done");
}

void observed_do(void (*job)(void))
{
	observed_begin(job);
	observed_finish();
}

void observed_end(void)
{
	ending = true;
	pthread_join(thread, NULL);
}
