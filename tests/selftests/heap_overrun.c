// SPDX-License-Identifier: MIT
/*
 * The secret heap and what a block's end does not stop: what is freed is zero at once,
 * where it was; and a program that writes past a block's end, over all of the page,
 * up to where nothing is mapped and down likewise, has spoilt its own blocks and not
 * the heap. On whichever backend is in use.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "lethe.h"
#include "tap.h"

#define PAGE ((size_t)4096)
#define BLOCKS 2000
#define FILL 0xa5

struct block {
	unsigned char *start;
	size_t size, usable;
};

static struct block blocks[BLOCKS];

static void *get(size_t size)
{
	void *block = lethe_malloc(size);

	if (!block)
		tap_bail("no block of %zu: %s", size, strerror(errno));
	return block;
}

static bool is_all(const unsigned char *p, unsigned char byte, size_t length)
{
	while (length--)
		if (*p++ != byte)
			return false;
	return true;
}

/* Sixteen of a size, each full of what is no zero. */
static void make_sixteen(size_t size)
{
	for (unsigned int i = 0; i < 16; i++) {
		blocks[i].start = get(size);
		blocks[i].usable = lethe_usable_size(blocks[i].start);
		memset(blocks[i].start, FILL, blocks[i].usable);
	}
}

/* Does the page stay, since it has another's block, whose number is odd? */
static bool has_neighbour(const struct block *b)
{
	uintptr_t first = (uintptr_t)b->start, last = first + b->usable - 1;

	if (first / PAGE != last / PAGE)
		return false;
	for (unsigned int i = 1; i < 16; i += 2)
		if ((uintptr_t)blocks[i].start / PAGE == first / PAGE)
			return true;
	return false;
}

static void *free_even(void *arg)
{
	for (unsigned int i = 0; i < 16; i += 2)
		lethe_free(blocks[i].start);
	return arg;
}

static void free_odd(void)
{
	for (unsigned int i = 1; i < 16; i += 2)
		lethe_free(blocks[i].start);
}

static void elsewhere(void *(*fn)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, NULL))
		tap_bail("no thread");
	pthread_join(thread, NULL);
}

/* @by: who frees; then what the even ones had is looked at, where they were. */
static void test_freed(void (*by)(void *(*fn)(void *)), const char *who)
{
	unsigned int looked = 0, before = 0, after = 0;

	for (size_t size = 1; size <= 1024; size += 1 + size / 3) {
		make_sixteen(size);
		for (unsigned int i = 0; i < 16; i += 2)
			before += is_all(blocks[i].start, FILL, blocks[i].usable);
		by(free_even);
		for (unsigned int i = 0; i < 16; i += 2) {
			if (!has_neighbour(&blocks[i]))
				continue;
			looked++;
			after += is_all(blocks[i].start, 0, blocks[i].usable);
		}
		free_odd();
	}
	tap_ok(looked > 50 && before >= looked && after == looked,
	       "freed by %s, a block is zero at once (%u of %u; control: %u were full)",
	       who, after, looked, before);
}

static void here(void *(*fn)(void *))
{
	fn(NULL);
}

static void *grow_even(void *arg)
{
	for (unsigned int i = 0; i < 16; i += 2)
		blocks[i].start = lethe_realloc(blocks[i].start, blocks[i].usable * 3);
	return arg;
}

static void test_moved(void (*by)(void *(*fn)(void *)), const char *who)
{
	unsigned int looked = 0, wiped = 0, kept = 0, secret = 0;
	struct block old[16];

	for (size_t size = 1; size <= 1024; size += 1 + size / 3) {
		make_sixteen(size);
		memcpy(old, blocks, sizeof(old));
		by(grow_even);
		for (unsigned int i = 0; i < 16; i += 2) {
			if (!blocks[i].start)
				tap_bail("no room to grow");
			if (blocks[i].start == old[i].start || !has_neighbour(&old[i]))
				continue;
			looked++;
			wiped += is_all(old[i].start, 0, old[i].usable);
			kept += is_all(blocks[i].start, FILL, old[i].usable);
			secret += lethe_level_of(blocks[i].start) > LETHE_LEVEL_NONE;
		}
		free_even(NULL);
		free_odd();
	}
	tap_ok(looked > 50 && wiped == looked && kept == looked && secret == looked,
	       "moved by realloc() of %s, it is whole and secret, and zero where it was "
	       "(%u, %u, %u of %u)",
	       who, kept, secret, wiped, looked);
}

