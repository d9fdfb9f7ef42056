// SPDX-License-Identifier: MIT
/* The secret heap, when it is handed what is no live block; and after a fork. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"

static const char dead[] = "its memory is free already\n";
static const char interior[] = "it points into a block, not to its start\n";
static const char not_ours[] = "it is no block of the secret heap\n";

/* In a child, which begins with a heap of its own: blocks are made there. */
static int in_child(void (*misuse)(void), char *said, size_t length)
{
	struct rlimit no_core = { 0, 0 };
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		close(fds[1]);
		alarm(30);
		misuse();
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], said, length - 1);
	said[n < 0 ? 0 : n] = 0;
	cr_assert(n <= 0 || read(fds[0], said + n, length - 1 - (size_t)n) == 0);
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void dies_saying(void (*misuse)(void), const char *what, const char *why)
{
	char said[512];
	int status = in_child(misuse, said, sizeof(said));
	size_t length = strlen(said), tail = strlen(why);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x: %s",
		  status, said);
	/* One line: what, and why. */
	cr_assert_eq(strncmp(said, what, strlen(what)), 0, "%s", said);
	cr_assert(length > tail && !strcmp(said + length - tail, why), "%s", said);
	cr_assert_eq(strchr(said, '\n'), said + length - 1);
}

static void lives(void (*use)(void))
{
	char said[512];
	int status = in_child(use, said, sizeof(said));

	cr_assert_eq(status, 0, "status %#x: %s", status, said);
}

static void must(bool ok)
{
	if (!ok)
		_exit(1);
}

#define MISUSE(name) static void name(void)

MISUSE(twice)
{
	void *p = lethe_malloc(100);

	lethe_free(p);
	lethe_free(p);
}

MISUSE(twice_beside_a_live_one)
{
	void *live = lethe_malloc(100), *p = lethe_malloc(100);

	lethe_free(p);
	must(live);
	lethe_free(p);
}

MISUSE(twice_of_pages)
{
	void *live = lethe_malloc(20000), *p = lethe_malloc(20000);

	lethe_free(p);
	must(live);
	lethe_free(p);
}

MISUSE(twice_of_an_extent)
{
	void *p = lethe_malloc(MIB);

	lethe_free(p);
	lethe_free(p);
}

Test(heap, refuses_a_double_free)
{
	dies_saying(twice, "lethe: free of 0x", dead);
	dies_saying(twice_beside_a_live_one, "lethe: free of 0x", dead);
	dies_saying(twice_of_pages, "lethe: free of 0x", dead);
	dies_saying(twice_of_an_extent, "lethe: free of 0x", not_ours);
}

MISUSE(inside)
{
	lethe_free((char *)lethe_malloc(100) + 16);
}

MISUSE(one_byte_inside)
{
	lethe_free((char *)lethe_malloc(100) + 1);
}

MISUSE(inside_the_first_page)
{
	lethe_free((char *)lethe_malloc(20000) + 16);
}

MISUSE(at_the_third_page)
{
	lethe_free((char *)lethe_malloc(20000) + 2 * PAGE);
}

Test(heap, refuses_an_interior_pointer)
{
	dies_saying(inside, "lethe: free of 0x", interior);
	dies_saying(one_byte_inside, "lethe: free of 0x", interior);
	dies_saying(inside_the_first_page, "lethe: free of 0x", interior);
	dies_saying(at_the_third_page, "lethe: free of 0x", interior);
}

MISUSE(before_there_is_a_heap)
{
	lethe_free((void *)4096);
}

MISUSE(of_libc)
{
	must(lethe_malloc(1));
	lethe_free(malloc(100));
}

MISUSE(of_a_variable)
{
	int here;

	must(lethe_malloc(1));
	lethe_free(&here);
}

MISUSE(of_a_secret_stack)
{
	struct stack *stack;

	must(lethe_malloc(1));
	must(!stack_take(&stack, STACK_SIZE));
	lethe_free(stack->start);
}

