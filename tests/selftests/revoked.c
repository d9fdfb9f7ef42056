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

static struct lethe_buffer *new_buffer(size_t length)
{
	struct lethe_buffer *b = lethe_buffer_new(length, 0);

	if (!b)
		tap_bail("lethe_buffer_new: %s", strerror(errno));
	memset(lethe_buffer_data(b), 's', length);
	return b;
}

/*
 * Nothing but the buffers' own functions has been called since the pages went: one
 * whose pages fill up, which has no canary to be asked for, one of the usual, one that
 * is sealed.
 */
static void lose_buffers(void)
{
	struct lethe_buffer *open = new_buffer(4096), *closed = new_buffer(32),
			    *sealed = new_buffer(32), *young;
	char *data = lethe_buffer_data(open);

	lethe_buffer_free(new_buffer(32));
	lethe_buffer_free(new_buffer(4096));
	if (lethe_buffer_open(open, LETHE_ACCESS_WRITE) ||
	    lethe_buffer_protect(closed, LETHE_ACCESS_NONE) || lethe_buffer_seal(sealed))
		tap_bail("a buffer cannot be opened, protected, or sealed");
	hibernate();
	tap_ok(touch(data) == SIGBUS, "a hibernation revokes a guarded buffer");
	/* This is who finds it out. */
	lethe_buffer_close(open);
	lethe_buffer_free(open);
	tap_ok(lethe_buffer_open(closed, LETHE_ACCESS_READ) == -ESTALE &&
		       lethe_buffer_seal(closed) == -ESTALE &&
		       lethe_buffer_unseal(sealed) == -ESTALE && touch(data),
	       "it is closed and freed, and what is left of others is ESTALE");
	lethe_buffer_free(closed);
	lethe_buffer_free(sealed);

	young = new_buffer(32);
	tap_ok(lethe_level_of(lethe_buffer_data(young)) == LETHE_LEVEL_UNMAPPED &&
		       !lethe_buffer_seal(young) && !lethe_buffer_unseal(young) &&
		       ((char *)lethe_buffer_data(young))[31] == 's',
	       "there are new buffers, and a new key to seal them with");
	lethe_buffer_free(young);
	/* Those that are kept are found out about when they are wanted. */
	hibernate();
	young = new_buffer(32);
	tap_ok(lethe_level_of(lethe_buffer_data(young)) == LETHE_LEVEL_UNMAPPED,
	       "pages that were kept are not handed out after a hibernation");
	lethe_buffer_free(young);
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
	tap_plan(10);
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
	lose_buffers();
	return tap_end();
}
