// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where secret memory lies: one reservation of address space, cut into chunks,
 * and what each chunk holds. Knows nothing of stacks or blocks, and never reads
 * what is in the pages.
 *
 * The reservation is put low, below every ordinary stack. A secret stack is
 * then always at a lower address than the stack that a section was entered
 * from, as the frames of a called function are: gdb takes anything else for a
 * corrupt stack and stops walking.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "internal.h"
#include "tools.h"

#define LARGEST (16 * 1024 * MIB)
#define SMALLEST (64 * MIB)

/*
 * A reservation starts at a random place in [64 GiB, 448 GiB): above any
 * non-PIE program and its heap, below where the kernel puts mappings, and
 * inside what TSan takes for a program's memory.
 */
#define LOWEST_START ((uintptr_t)64 << 30)
#define START_RANGE ((uintptr_t)384 << 30)
/* ASan's shadow ends 16 TiB further up, and stacks begin at 64 TiB or more. */
#define ABOVE_SHADOW ((uintptr_t)32 << 40)

/*
 * What a chunk holds, in a byte: the level in the upper bits, how many of its
 * pages are mapped in the lower. Three states have no pages: free,
 * a mapping's guard, and lost.
 */
#define PAGES_MASK 31
#define LEVEL_SHIFT 5
#define CHUNK_FREE 0
#define CHUNK_GUARD (6 << LEVEL_SHIFT)
#define CHUNK_LOST (7 << LEVEL_SHIFT)

uintptr_t lethe_space_base;
size_t lethe_space_size;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint8_t chunks[LARGEST / CHUNK];
static size_t next_chunk = 1;

