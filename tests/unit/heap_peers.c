// SPDX-License-Identifier: MIT
/*
 * What the tests of other secret heaps ask of theirs, asked of ours: OpenSSL's
 * secmemtest, the allocations of libsodium's sodium_utils2, libgcrypt's t-secmem. What
 * they ask of one page for each block is for guarded buffers; what they ask of a pool
 * that has to be initialised, and shut down, does not arise.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "heap.h"

static size_t bytes_live(void)
{
	struct heap_stats stats;

	heap_stats(&stats);
	return stats.bytes;
}

static size_t blocks_live(void)
{
	struct heap_stats stats;

	heap_stats(&stats);
	return stats.blocks;
}

static bool is_zero(const unsigned char *p, size_t length)
{
	return !p[0] && memcmp(p, p + 1, length - 1) == 0;
}

Test(heap_peers, openssl_accounts_for_each_block)
{
	void *ordinary = malloc(20), *p, *q;
	size_t size;

	cr_assert_eq(bytes_live(), 0);
	p = lethe_malloc(20);
	cr_assert_not_null(p);
	size = lethe_usable_size(p);
	cr_assert_geq(size, 20);
	cr_assert_leq(size, 32);
	cr_assert_eq(bytes_live(), size);
	q = lethe_malloc(20);
	cr_assert_not_null(q);
	cr_assert_eq(bytes_live(), 2 * size);

	/* It is known which are secret, of live ones. */
	cr_assert_gt(lethe_level_of(p), LETHE_LEVEL_NONE);
	cr_assert_gt(lethe_level_of(q), LETHE_LEVEL_NONE);
	cr_assert_eq(lethe_level_of(ordinary), LETHE_LEVEL_NONE);
	cr_assert_eq(lethe_level_of(&size), LETHE_LEVEL_NONE);

	lethe_free(p);
	cr_assert_eq(bytes_live(), size);
	lethe_free(NULL);
	cr_assert_eq(bytes_live(), size);
	p = lethe_malloc(20);
	cr_assert_eq(bytes_live(), 2 * size);
	lethe_free(q);
	lethe_free(p);
	cr_assert_eq(bytes_live(), 0);
	free(ordinary);
}

Test(heap_peers, openssl_has_no_block_of_all_memory)
{
	errno = 0;
	cr_assert_null(lethe_malloc((size_t)-1));
	cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(bytes_live(), 0);
}

Test(heap_peers, openssl_is_zero_when_new_and_after_it_was_freed)
{
	unsigned char *beside, *p;
	size_t size;

	/* One that stays, so that the page does. */
	beside = lethe_malloc(64);
	p = lethe_malloc(64);
	cr_assert(beside && p);
	size = lethe_usable_size(p);
	cr_assert(is_zero(p, size));
	memset(p, 0x7f, size);
	cr_assert_not(is_zero(p, size));
	lethe_free(p);
	cr_assert(is_zero(p, size));
	lethe_free(beside);
}

Test(heap_peers, sodium_has_random_sizes_one_after_the_other)
{
	unsigned char *p;
	size_t i, size;

	for (i = 0; i < 10000; i++) {
		size = 1 + (i * 7919 + i * i) % 100000;
		p = lethe_malloc(size);
		cr_assert_not_null(p, "%zu: %s", size, strerror(errno));
		cr_assert(is_zero(p, size));
		memset(p, (int)(i | 1), size);
		cr_assert_eq(p[0], (unsigned char)(i | 1));
		cr_assert_eq(p[size - 1], (unsigned char)(i | 1));
		lethe_free(p);
	}
	cr_assert_eq(blocks_live(), 0);
}

