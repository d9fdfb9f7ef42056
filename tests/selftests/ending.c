// SPDX-License-Identifier: MIT
/*
 * A process that ends inside a section, or becomes another program there: exit() in
 * all of its forms, abort(), exec(), a fatal signal. It ends as it would without a
 * section, and with nothing said. Also sections that run while a process ends. On
 * whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

/* What the parent reads of what the child did. */
static struct seen {
	volatile unsigned int handlers, sections, threads_inside;
} * seen;

static void use_stack(void *arg)
{
	uintptr_t frame = fill_frame();

	(void)arg;
	if (words_at(frame))
		seen->sections++;
}

static void at_exit(void)
{
	seen->handlers++;
	(void)lethe_do(use_stack, NULL);
}

static void call_exit(void *arg)
{
	(void)arg;
	(void)fill_frame();
	exit(7);
}

static void call_quick_exit(void *arg)
{
	(void)arg;
	quick_exit(8);
}

static void call__exit(void *arg)
{
	(void)arg;
	_exit(9);
}

static void call_abort(void *arg)
{
	(void)arg;
	abort();
}

static void call_exec(void *arg)
{
	char *argv[] = { (char *)"ending", (char *)"exit-with-42", NULL };

	(void)arg;
	execv("/proc/self/exe", argv);
	_exit(99);
}

/* Not NULL itself: that is a sanitizer's business. */
static volatile uintptr_t first_page = 8;

static void read_first_page(void *arg)
{
	(void)arg;
	(void)*(volatile char *)first_page;
}

static void divide_by_zero(void *arg)
{
	(void)arg;
	__asm__ volatile("xorl %%ecx, %%ecx\n\txorl %%edx, %%edx\n\tdivl %%ecx"
			 :
			 : "a"(1)
			 : "ecx", "edx", "cc");
}

static void illegal_instruction(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

static void kill_itself(void *arg)
{
	(void)arg;
	raise(SIGKILL);
}

static void terminate_itself(void *arg)
{
	(void)arg;
	raise(SIGTERM);
}

static void nest(void *arg)
{
	void (**fn)(void *) = arg;

	(void)lethe_do(*fn, NULL);
}

/* How the process ends, and from where. */
struct way {
	void (*fn)(void *);
	const char *name;
	int code, signal; /* one of them */
	unsigned int handlers;
};

static const struct way ways[] = {
	/* Its handlers are atexit()'s and the destructor below. */
	{ call_exit, "exit()", 7, 0, 2 },
	{ call_quick_exit, "quick_exit()", 8, 0, 1 },
	{ call__exit, "_exit()", 9, 0, 0 },
	{ call_exec, "exec()", 42, 0, 0 },
	{ call_abort, "abort()", 0, SIGABRT, 0 },
	{ read_first_page, "a read of the first page", 0, SIGSEGV, 0 },
	{ divide_by_zero, "a division by zero", 0, SIGFPE, 0 },
	{ illegal_instruction, "an illegal instruction", 0, SIGILL, 0 },
	{ kill_itself, "SIGKILL", 0, SIGKILL, 0 },
	{ terminate_itself, "SIGTERM", 0, SIGTERM, 0 },
};

static void prepare(void)
{
	atexit(at_exit);
	at_quick_exit(at_exit);
}

static int plainly(void *arg)
{
	const struct way *way = arg;

	prepare();
	way->fn(NULL);
	return 98;
}

static int in_section(void *arg)
{
	const struct way *way = arg;

	prepare();
	return lethe_do(way->fn, NULL) ? 97 : 98;
}

static int in_nested_section(void *arg)
{
	void (*fn)(void *) = ((const struct way *)arg)->fn;

	prepare();
	return lethe_do(nest, &fn) ? 97 : 98;
}

static int blocking_signals(void *arg)
{
	struct lethe_options options = { .size = sizeof(options),
					 .flags = LETHE_BLOCK_SIGNALS };
	const struct way *way = arg;

	prepare();
	return lethe_do_with(&options, way->fn, NULL, NULL) ? 97 : 98;
}

static void *thread_in_section(void *arg)
{
	(void)in_section(arg);
	return NULL;
}

static void stay_inside(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&seen->threads_inside, 1, __ATOMIC_SEQ_CST);
	for (;;)
		(void)fill_frame();
}

