// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The pages of guarded buffers. Making one costs more than all that is done with it,
 * so a few are kept: wiped, and not to be touched by anybody until they are some
 * buffer's again; but for those that are to be had again quickly, of which it is looked
 * whether somebody did. Knows nothing of what is in them.
 *
 * The guards are a part of the reservation before a mapping, and what space.c leaves
 * behind each: address space and no memory, so they count against no limit.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buffer.h"

pthread_mutex_t buffers_lock = PTHREAD_MUTEX_INITIALIZER;

#define GUARD CHUNK

/* Oldest first, which is also whose turn it is: a dangling pointer faults for longest. */
static struct run kept[RUNS_KEPT_PAGES];
static unsigned int nr_kept;
static size_t kept_pages;

int run_protect(const struct run *run, enum lethe_access access)
{
	static const int as[] = {
		[LETHE_ACCESS_NONE] = PROT_NONE,
		[LETHE_ACCESS_READ] = PROT_READ,
		[LETHE_ACCESS_WRITE] = PROT_READ | PROT_WRITE,
	};

	if (mprotect(run->start, run->pages * PAGE, as[access]) < 0)
		return -errno;
	/*
	 * Where the pages are lost this was the reservation, which would now be
	 * ordinary memory. Asked afterwards: they are known for lost before they go.
	 */
	if (unlikely(space_lost(run->start))) {
		if (space_reserve(run->start, run->pages * PAGE))
			die("cannot reserve the place of a buffer that was lost");
		return -ESTALE;
	}
	return 0;
}

/*
 * The kernel reads the first word, into a register and nowhere else, and says so if it
 * cannot: a touch would be a SIGBUS. This way of asking wakes nobody and never waits.
 */
static bool can_be_touched(const void *p)
{
	int saved = errno;
	bool can;

	can = syscall(SYS_futex, p, FUTEX_CMP_REQUEUE_PRIVATE, 0, NULL, p, 0) >= 0 ||
	      errno != EFAULT;
	errno = saved;
	return can;
}

int run_present(const struct run *run)
{
	int err;

	if (unlikely(space_lost(run->start)))
		return -ESTALE;
	/* The others take nothing back. */
	if (backend_get(&err) != &backend_kmod || can_be_touched(run->start))
		return 0;
	revoked(run->generation);
	return -ESTALE;
}

bool is_zero(const char *p, size_t length)
{
	uint64_t word, all = 0;

	for (; length >= sizeof(word); p += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		all |= word;
	}
	for (; length; p++, length--)
		all |= (unsigned char)*p;
	return !all;
}

/* With the lock. */
static struct run take_kept(unsigned int i)
{
	struct run run = kept[i];

	nr_kept--;
	kept_pages -= run.pages;
	memmove(&kept[i], &kept[i + 1], (nr_kept - i) * sizeof(kept[0]));
	return run;
}

static bool find_kept(struct run *run, size_t pages)
{
	bool found = false;
	unsigned int i;

	pthread_mutex_lock(&buffers_lock);
	for (i = 0; i < nr_kept && !found; i++) {
		found = kept[i].pages == pages;
		if (found)
			*run = take_kept(i);
	}
	pthread_mutex_unlock(&buffers_lock);
	return found;
}

/* Reading after the free finds nothing, and is not found. */
static void check_untouched(const struct run *run)
{
	if (unlikely(!is_zero(run->start, run->pages * PAGE)))
		die("pages at %p were written after the buffer that they were had been freed",
		    (void *)run->start);
}

static void give_back(const struct run *run)
{
	if (run->quick && !run_present(run))
		check_untouched(run);
	space_unmap_wiped(run->start, run->pages * PAGE, GUARD);
}

/* It is zero, and unless it is a quick one not to be touched. */
static void keep(const struct run *run)
{
	struct run idle[RUNS_KEPT_PAGES];
	unsigned int nr_idle = 0;

	if (run->pages > RUNS_KEPT_PAGES) {
		give_back(run);
		return;
	}
	pthread_mutex_lock(&buffers_lock);
	while (kept_pages + run->pages > RUNS_KEPT_PAGES)
		idle[nr_idle++] = take_kept(0);
	kept[nr_kept++] = *run;
	kept_pages += run->pages;
	pthread_mutex_unlock(&buffers_lock);
	while (nr_idle)
		give_back(&idle[--nr_idle]);
}

static int make(struct run *run, size_t pages)
{
	run->pages = pages;
	run->generation = revoked_generation();
	run->quick = false;
	run->start = space_map(pages * PAGE, GUARD);
	if (!run->start && errno == ENOMEM) {
		/* What is kept for later is for now. */
		buffers_trim();
		stack_trim();
		heap_trim();
		run->start = space_map(pages * PAGE, GUARD);
	}
	return run->start ? 0 : -errno;
}

static int take_up(struct run *run)
{
	int err = 0;

	if (!run->quick)
		err = run_protect(run, LETHE_ACCESS_WRITE);
	if (!err)
		err = run_present(run);
	else if (err != -ESTALE)
		keep(run);
	if (!err && run->quick)
		check_untouched(run);
	return err;
}

int run_get(struct run *run, size_t pages)
{
	int err;

	while (find_kept(run, pages)) {
		err = take_up(run);
		if (likely(err != -ESTALE))
			return err;
	}
	return make(run, pages);
}

void run_put(struct run *run, bool quick)
{
	int err = 0;

	lethe_wipe(run->start, run->pages * PAGE);
	run->quick = quick;
	if (!quick)
		err = run_protect(run, LETHE_ACCESS_NONE);
	if (likely(!err))
		keep(run);
	else if (err != -ESTALE)
		give_back(run);
}

size_t buffers_trim(void)
{
	struct run idle[RUNS_KEPT_PAGES];
	size_t bytes;
	unsigned int n;
	int saved = errno;

	buffer_key_trim();
	pthread_mutex_lock(&buffers_lock);
	memcpy(idle, kept, sizeof(idle));
	n = nr_kept;
	bytes = kept_pages * PAGE;
	nr_kept = 0;
	kept_pages = 0;
	pthread_mutex_unlock(&buffers_lock);
	while (n)
		give_back(&idle[--n]);
	errno = saved;
	return bytes;
}

/* With the lock. */
static void lose_all(void)
{
	nr_kept = 0;
	kept_pages = 0;
	buffer_key_lose();
}

void buffers_lose_all(void)
{
	pthread_mutex_lock(&buffers_lock);
	lose_all();
	pthread_mutex_unlock(&buffers_lock);
}

void buffers_fork_prepare(void)
{
	pthread_mutex_lock(&buffers_lock);
}

void buffers_fork_parent(void)
{
	pthread_mutex_unlock(&buffers_lock);
}

void buffers_fork_child(void)
{
	lose_all();
	buffer_fork_child();
	pthread_mutex_unlock(&buffers_lock);
}