static void *reserve_at(void *address, size_t length, int flags)
{
	return mmap(address, length, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* gdb's gcore would write all of it down, as gigabytes of zeroes. */
static void keep_from_dumps(void *start, size_t length)
{
	madvise(start, length, MADV_DONTDUMP);
}

int space_reserve(void *start, size_t length)
{
	if (reserve_at(start, length, MAP_FIXED) == MAP_FAILED)
		return -errno;
	keep_from_dumps(start, length);
	return 0;
}

static uintptr_t random_start(void)
{
	uint64_t random = 0;

	/* Without randomness it is the start that is known, not a secret. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	return LOWEST_START + random % START_RANGE / CHUNK * CHUNK;
}

static void *reserve_low(size_t length)
{
	char *start = (char *)random_start();
	void *p = reserve_at(start, length, 0), *again;

	if (p == MAP_FAILED || p == start)
		return p;
	/* ASan has its shadow there; what is above that is low enough. */
	again = reserve_at(start + ABOVE_SHADOW, length, 0);
	if (again == MAP_FAILED)
		return p;
	munmap(p, length);
	return again;
}

static int make_reservation(void)
{
	uintptr_t aligned;
	size_t size;
	void *p;

	/* RLIMIT_AS counts a reservation too: try for less. */
	for (size = LARGEST; size >= SMALLEST; size /= 16) {
		p = reserve_low(size);
		if (p == MAP_FAILED)
			continue;
		aligned = round_up((uintptr_t)p, CHUNK);
		keep_from_dumps(p, size);
		size = ((uintptr_t)p + size - aligned) / CHUNK * CHUNK;
		/* In this order: space_contains() takes no lock. */
		__atomic_store_n(&lethe_space_base, aligned, __ATOMIC_RELEASE);
		__atomic_store_n(&lethe_space_size, size, __ATOMIC_RELEASE);
		tools_reserved((void *)aligned, size);
		return fork_register();
	}
	return -ENOMEM;
}

static size_t chunk_of(const void *p)
{
	return ((uintptr_t)p - lethe_space_base) / CHUNK;
}

static uint8_t chunk_state(size_t i)
{
	return atomic_load_explicit(&chunks[i], memory_order_acquire);
}

static void set_chunk(size_t i, uint8_t state)
{
	atomic_store_explicit(&chunks[i], state, memory_order_release);
}

/* The chunks that a mapping takes: its pages, and a page of nothing after. */
static size_t chunks_for(size_t length)
{
	return (length + PAGE + CHUNK - 1) / CHUNK;
}

/* Of nothing, and nobody else's: what lies before a mapping that has a guard. */
static void set_guard(void *start, size_t guard, uint8_t state)
{
	size_t i, end = chunk_of(start);

	for (i = end - guard / CHUNK; i < end; i++)
		set_chunk(i, state);
}

static void set_range(void *start, size_t length, enum lethe_level level)
{
	size_t i, first = chunk_of(start), n = chunks_for(length);
	size_t pages = length / PAGE, here;

	for (i = first; i < first + n; i++, pages -= here) {
		here = pages < CHUNK / PAGE ? pages : CHUNK / PAGE;
		/* The chunk after a full one has no page, and is not free. */
		set_chunk(i, (uint8_t)((unsigned int)level << LEVEL_SHIFT | here));
	}
}

static void clear_range(void *start, size_t length, uint8_t state)
{
	size_t i, first = chunk_of(start), n = chunks_for(length);

	for (i = first; i < first + n; i++)
		set_chunk(i, state);
}

/* The first of @n free chunks in [from, to); 0, which is never one, for none. */
static size_t find_run(size_t from, size_t to, size_t n)
{
	size_t i, run = 0;

	for (i = from; i < to; i++) {
		run = chunk_state(i) == CHUNK_FREE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return 0;
}

static size_t first_aligned(size_t first, size_t alignment)
{
	uintptr_t at = lethe_space_base + first * CHUNK;

	return (round_up(at, alignment) - lethe_space_base) / CHUNK;
}

static void *find_place(size_t length, size_t guard, size_t alignment)
{
	size_t n = guard / CHUNK + chunks_for(length);
	/* As many more as the first place at which it is aligned may be away. */
	size_t room = n + alignment / CHUNK - 1;
	size_t end = lethe_space_size / CHUNK, first;

	/* Onwards from the last: an address is used again as late as can be. */
	first = find_run(next_chunk, end, room);
	if (!first)
		first = find_run(1, end, room);
	if (!first)
		return NULL;
	first = first_aligned(first + guard / CHUNK, alignment);
	next_chunk = first + chunks_for(length);
	return (void *)(lethe_space_base + first * CHUNK);
}

static int map(const struct backend *backend, size_t length, size_t guard,
	       size_t alignment, void **start)
{
	struct cancellable was;
	int err;

	if (!length || length % PAGE || length > LARGEST || alignment > LARGEST)
		return -EINVAL;

	/* A backend's close() is where a thread may be cancelled: not with the lock. */
	cancel_hold(&was);
	pthread_mutex_lock(&lock);
	err = lethe_space_size ? 0 : make_reservation();
	if (err)
		goto out;
	*start = find_place(length, guard, alignment);
	err = *start ? backend->map(*start, length) : -ENOMEM;
	if (!err) {
		set_guard(*start, guard, CHUNK_GUARD);
		set_range(*start, length, backend->level);
	}
out:
	pthread_mutex_unlock(&lock);
	cancel_release(&was);
	return err;
}

static void *map_or_errno(const struct backend *backend, int err, size_t length,
			  size_t guard, size_t alignment)
{
	void *start = NULL;

	if (backend)
		err = map(backend, length, guard, alignment, &start);
	if (!err)
		return start;
	errno = -err;
	return NULL;
}

void *space_map(size_t length, size_t guard)
{
	int err;
	const struct backend *backend = backend_get(&err);

	return map_or_errno(backend, err, length, guard, CHUNK);
}

void *space_map_heap(size_t length, size_t alignment, bool overflow)
{
	int err;
	const struct backend *backend = backend_get(&err);

	if (backend && overflow)
		backend = backend_overflow();
	return map_or_errno(backend, err, length, 0,
			    alignment > CHUNK ? alignment : CHUNK);
}

void space_unmap(void *start, size_t length, size_t guard)
{
	/* The kernel wipes what it takes back, too late for a fallback's swap. */
	lethe_wipe(start, length);
	space_unmap_wiped(start, length, guard);
}

void space_unmap_wiped(void *start, size_t length, size_t guard)
{
	uint8_t state = CHUNK_FREE;

	pthread_mutex_lock(&lock);
	/* What is lost is gone, and its address stays nobody's. */
	if (chunk_state(chunk_of(start)) == CHUNK_LOST)
		goto out;
	/* Too many mappings to split one more: wiped, but not given back. */
	if (space_reserve(start, length))
		state = CHUNK_LOST;
	clear_range(start, length, state);
	set_guard(start, guard, state);
out:
	pthread_mutex_unlock(&lock);
}

bool space_lost(const void *p)
{
	return space_contains(p) && chunk_state(chunk_of(p)) == CHUNK_LOST;
}

PUBLIC enum lethe_level lethe_level_of(const void *address)
{
	uint8_t state;

	if (!space_contains(address))
		return LETHE_LEVEL_NONE;
	state = chunk_state(chunk_of(address));
	if ((uintptr_t)address % CHUNK / PAGE >= (state & PAGES_MASK))
		return LETHE_LEVEL_NONE;
	return (enum lethe_level)(state >> LEVEL_SHIFT);
}

void space_fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

void space_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

bool space_next_unguarded(const void *from, char **start, size_t *length)
{
	size_t i, end = lethe_space_size / CHUNK, first, pages;

	/* A mapping starts at a chunk, and need not end at one. */
	from = (const char *)round_up((uintptr_t)from, CHUNK);
	for (i = lethe_space_size ? chunk_of(from) : end; i < end; i = first + 1) {
		for (first = i; first < end && !(chunk_state(first) & PAGES_MASK);)
			first++;
		for (i = first, pages = 0; i < end; i++) {
			pages += chunk_state(i) & PAGES_MASK;
			/* Behind its last page a mapping has one of nothing. */
			if ((chunk_state(i) & PAGES_MASK) < CHUNK / PAGE)
				break;
		}
		if (!pages)
			break;
		*start = (char *)lethe_space_base + first * CHUNK;
		*length = pages * PAGE;
		if (chunk_state(first - 1) != CHUNK_GUARD)
			return true;
		first = i;
	}
	return false;
}

PUBLIC size_t lethe_space_mapped(void)
{
	size_t i, pages = 0;

	for (i = 0; i < lethe_space_size / CHUNK; i++)
		pages += chunk_state(i) & PAGES_MASK;
	return pages * PAGE;
}

/* With the lock. From @start on to before @end, both at a chunk. */
static bool lose(char *start, char *end, const char *pages_end)
{
	size_t i;

	/* First, for whoever changes the access to pages and then asks (buffer_run.c). */
	for (; start < end; start += CHUNK) {
		i = chunk_of(start);
		if (chunk_state(i) != CHUNK_FREE)
			set_chunk(i, CHUNK_LOST);
	}
	/* The holes that what is lost leaves must not become another's. */
	return pages_end >= end ||
	       !space_reserve((void *)pages_end, (size_t)(end - pages_end));
}

/* All but what a child has a copy of: then its mappings without a guard. */
static bool lose_all(bool but_copies)
{
	char *from = (char *)lethe_space_base, *end = from + lethe_space_size;
	char *pages_end = from, *start;
	size_t length;

	while (but_copies && space_next_unguarded(from, &start, &length)) {
		if (!lose(from, start, pages_end))
			return false;
		pages_end = start + length;
		from = start + chunks_for(length) * CHUNK;
	}
	return lose(from, end, pages_end);
}

void space_lose_all(void)
{
	pthread_mutex_lock(&lock);
	if (!lose_all(false))
		die("cannot reserve the place of secret memory that was revoked");
	pthread_mutex_unlock(&lock);
}

void space_fork_child(void)
{
	if (!lose_all(inherit_wanted()))
		die("cannot reserve secret memory's place in a forked child");
	pthread_mutex_unlock(&lock);
}