MISUSE(past_the_last_slot)
{
	/* 85 slots of 48 leave 16 bytes of a page. */
	lethe_free((void *)(((uintptr_t)lethe_malloc(48) & -PAGE) + 4080));
}

MISUSE(past_the_last_page)
{
	/* The extent's chunk goes on where its pages do not. */
	lethe_free((char *)lethe_malloc(257 * KIB) + 260 * KIB);
}

Test(heap, refuses_what_is_not_its_own)
{
	dies_saying(before_there_is_a_heap, "lethe: free of 0x1000: ", not_ours);
	dies_saying(of_libc, "lethe: free of 0x", not_ours);
	dies_saying(of_a_variable, "lethe: free of 0x", not_ours);
	dies_saying(of_a_secret_stack, "lethe: free of 0x", not_ours);
	dies_saying(past_the_last_slot, "lethe: free of 0x", not_ours);
	dies_saying(past_the_last_page, "lethe: free of 0x", not_ours);
}

MISUSE(realloc_after_free)
{
	void *p = lethe_malloc(100);

	lethe_free(p);
	must(lethe_realloc(p, 200));
}

MISUSE(usable_size_after_free)
{
	void *p = lethe_malloc(100);

	lethe_free(p);
	must(lethe_usable_size(p));
}

Test(heap, refuses_a_dead_block_everywhere)
{
	dies_saying(realloc_after_free, "lethe: realloc of 0x", dead);
	dies_saying(usable_size_after_free, "lethe: usable size of 0x", dead);
}

static void *parents, *parents_pages;

static void child_with_parents_blocks(void)
{
	void *p;

	must(lethe_usable_size(parents) == 0);
	lethe_free(parents);
	lethe_free(parents);
	lethe_free(parents_pages);
	/* Its own heap is as good as any, and elsewhere. */
	p = lethe_malloc(64);
	must(p && p != parents && lethe_level_of(p) > LETHE_LEVEL_NONE);
	must(lethe_usable_size(p) == 64);
	lethe_free(parents);
	lethe_free(p);
}

MISUSE(realloc_of_the_parents)
{
	lethe_realloc(parents, 100);
}

Test(heap, of_a_fork_child_is_its_own)
{
	struct heap_stats stats;

	parents = lethe_malloc(64);
	parents_pages = lethe_malloc(20000);
	memset(parents, 5, 64);
	lives(child_with_parents_blocks);
	dies_saying(realloc_of_the_parents, "lethe: realloc of 0x",
		    "the parent has it, and a forked child has no secret memory\n");
	cr_assert_eq(lethe_usable_size(parents), 64);
	cr_assert_eq(((char *)parents)[63], 5);
	heap_stats(&stats);
	cr_assert_eq(stats.blocks, 2);
	lethe_free(parents_pages);
	lethe_free(parents);
}

static volatile bool stop;

static void *churn(void *arg)
{
	size_t size;

	for (size = 1; !stop; size = size % 30000 + 97)
		lethe_free(lethe_malloc(size));
	return arg;
}

static void child_of_many_threads(void)
{
	void *p = lethe_malloc(100);

	must(p);
	lethe_free(p);
	must(lethe_malloc(30000));
}

Test(heap, is_whole_in_a_child_that_was_forked_at_any_moment)
{
	pthread_t threads[2];
	size_t i;

	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
	for (i = 0; i < 200; i++)
		lives(child_of_many_threads);
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void *use_first(void *arg)
{
	lethe_free(lethe_malloc(100));
	return arg;
}

static void fork_at_first_use(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	must(!pthread_create(&thread, NULL, use_first, NULL));
	pid = fork();
	if (!pid) {
		alarm(5);
		child_of_many_threads();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && !status);
	pthread_join(thread, NULL);
}

Test(heap, is_whole_in_a_child_that_was_forked_during_the_very_first_use)
{
	size_t i;

	/* Nothing has used the heap yet; each child is again the first. */
	for (i = 0; i < 200; i++)
		lives(fork_at_first_use);
}
