// SPDX-License-Identifier: MIT
/*
 * lethe_thread_create(): a thread that is one section, from its function's first
 * instruction to its last, however it ends; and every way in which it is not made.
 * On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "registers.h"
#include "tap.h"

enum ending { RETURN, EXIT, CANCEL };

struct part {
	enum ending ending;
	bool enabled, secret, busy, nested_same, cleaned_inside, filled;
	uintptr_t frame;
	sem_t ready;
};

static void clean_up(void *arg)
{
	struct part *part = arg;

	part->cleaned_inside = lethe_enabled();
}

static void nested(void *arg)
{
	struct part *part = arg;
	struct extent here = secret_around((uintptr_t)__builtin_frame_address(0));

	part->nested_same = part->frame - here.start < here.end - here.start;
}

static void *play(void *arg)
{
	struct part *part = arg;

	part->enabled = lethe_enabled();
	part->secret = lethe_level_of(__builtin_frame_address(0)) != LETHE_LEVEL_NONE;
	part->frame = fill_frame();
	part->filled = words_at(part->frame) > 0;
	part->busy = lethe_wipe_thread() == -EBUSY;
	(void)lethe_do(nested, part);
	pthread_cleanup_push(clean_up, part);
	sem_post(&part->ready);
	if (part->ending == EXIT)
		pthread_exit(&part->frame);
	while (part->ending == CANCEL)
		pause();
	pthread_cleanup_pop(0);
	return part;
}

static void start(struct part *part, enum ending ending)
{
	pattern_new();
	memset(part, 0, sizeof(*part));
	part->ending = ending;
	sem_init(&part->ready, 0, 0);
}

static bool good(const struct part *part)
{
	return part->enabled && part->secret && part->filled && part->busy &&
	       part->nested_same;
}

static void test_ways_out(void)
{
	struct part part;
	pthread_t thread;
	void *result;
	int err;

	start(&part, RETURN);
	err = lethe_thread_create(&thread, NULL, play, &part);
	if (err)
		tap_bail("lethe_thread_create: %s", strerror(-err));
	err = pthread_join(thread, &result);
	tap_ok(!err && result == &part && good(&part),
	       "the thread starts in a section, and pthread_join() has what it returned");
	tap_ok(!words_on_secret_stack(part.frame) && !lethe_enabled(),
	       "it is erased by then, and its maker was never inside");

	start(&part, EXIT);
	lethe_thread_create(&thread, NULL, play, &part);
	pthread_join(thread, &result);
	tap_ok(result == &part.frame && good(&part) && part.cleaned_inside &&
		       !words_on_secret_stack(part.frame),
	       "pthread_exit() in it: its value arrives, clean-up handlers run inside, erased");

	start(&part, CANCEL);
	lethe_thread_create(&thread, NULL, play, &part);
	sem_wait(&part.ready);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	tap_ok(result == PTHREAD_CANCELED && good(&part) && part.cleaned_inside &&
		       !words_on_secret_stack(part.frame),
	       "pthread_cancel() of it: PTHREAD_CANCELED, clean-up handlers run inside, erased");
}

static void test_detached(void)
{
	struct part part;
	pthread_attr_t attributes;
	pthread_t thread;
	unsigned int i;

	start(&part, RETURN);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (lethe_thread_create(&thread, &attributes, play, &part))
		tap_bail("no detached thread");
	sem_wait(&part.ready);
	/* Nobody is told of its end: looked for, as long as the test may take. */
	for (i = 0; i < 60000 && words_on_secret_stack(part.frame); i++)
		usleep(1000);
	tap_ok(good(&part) && !words_on_secret_stack(part.frame),
	       "a detached one is erased at its end");
	pthread_attr_destroy(&attributes);
}

static void *report_stack(void *arg)
{
	pthread_attr_t attributes;
	size_t size;

	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, arg, &size);
	pthread_attr_destroy(&attributes);
	return NULL;
}

static void test_attributes(void)
{
	/* TSan asks for 900 KiB. */
	static char own_stack[1024 * 1024] __attribute__((aligned(4096)));
	pthread_attr_t attributes;
	void *used = NULL;
	struct part part;
	pthread_t thread;
	cpu_set_t nowhere;
	size_t before;
	int err, i;

	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, own_stack, sizeof(own_stack));
	err = lethe_thread_create(&thread, &attributes, report_stack, &used);
	if (!err)
		pthread_join(thread, NULL);
	tap_ok(!err && used == own_stack,
	       "its attributes are those asked for: the stack that pthreads uses is ours");

	start(&part, RETURN);
	CPU_ZERO(&nowhere);
	CPU_SET(CPU_SETSIZE - 1, &nowhere);
	pthread_attr_setaffinity_np(&attributes, sizeof(nowhere), &nowhere);
	before = secret_bytes();
	for (i = 0; i < 50; i++)
		err = lethe_thread_create(&thread, &attributes, play, &part);
	tap_ok(err == -EINVAL && !part.enabled && secret_bytes() == before,
	       "attributes that pthread_create() refuses are EINVAL, nothing is run or lost");
	pthread_attr_destroy(&attributes);
	tap_ok(lethe_thread_create(&thread, NULL, NULL, NULL) == -EINVAL,
	       "a NULL function is EINVAL");
}

