// SPDX-License-Identifier: MIT
/*
 * The secret heap between threads: what becomes of the blocks of a thread that has
 * ended, and of those that another frees; and that memory which an idle thread holds on
 * to is there for others. What is freed twice is heap_twice.c's, random operations
 * heap_model.c's. On whichever backend is in use.
 */
#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define PAGE ((size_t)4096)

#define NR 2000
static char *blocks[NR];
static pthread_barrier_t barrier;

static void meet(void)
{
	pthread_barrier_wait(&barrier);
}

static bool on_a_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	return !pthread_create(&thread, NULL, fn, arg) && !pthread_join(thread, NULL);
}

static size_t size_of(size_t i)
{
	return 1 + i * 7 % 3000;
}

static void *make_blocks(void *arg)
{
	size_t i;

	for (i = 0; i < NR; i++) {
		blocks[i] = lethe_malloc(size_of(i));
		if (blocks[i])
			memset(blocks[i], (int)i | 1, size_of(i));
	}
	return arg;
}

static void *free_blocks(void *arg)
{
	size_t i;

	for (i = 0; i < NR; i++)
		lethe_free(blocks[i]);
	return arg;
}

static size_t intact(void)
{
	size_t i, j, n = 0;

	for (i = 0; i < NR; i++) {
		for (j = 0; j < size_of(i); j++)
			if (blocks[i][j] != (char)(i | 1))
				break;
		n += j == size_of(i);
	}
	return n;
}

static void *count_dirty(void *arg)
{
	size_t i, j, *dirty = arg, usable;

	for (i = 0; i < NR; i++) {
		blocks[i] = lethe_malloc(size_of(i));
		usable = lethe_usable_size(blocks[i]);
		for (j = 0; j < usable; j++)
			*dirty += blocks[i][j] != 0;
	}
	return NULL;
}

/* Not so much as a page is left, where these were. */
static bool given_back(char **at, size_t n)
{
	size_t i;

	lethe_trim();
	for (i = 0; i < n; i++)
		if (lethe_level_of(at[i]) != LETHE_LEVEL_NONE)
			return false;
	return true;
}

static void test_ended(void)
{
	size_t dirty = 0;

	on_a_thread(make_blocks, NULL);
	tap_ok(intact() == NR, "a thread's blocks outlive it");
	on_a_thread(free_blocks, NULL);
	on_a_thread(count_dirty, &dirty);
	tap_ok(!dirty, "freed by another thread they are zero for a third");
	tap_ok(!given_back(blocks, NR), "control: while they live their pages are there");
	on_a_thread(free_blocks, NULL);
	tap_ok(given_back(blocks, NR), "after that none of their pages is");
}

/* Each of a heap that is somebody's while another frees into it. */
static void *make_and_wait(void *arg)
{
	make_blocks(NULL);
	meet();
	meet();
	return arg;
}

static pthread_t begin(void *(*fn)(void *))
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, fn, NULL))
		abort();
	meet();
	return thread;
}

static void finish(pthread_t thread)
{
	meet();
	pthread_join(thread, NULL);
}

static void test_idle(void)
{
	pthread_t thread = begin(make_and_wait);
	size_t given;

	tap_ok(lethe_trim() < NR * 100, "control: what is live cannot be given back");
	free_blocks(NULL);
	given = lethe_trim();
	tap_ok(given > NR * 1000, "what was freed of an idle thread's can, %zu KiB",
	       given / KIB);
	finish(thread);
}

#define LIMIT (2 * MIB)

static size_t fill(void)
{
	size_t n = 0;

	while (n < NR && (blocks[n] = lethe_malloc(PAGE)))
		n++;
	return n;
}

static size_t filled;

static void *fill_and_wait(void *arg)
{
	filled = fill();
	meet();
	meet();
	return arg;
}

/* It neither ends nor allocates: nothing but another's need makes it let go. */
static int fill_after_another(void *arg)
{
	pthread_t thread;
	size_t i, n;

	become_nobody();
	limit_to(RLIMIT_MEMLOCK, LIMIT);
	thread = begin(fill_and_wait);
	if (lethe_malloc(PAGE) || errno != ENOMEM)
		return 1;
	for (i = 0; i < filled; i++)
		lethe_free(blocks[i]);
	n = fill();
	finish(thread);
	(void)arg;
	return n < LIMIT / PAGE * 9 / 10 ? 2 : n + 4 < filled ? 3 : 0;
}

static void test_full(void)
{
	struct ended ended;

	run_child(fill_after_another, NULL, &ended);
	tap_ok(exited_with(&ended, 0),
	       "of a full heap, what an idle thread had is another's to the last page: %s",
	       how_ended(&ended));
}

#define HANDED_OVER 1000

static pthread_barrier_t filled_box, emptied_box;

