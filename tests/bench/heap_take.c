// SPDX-License-Identifier: MIT
/*
 * Blocks, in slices of some microseconds; batches, freed here and there.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "../selftests/tap.h"
#include "heap_take.h"
#include "slices.h"

#define PAGE 4096
/* What takes longer is dear: a slice is of as few as come to so much. */
#define DEAR_NS 2000ULL
#define SLICE_NS 20000ULL
#define OPERATIONS_MIN 4
#define HEAPS_MAX 2
#define BATCH_MAX 64
/* Batches of each kind in a slice, and one before them that does not count. */
#define BATCHES 8
#define REMOTE_SLICES 11
#define THREADS_NS 20000000ULL

unsigned int heap_slices = 51;

static inline void *get(const struct heap *heap, size_t size)
{
	volatile char *block = heap->get(size);

	if (!block)
		tap_bail("%s: no block of %zu: %s", heap->name, size, strerror(errno));
	for (size_t at = 0; at < size; at += PAGE)
		block[at] = 1;
	return (void *)block;
}

void heap_fill(const struct heap *heap, unsigned int more)
{
	while (more--)
		get(heap, LIVE_SIZE);
}

/*
 * So that a slice is long beside a look at the clock, and short beside a time slice.
 * @one: what one takes.
 */
static unsigned int operations(size_t size, uint64_t one)
{
	if (one > DEAR_NS)
		return one < SLICE_NS / OPERATIONS_MIN ? SLICE_NS / one : OPERATIONS_MIN;
	return size < PAGE ? 256 : size < 16 * PAGE ? 128 : 16;
}

static uint64_t take_one(const struct heap *heap, size_t size)
{
	uint64_t start = now();

	heap->put(get(heap, size), size);
	return now() - start;
}

static double slice(const struct heap *heap, size_t size)
{
	/* Uncounted: it finds the caches as the other heap left them. */
	unsigned int i, ops = operations(size, take_one(heap, size));
	uint64_t start = now();

	for (i = 0; i < ops; i++)
		heap->put(get(heap, size), size);
	return (double)(now() - start) / ops;
}

void take_heaps(const struct heap *const *heaps, unsigned int nr, size_t size,
		double *took)
{
	double slices[HEAPS_MAX][SLICES_MAX];
	unsigned int i, heap;

	for (i = 0; i < heap_slices; i++)
		for (heap = 0; heap < nr; heap++)
			slices[heap][i] = slice(heaps[heap], size);
	for (heap = 0; heap < nr; heap++)
		took[heap] = middle_of(slices[heap], heap_slices);
}

static const struct heap *working;
static size_t working_size;
/* So many that looking at the clock does not count. */
static unsigned int working_ops;

static void work(void)
{
	for (unsigned int i = 0; i < working_ops; i++)
		working->put(get(working, working_size), working_size);
}

double heap_throughput(const struct heap *heap, size_t size, unsigned int threads)
{
	/* One look at all that works takes less. */
	uint64_t ns = heap_slices < 5 ? THREADS_NS / 20 : THREADS_NS;
	uint64_t took, one = take_one(heap, size);

	/* The quickest of some: one that was interrupted is not dear. */
	for (unsigned int i = 0; i < 5; i++) {
		took = take_one(heap, size);
		if (took < one)
			one = took;
	}
	working = heap;
	working_size = size;
	working_ops = operations(size, one);
	return throughput(work, threads, ns) * working_ops;
}

/* A batch goes from one thread to the other, and back when it is freed. */
struct handover {
	const struct heap *heap;
	size_t size;
	unsigned int batch;
	void *blocks[BATCH_MAX];
	_Alignas(64) atomic_uint handed, freed;
	double here[SLICES_MAX], there[SLICES_MAX], freeing;
};

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		tap_bail("CPU %d: %s", cpu, strerror(errno));
}

static double allocate_batch(struct handover *h)
{
	uint64_t start = now();

	for (unsigned int i = 0; i < h->batch; i++)
		h->blocks[i] = get(h->heap, h->size);
	return (double)(now() - start);
}

static double free_batch(struct handover *h)
{
	uint64_t start = now();

	for (unsigned int i = 0; i < h->batch; i++)
		h->heap->put(h->blocks[i], h->size);
	return (double)(now() - start);
}

/* Not long on a machine with two CPUs; on a busy one the other may have to come on. */
static void wait_until(const atomic_uint *count, unsigned int value)
{
	unsigned int spins = 0;

	while (atomic_load_explicit(count, memory_order_acquire) != value)
		if (++spins % 10000 == 0)
			sched_yield();
}

static double one_batch(struct handover *h, bool there)
{
	double took = allocate_batch(h);
	unsigned int nr;

	if (!there)
		return took + free_batch(h);
	nr = atomic_load_explicit(&h->handed, memory_order_relaxed) + 1;
	atomic_store_explicit(&h->handed, nr, memory_order_release);
	wait_until(&h->freed, nr);
	return took + h->freeing;
}

static double some_batches(struct handover *h, bool there)
{
	double took = 0;

	one_batch(h, there);
	for (unsigned int i = 0; i < BATCHES; i++)
		took += one_batch(h, there);
	return took / BATCHES / h->batch;
}

static unsigned int remote_slices(void)
{
	return heap_slices < REMOTE_SLICES ? heap_slices : REMOTE_SLICES;
}

static void *allocate_batches(void *arg)
{
	struct handover *h = arg;

	run_on(0);
	for (unsigned int i = 0; i < remote_slices(); i++) {
		h->here[i] = some_batches(h, false);
		h->there[i] = some_batches(h, true);
	}
	return NULL;
}

static void *free_batches(void *arg)
{
	struct handover *h = arg;

	run_on(1);
	for (unsigned int nr = 1; nr <= remote_slices() * (BATCHES + 1); nr++) {
		wait_until(&h->handed, nr);
		h->freeing = free_batch(h);
		atomic_store_explicit(&h->freed, nr, memory_order_release);
	}
	return NULL;
}

struct freed take_remote(const struct heap *heap, size_t size)
{
	struct handover h = { .heap = heap, .size = size };
	pthread_t threads[2];

	/* Half a megabyte at most: it has to fit into what a process may lock. */
	h.batch = size * BATCH_MAX > 512 * 1024 ? 8 : BATCH_MAX;
	if (pthread_create(&threads[0], NULL, allocate_batches, &h) ||
	    pthread_create(&threads[1], NULL, free_batches, &h))
		tap_bail("no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return (struct freed){ middle_of(h.here, remote_slices()),
			       middle_of(h.there, remote_slices()) };
}