/* Of many sizes, packed as they come. */
static void make_many(void)
{
	size_t size = 1;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		size = (size * 7 + 5) % 1021;
		blocks[i] = (struct block){ .start = get(size), .size = size };
		blocks[i].usable = lethe_usable_size(blocks[i].start);
		memset(blocks[i].start, FILL, blocks[i].usable);
	}
}

/* Room and level of each as before; and then all of them are freed. */
static bool all_as_before(void)
{
	bool good = true;

	for (unsigned int i = 0; i < BLOCKS; i++)
		good &= lethe_usable_size(blocks[i].start) == blocks[i].usable &&
			lethe_level_of(blocks[i].start) > LETHE_LEVEL_NONE;
	for (unsigned int i = 0; i < BLOCKS; i++)
		lethe_free(blocks[i].start);
	return good;
}

/* Blocks that are made now are where no other is, and as large as was asked for. */
static bool new_ones_are_good(void)
{
	bool good = true;

	make_many();
	for (unsigned int i = 0; i < BLOCKS; i++)
		memset(blocks[i].start, (int)i, blocks[i].usable);
	for (unsigned int i = 0; i < BLOCKS; i++)
		good &= blocks[i].usable >= blocks[i].size &&
			is_all(blocks[i].start, (unsigned char)i, blocks[i].usable);
	return all_as_before() && good;
}

/* What was written to free memory was given back with it. */
static bool comes_zeroed_after_a_trim(void)
{
	unsigned char *block;
	bool zero = true;

	lethe_trim();
	for (size_t size = 1; size < 3000; size += 1 + size / 9) {
		block = get(size);
		zero &= is_all(block, 0, lethe_usable_size(block));
		lethe_free(block);
	}
	return zero;
}

static void test_pages(void)
{
	bool before, fresh;

	make_many();
	for (unsigned int i = 0; i < BLOCKS; i++)
		memset((void *)((uintptr_t)blocks[i].start & -PAGE), 0xff, PAGE);
	before = all_as_before();
	fresh = new_ones_are_good();
	tap_ok(before && fresh,
	       "every page of %u blocks written over: the heap knows them as before, frees "
	       "them, and makes others",
	       BLOCKS);
	tap_ok(comes_zeroed_after_a_trim(), "after a trim, what comes is zero again");
}

static sigjmp_buf out;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(out, 1);
}

static volatile size_t written;

__attribute__((noinline)) static void write_over(volatile unsigned char *from,
						 ptrdiff_t step)
{
	for (written = 0;; from += step) {
		*from = 0xff;
		written = written + 1;
	}
}

/* Until nothing is mapped. The bytes that were. */
static size_t run_over(unsigned char *from, ptrdiff_t step)
{
	if (!sigsetjmp(out, 1))
		write_over(from, step);
	return written;
}

static void test_guard(void)
{
	struct sigaction action = { .sa_handler = on_fault }, was[2];
	size_t up, down;
	bool before, fresh;

	make_many();
	sigaction(SIGSEGV, &action, &was[0]);
	sigaction(SIGBUS, &action, &was[1]);
	up = run_over(blocks[BLOCKS / 2].start, 1);
	down = run_over(blocks[BLOCKS / 2].start, -1);
	sigaction(SIGSEGV, &was[0], NULL);
	sigaction(SIGBUS, &was[1], NULL);
	before = all_as_before();
	fresh = new_ones_are_good();
	tap_ok(up >= blocks[BLOCKS / 2].usable && up + down >= PAGE && before && fresh,
	       "an overrun up and down to where nothing is (%zu and %zu bytes) leaves a "
	       "heap that works",
	       up, down);
	tap_ok(comes_zeroed_after_a_trim(), "after a trim, what comes is zero again");
}

int main(void)
{
	tap_plan(8);
	test_freed(here, "the thread that has it");
	test_freed(elsewhere, "another thread");
	test_moved(here, "the thread that has it");
	test_moved(elsewhere, "another thread");
	test_pages();
	test_guard();
	return tap_end();
}