static void *stay(void *arg)
{
	(void)lethe_do(stay_inside, arg);
	return NULL;
}

static int in_thread_beside_another(void *arg)
{
	pthread_t other, thread;

	if (pthread_create(&other, NULL, stay, NULL))
		return 96;
	while (!__atomic_load_n(&seen->threads_inside, __ATOMIC_SEQ_CST))
		usleep(100);
	if (pthread_create(&thread, NULL, thread_in_section, arg))
		return 95;
	pthread_join(thread, NULL);
	return 94;
}

static bool ends_as(const struct way *way, int (*how)(void *), char *why, size_t size)
{
	struct ended ended;

	memset(seen, 0, sizeof(*seen));
	run_child(how, (void *)way, &ended);
	snprintf(why, size, "%s, %u handlers, %u sections in them, said \"%.60s\"",
		 how_ended(&ended), seen->handlers, seen->sections, ended.said);
	return (way->signal ? killed_by(&ended, way->signal) :
			      exited_with(&ended, way->code)) &&
	       seen->handlers == way->handlers && seen->sections == way->handlers &&
	       !ended.said[0];
}

static void test_ways(void)
{
	static const struct {
		int (*how)(void *);
		const char *where;
	} from[] = {
		{ plainly, "outside (control)" },
		{ in_section, "in a section" },
		{ in_nested_section, "in a nested section" },
		{ blocking_signals, "in a section with LETHE_BLOCK_SIGNALS" },
		{ in_thread_beside_another, "in a thread's section, beside another's" },
	};
	size_t i, j;
	char why[256];
	bool good;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		for (good = true, j = 0; j < sizeof(from) / sizeof(from[0]); j++) {
			if (ends_as(&ways[i], from[j].how, why, sizeof(why)))
				continue;
			good = false;
			tap_note("%s %s: %s", ways[i].name, from[j].where, why);
		}
		tap_ok(good,
		       "%s ends the process in any section as it does outside, and nothing is said",
		       ways[i].name);
	}
}

static void leave_frame(void *arg)
{
	use_stack(NULL);
	fill_frame_at(arg);
}

static void section_at_exit(void)
{
	uintptr_t frame;

	if (!lethe_do(leave_frame, &frame) && !words_on_secret_stack(frame))
		seen->handlers++;
}

static int exit_outside(void *arg)
{
	(void)arg;
	atexit(section_at_exit);
	exit(5);
}

/* The library is ready as early as a constructor, and as late as a destructor. */
static bool constructed;

static void in_constructor(void *arg)
{
	*(bool *)arg = lethe_enabled();
}

/* glibc gives main()'s arguments to it. */
__attribute__((constructor)) static void run_early(int argc)
{
	/* Not where exec() came to: that is silent. */
	if (argc > 1)
		return;
	if (lethe_do(in_constructor, &constructed))
		constructed = false;
}

__attribute__((destructor)) static void run_late(void)
{
	if (seen && !lethe_do(use_stack, NULL))
		seen->handlers++;
}

int main(int argc, char **argv)
{
	struct ended ended;

	if (argc == 2 && !strcmp(argv[1], "exit-with-42"))
		_exit(42);
	tap_plan(sizeof(ways) / sizeof(ways[0]) + 2);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		tap_bail("no shared memory");
	pattern_new();
	test_ways();

	tap_ok(constructed, "a constructor, before main(), runs a section");
	memset(seen, 0, sizeof(*seen));
	run_child(exit_outside, NULL, &ended);
	tap_ok(exited_with(&ended, 5) && seen->handlers == 2 && seen->sections == 2,
	       "what atexit() was given, and a destructor, run sections (%u, %s)",
	       seen->handlers, how_ended(&ended));
	return tap_end();
}