static void *note_run(void *arg)
{
	*(volatile bool *)arg = true;
	return NULL;
}

static int errno_of_create(void *arg)
{
	volatile bool ran = false;
	pthread_t thread;
	int err;

	(void)arg;
	err = lethe_thread_create(&thread, NULL, note_run, (void *)&ran);
	if (!err)
		pthread_join(thread, NULL);
	return -err + (err && ran ? 128 : 0);
}

static int without_memory(void *arg)
{
	become_nobody();
	limit_to(RLIMIT_MEMLOCK, 0);
	return errno_of_create(arg);
}

static int without_threads(void *arg)
{
	become_nobody();
	limit_to(RLIMIT_NPROC, 0);
	return errno_of_create(arg);
}

static void test_limits(void)
{
	struct ended ended;

	run_child(errno_of_create, NULL, &ended);
	tap_ok(exited_with(&ended, 0), "a fork's child makes such a thread (control: %s)",
	       how_ended(&ended));
	run_child(without_memory, NULL, &ended);
	tap_ok(exited_with(&ended, ENOMEM),
	       "no memory for its stack is ENOMEM, before there is a thread (%s)",
	       how_ended(&ended));
	run_child(without_threads, NULL, &ended);
	tap_ok(exited_with(&ended, EAGAIN),
	       "too many threads is EAGAIN, as from pthread_create() (%s)",
	       how_ended(&ended));
}

struct maker {
	struct part made;
	uintptr_t frame;
	bool inside;
	int err;
};

static void make_inside(void *arg)
{
	struct maker *maker = arg;
	pthread_t thread;

	maker->frame = fill_frame();
	maker->err = lethe_thread_create(&thread, NULL, play, &maker->made);
	if (!maker->err)
		pthread_join(thread, NULL);
	maker->inside = lethe_enabled() && words_at(maker->frame);
}

static void test_made_inside(void)
{
	struct maker maker = { 0 };
	int err;

	start(&maker.made, RETURN);
	err = lethe_do(make_inside, &maker);
	tap_ok(!err && !maker.err && good(&maker.made) && maker.inside,
	       "one that is made inside a section is a section of its own");
	tap_ok(!words_on_secret_stack(maker.made.frame) &&
		       !words_on_secret_stack(maker.frame),
	       "and both end erased");
}

static void test_many(void)
{
	unsigned int i, n = 0;
	struct part part;
	pthread_t thread;
	size_t before;

	before = secret_bytes();
	for (i = 0; i < 200; i++) {
		start(&part, i % 2 ? RETURN : EXIT);
		if (lethe_thread_create(&thread, NULL, play, &part))
			break;
		pthread_join(thread, NULL);
		n += good(&part) && !words_on_secret_stack(part.frame);
	}
	tap_ok(n == 200 && secret_bytes() == before,
	       "200 of them, one after the other, cost no stack more");
}

static void nothing(void *arg)
{
	(void)arg;
}

static void *look_at_registers(void *arg)
{
	registers_after(nothing, NULL, arg);
	return NULL;
}

typedef int make_thread(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

struct full_maker {
	make_thread *make;
	pthread_t thread;
	struct registers *begun_with;
	int err;
};

static void make_with_registers_full(void *arg)
{
	struct full_maker *maker = arg;

	registers_fill(&pattern);
	maker->err = maker->make(&maker->thread, NULL, look_at_registers,
				 maker->begun_with);
}

/* Registers of any kind that hold the secret as a thread's function begins. */
static unsigned int full_in_thread_by(make_thread *make)
{
	static struct registers begun_with;
	struct full_maker maker = { .make = make, .begun_with = &begun_with };
	const struct register_class *class;
	unsigned int full = 0;

	if (lethe_do(make_with_registers_full, &maker) || maker.err)
		tap_bail("no thread");
	pthread_join(maker.thread, NULL);
	for (class = register_classes; class->name; class ++)
		if (class->needs <= (int)registers_have)
			full += registers_holding(&begun_with, class, pattern);
	return full;
}

static void test_registers(void)
{
	unsigned int plain, left;

	pattern_new();
	plain = full_in_thread_by(pthread_create);
	left = full_in_thread_by(lethe_thread_create);

	if (plain)
		tap_ok(!left,
		       "it begins with none of its maker's registers (%u, plainly %u)",
		       left, plain);
	else
		tap_skip("registers that the way to a thread's function leaves alone",
			 "it begins with none of its maker's registers");
}

int main(void)
{
	registers_look();
	tap_plan(15);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_ways_out();
	test_detached();
	test_attributes();
	test_limits();
	test_made_inside();
	test_many();
	test_registers();
	return tap_end();
}
