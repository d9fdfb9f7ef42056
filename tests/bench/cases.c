// SPDX-License-Identifier: MIT
/*
 * The operations but for the exchange, and the ways to run one.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "../selftests/tap.h"
#include "cases.h"

#define PAGE 4096
#define TOUCH_SIZE 4096
#define FRAME_SIZE (64 * 1024)

#define NOINLINE __attribute__((noinline))

NOINLINE void do_nothing(void *unused)
{
	__asm__ volatile("" : : "r"(unused));
}

NOINLINE void do_touch(void *unused)
{
	uint64_t words[TOUCH_SIZE / sizeof(uint64_t)];

	for (size_t i = 0; i < TOUCH_SIZE / sizeof(uint64_t); i++)
		words[i] = i;
	__asm__ volatile("" : : "r"(words), "r"(unused) : "memory");
}

NOINLINE void do_frame(void *unused)
{
	volatile unsigned char bytes[FRAME_SIZE];

	for (size_t i = 0; i < FRAME_SIZE; i += PAGE)
		bytes[i] = 1;
	__asm__ volatile("" : : "r"(bytes), "r"(unused) : "memory");
}

static void read_zeroes(size_t length)
{
	static char zeroes[256 * 1024];
	static bool written;

	/* Until it is, all of it is one page. */
	if (!written)
		for (size_t i = 0; i < sizeof(zeroes); i += PAGE)
			((volatile char *)zeroes)[i] = 0;
	written = true;
	if (memchr(zeroes, 1, length))
		tap_bail("a one among zeroes");
}

void do_read_8k(void *unused)
{
	(void)unused;
	read_zeroes(8 * 1024);
}

void do_read_256k(void *unused)
{
	(void)unused;
	read_zeroes(256 * 1024);
}

static void in_section(void (*op)(void *), void *arg, const struct lethe_options *options)
{
	int err = lethe_do_with(options, op, arg, NULL);

	if (err)
		tap_bail("lethe_do_with: %s", strerror(-err));
}

void run_plainly(void (*op)(void *), const struct lethe_options *options)
{
	(void)options;
	op(NULL);
}

void run_in_section(void (*op)(void *), const struct lethe_options *options)
{
	in_section(op, NULL, options);
}

/* What is left to enter. */
struct deep {
	void (*op)(void *);
	const struct lethe_options *options;
	unsigned int left;
};

static NOINLINE void go_deeper(void *arg)
{
	struct deep *deep = arg;

	if (!deep->left--)
		deep->op(NULL);
	else
		go_deeper(deep);
	__asm__ volatile("" : : "r"(deep) : "memory");
}

static NOINLINE void go_deeper_in_sections(void *arg)
{
	struct deep *deep = arg;

	if (!deep->left--)
		deep->op(NULL);
	else
		in_section(go_deeper_in_sections, deep, deep->options);
}

void run_deep(void (*op)(void *), const struct lethe_options *options)
{
	struct deep deep = { op, options, DEPTH };

	go_deeper(&deep);
}

void run_deep_in_sections(void (*op)(void *), const struct lethe_options *options)
{
	struct deep deep = { op, options, DEPTH };

	go_deeper_in_sections(&deep);
}

/* What a thread is to run. */
struct job {
	void (*op)(void *);
	way how;
	const struct lethe_options *options;
};

static void *run_job(void *arg)
{
	const struct job *job = arg;

	job->how(job->op, job->options);
	return NULL;
}

static void run_as_thread(struct job *job)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, run_job, job);

	if (err)
		tap_bail("pthread_create: %s", strerror(err));
	pthread_join(thread, NULL);
}

void run_in_thread(void (*op)(void *), const struct lethe_options *options)
{
	run_as_thread(&(struct job){ op, run_plainly, options });
}

void run_in_thread_section(void (*op)(void *), const struct lethe_options *options)
{
	run_as_thread(&(struct job){ op, run_in_section, options });
}