Test(heap_peers, sodium_knows_what_no_memory_has_and_what_is_nothing)
{
	void *nothing[4] = { lethe_malloc(0), lethe_calloc(0, 10), lethe_calloc(10, 0),
			     lethe_calloc(0, SIZE_MAX) };
	size_t i, j, half = (size_t)1 << sizeof(size_t) * 4;
	const struct {
		size_t count, size;
	} arrays[] = {
		{ SIZE_MAX / 2, 3 },       { SIZE_MAX, SIZE_MAX }, { half, half },
		{ SIZE_MAX / half, half }, { 1, SIZE_MAX - 1 },    { SIZE_MAX - 1, 1 },
	};

	for (i = 0; i < ARRAY_SIZE(nothing); i++) {
		cr_assert_not_null(nothing[i]);
		for (j = 0; j < i; j++)
			cr_assert_neq(nothing[i], nothing[j]);
	}
	for (i = 0; i < ARRAY_SIZE(arrays); i++) {
		errno = 0;
		cr_assert_null(lethe_calloc(arrays[i].count, arrays[i].size),
			       "%zu of %zu", arrays[i].count, arrays[i].size);
		cr_assert_eq(errno, ENOMEM);
	}
	for (i = 0; i < ARRAY_SIZE(nothing); i++)
		lethe_free(nothing[i]);
	lethe_free(NULL);
	cr_assert_eq(blocks_live(), 0);
}

/* A user of its own: root is above the limit, or shares it with other tests. */
static bool limit_secret_memory(size_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	uid_t uid = 1U << 20 | (unsigned int)getpid();

	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	return setgroups(0, NULL) == 0 && setresuid(uid, uid, uid) == 0;
}

#define POOL (64 * KIB)
#define CHUNKS (POOL / 512)

static size_t fill(void *chunks[CHUNKS])
{
	size_t n = 0;

	while (n < CHUNKS && (chunks[n] = lethe_malloc(512)))
		n++;
	return n;
}

/* Until there is no room even for one; not all that the limit gives may be had. */
Test(heap_peers, gcrypt_fills_its_pool_and_it_works_again_once_freed)
{
	void *chunks[CHUNKS];
	size_t first, n, round;

	if (!limit_secret_memory(POOL))
		cr_skip_test("not root: cannot become a user with a limit of its own");
	first = fill(chunks);
	cr_assert_geq(first, 28);
	cr_assert_geq(first, CHUNKS / 4 * 3);
	for (n = first, round = 0; round < 3; round++) {
		cr_assert_eq(n, first, "%zu chunks, then %zu", first, n);
		errno = 0;
		cr_assert_null(lethe_malloc(2048));
		cr_assert_eq(errno, ENOMEM);
		/* One is enough for another one. */
		lethe_free(chunks[n / 2]);
		chunks[n / 2] = lethe_malloc(512);
		cr_assert_not_null(chunks[n / 2]);
		cr_assert_null(lethe_malloc(2048));
		while (n)
			lethe_free(chunks[--n]);
		cr_assert_eq(bytes_live(), 0);
		/* What was full of small ones has room for one that is large. */
		chunks[0] = lethe_malloc(POOL / 2);
		cr_assert_not_null(chunks[0]);
		lethe_free(chunks[0]);
		n = fill(chunks);
	}
}

#define THREADS 4
#define EACH 500

static void *of[THREADS][EACH];
static pthread_barrier_t together;

/* As many as were live when nobody had freed any yet. */
static size_t live_at_most[THREADS];

static void *allocate_and_free_the_next_ones(void *arg)
{
	size_t self = (size_t)arg, i;

	for (i = 0; i < EACH; i++)
		of[self][i] = lethe_malloc(1 + i * 3);
	pthread_barrier_wait(&together);
	live_at_most[self] = blocks_live();
	pthread_barrier_wait(&together);
	for (i = 0; i < EACH; i++)
		lethe_free(of[(self + 1) % THREADS][i]);
	return NULL;
}

Test(heap_peers, accounts_for_blocks_that_other_threads_free)
{
	pthread_t threads[THREADS];
	size_t i;

	pthread_barrier_init(&together, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL,
					    allocate_and_free_the_next_ones, (void *)i),
			     0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(live_at_most[i], THREADS * EACH, "%zu", live_at_most[i]);
	}
	cr_assert_eq(blocks_live(), 0);
	cr_assert_eq(bytes_live(), 0);
}