static void *empty_box(void *arg)
{
	size_t round, i, rounds = *(size_t *)arg;

	for (round = 0; round < rounds; round++) {
		pthread_barrier_wait(&filled_box);
		for (i = 0; i < HANDED_OVER; i++)
			lethe_free(blocks[i]);
		pthread_barrier_wait(&emptied_box);
	}
	return NULL;
}

/* What one makes and another frees, over and over, is made of the same pages. */
static void test_handed_over(void)
{
	size_t rounds = 200, round, i, new_pages = 0, known = 0;
	static uintptr_t pages[HANDED_OVER];
	pthread_t thread;
	uintptr_t page;
	size_t at;

	pthread_barrier_init(&filled_box, NULL, 2);
	pthread_barrier_init(&emptied_box, NULL, 2);
	pthread_create(&thread, NULL, empty_box, &rounds);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < HANDED_OVER; i++) {
			blocks[i] = lethe_malloc(32);
			page = (uintptr_t)blocks[i] / PAGE;
			for (at = 0; at < known && pages[at] != page; at++)
				;
			if (at == known && known < HANDED_OVER) {
				pages[known++] = page;
				new_pages += round > 1;
			}
		}
		pthread_barrier_wait(&filled_box);
		pthread_barrier_wait(&emptied_box);
	}
	pthread_join(thread, NULL);
	tap_ok(known <= 4 * (HANDED_OVER * 32 / PAGE + 1) && new_pages <= known / 2,
	       "what one makes and another frees takes %zu pages in all, %zu of them late",
	       known, new_pages);
}

/* Later than the library's own; but in the last round of all TSan is gone already. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)

static char *shared;
static pthread_key_t key;
static unsigned int rounds, failures;
static char *latest;

static void allocate_at_the_end(void *arg)
{
	char *block = lethe_malloc(300);

	failures += !block;
	latest = block;
	lethe_free(block);
	if (++rounds < ROUNDS)
		pthread_setspecific(key, arg);
}

static void *end_late(void *arg)
{
	pthread_setspecific(key, &key);
	shared = lethe_malloc(100);
	return arg;
}

static void test_destructors(void)
{
	pthread_key_create(&key, allocate_at_the_end);
	on_a_thread(end_late, NULL);
	lethe_free(shared);
	tap_ok(rounds == ROUNDS && !failures, "destructors may allocate, round by round");
	tap_ok(given_back(&shared, 1) && given_back(&latest, 1),
	       "and that leaves nothing behind");
}

/* A thousand threads one after another: each has what the one before it had. */
static void *use_some(void *arg)
{
	char *some[50];
	size_t i;

	for (i = 0; i < 50; i++)
		some[i] = lethe_malloc(i * 20);
	for (i = 0; i < 50; i++)
		lethe_free(some[i]);
	return arg;
}

static void test_many(void)
{
	size_t i, first;

	on_a_thread(use_some, NULL);
	first = lethe_trim();
	for (i = 0; i < 1000; i++)
		on_a_thread(use_some, NULL);
	tap_ok(lethe_trim() <= first,
	       "a thousand threads, one after another, keep %zu KiB", first / KIB);
}

/* A thread's last span is the next one's first. */
static void *leave_one(void *arg)
{
	*(char **)arg = lethe_malloc(32);
	return NULL;
}

static void test_adopted(void)
{
	uintptr_t pages[8] = { 0 }, page;
	size_t i, at, known = 0;

	for (i = 0; i < 200; i++)
		on_a_thread(leave_one, &blocks[i]);
	for (i = 0; i < 200; i++) {
		page = (uintptr_t)blocks[i] / PAGE;
		for (at = 0; at < known && pages[at] != page; at++)
			;
		if (at == known && known < 8)
			pages[known++] = page;
	}
	tap_ok(known <= 200 * 32 / PAGE + 2,
	       "what 200 threads leave, a block each, lies in %zu pages", known);
	for (i = 0; i < 200; i++)
		lethe_free(blocks[i]);
}

static int without_membarrier(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };
	pthread_t thread;
	size_t given;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return 77;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) != -1)
		return 77;
	thread = begin(make_and_wait);
	free_blocks(NULL);
	given = lethe_trim();
	finish(thread);
	(void)arg;
	return given > NR * 1000 ? 0 : 1;
}

static void test_without_membarrier(void)
{
	static const char what[] =
		"where membarrier() is forbidden, an idle thread's memory is had all the same";
	struct ended ended;

	run_child(without_membarrier, NULL, &ended);
	if (exited_with(&ended, 77))
		tap_skip("seccomp filters", "%s", what);
	else
		tap_ok(exited_with(&ended, 0), "%s: %s", what, how_ended(&ended));
}

int main(void)
{
	tap_plan(13);
	test_ended();
	test_idle();
	test_full();
	test_handed_over();
	test_destructors();
	test_many();
	test_adopted();
	test_without_membarrier();
	return tap_end();
}
