// SPDX-License-Identifier: MIT
/*
 * What a hibernation does to a program that uses the library on the module: its
 * secret pages are revoked, and the next sections get new ones. Each region of
 * the machine is lost while this runs: not beside other tests.
 *
 * /dev/snapshot is the short way: opening it begins a hibernation, closing it ends
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lethe.h"
#include "tap.h"

#define NR_THREADS 3

static sigjmp_buf jump;

static void jump_out(int number)
{
	siglongjmp(jump, number);
}

/* The signal that a read of @p ends with; 0 if it works. */
static int touch(const volatile char *p)
{
	struct sigaction action = { .sa_handler = jump_out }, bus, segv;
	int number;

	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	number = sigsetjmp(jump, 1);
	if (!number)
		(void)*p;
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return number;
}

struct use {
	char *stack;
	char *block;
	int err;
};

static void use_pages(void *arg)
{
	struct use *use = arg;
	char here[1000];

	memset(here, 's', sizeof(here));
	__asm__ volatile("" : : "r"(here) : "memory");
	use->stack = here;
	use->block = lethe_malloc(100);
	if (use->block)
		memset(use->block, 's', 100);
}

static void use_section(struct use *use)
{
	*use = (struct use){ 0 };
	use->err = lethe_do(use_pages, use);
}

static bool is_good(const struct use *use)
{
	return !use->err && lethe_level_of(use->stack) == LETHE_LEVEL_UNMAPPED &&
	       lethe_level_of(use->block) == LETHE_LEVEL_UNMAPPED &&
	       use->block[99] == 's' && !touch(use->stack);
}

static pthread_barrier_t before, after;

static void *section_on_either_side(void *arg)
{
	struct use first, *second = arg;

	use_section(&first);
	pthread_barrier_wait(&before);
	pthread_barrier_wait(&after);
	use_section(second);
	if (first.err)
		second->err = first.err;
	return NULL;
}

static void hibernate(void)
{
	int fd = open("/dev/snapshot", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		tap_bail("/dev/snapshot: %s", strerror(errno));
	close(fd);
}

int main(void)
{
	static char programs[64 * 1024];
	stack_t mine = { .ss_sp = programs, .ss_size = sizeof(programs) }, now;
	struct use old, young, uses[NR_THREADS];
	pthread_t threads[NR_THREADS];
	bool all = true;
	size_t i;

	if (!lethe_backend() || strcmp(lethe_backend(), "kmod")) {
		tap_plan(1);
		tap_skip("pages of the module, which alone revokes them", "hibernation");
		return tap_end();
	}
	tap_plan(6);
	if (sigaltstack(&mine, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
	pthread_barrier_init(&before, NULL, NR_THREADS + 1);
	pthread_barrier_init(&after, NULL, NR_THREADS + 1);
	for (i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, section_on_either_side, &uses[i]))
			tap_bail("no thread");
	use_section(&old);
	pthread_barrier_wait(&before);
	tap_ok(is_good(&old), "a section uses a secret stack and block");

	hibernate();
	tap_ok(touch(old.stack) == SIGBUS && touch(old.block) == SIGBUS,
	       "a hibernation revokes both");
	use_section(&young);
	tap_ok(is_good(&young) && young.stack != old.stack && young.block != old.block,
	       "the next section has new ones, at other addresses");
	tap_ok(!sigaltstack(NULL, &now) && now.ss_sp == programs &&
		       now.ss_size == sizeof(programs),
	       "and the program its alternate signal stack");

	pthread_barrier_wait(&after);
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], NULL);
		all = all && is_good(&uses[i]);
	}
	tap_ok(all && is_good(&young),
	       "%d threads that had sections before have them after", NR_THREADS);

	lethe_free(old.block);
	lethe_free(young.block);
	for (i = 0; i < NR_THREADS; i++)
		lethe_free(uses[i].block);
	tap_ok(touch(old.block) != 0,
	       "a block from before is freed without being touched");
	return tap_end();
}
