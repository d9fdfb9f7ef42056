// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A buffer's pages while it has some: the canary before the data, which is looked at
 * whenever somebody may have written over it, and what access there is. Never repairs
 * anything: what was overwritten ends the process.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buffer.h"

/* Those that no buffer has yet. */
static unsigned char canaries[16][CANARY_SIZE];
static unsigned int nr_canaries;

/* The canary, and how much of it there is room for. */
static char *canary_of(const struct lethe_buffer *b, size_t *size)
{
	size_t room = b->run.pages * PAGE - b->length;

	*size = room < CANARY_SIZE ? room : CANARY_SIZE;
	return buffer_data(b) - *size;
}

/*
 * Its own for each: one that was read somewhere is of no use elsewhere. The kernel is
 * asked for some at a time.
 */
static int take_canary(unsigned char canary[CANARY_SIZE])
{
	int err = 0;

	pthread_mutex_lock(&buffers_lock);
	if (!nr_canaries) {
		if (syscall(SYS_getrandom, canaries, sizeof(canaries), 0) < 0)
			err = -errno;
		else
			nr_canaries = ARRAY_SIZE(canaries);
	}
	if (!err)
		memcpy(canary, canaries[--nr_canaries], CANARY_SIZE);
	pthread_mutex_unlock(&buffers_lock);
	return err;
}

static int put_canary(struct lethe_buffer *b)
{
	size_t size;
	char *at = canary_of(b, &size);
	int err;

	err = take_canary(b->canary);
	if (!err)
		copy_secret(at, b->canary, size);
	return err;
}

static COLD _Noreturn void overwritten(const struct lethe_buffer *b)
{
	/* If it may be written, what is in it does not outlive this. */
	if (!run_protect(&b->run, LETHE_ACCESS_WRITE))
		lethe_wipe(b->run.start, b->run.pages * PAGE);
	die("buffer %p: what lies before its data was overwritten", (const void *)b);
}

static void check_canary(const struct lethe_buffer *b)
{
	size_t size;
	const char *at = canary_of(b, &size);

	if (unlikely(!lethe_equal(at, b->canary, size)))
		overwritten(b);
}

/* The canary, and the zeroes before it. */
static void check_all(const struct lethe_buffer *b)
{
	size_t size;
	const char *end = canary_of(b, &size);

	check_canary(b);
	if (unlikely(!is_zero(b->run.start, (size_t)(end - b->run.start))))
		overwritten(b);
}

int buffer_set_access(struct lethe_buffer *b, enum lethe_access access)
{
	int err;

	if (b->now == access)
		return 0;
	/* After each time that it could be written. */
	if (b->now == LETHE_ACCESS_WRITE) {
		err = run_present(&b->run);
		if (err)
			return err;
		check_canary(b);
	}
	err = run_protect(&b->run, access);
	if (!err)
		b->now = access;
	return err;
}

int buffer_get_pages(struct lethe_buffer *b)
{
	size_t pages = b->length ? round_up(b->length, PAGE) / PAGE : 1;
	int err;

	err = run_get(&b->run, pages);
	if (err)
		goto none;
	b->now = LETHE_ACCESS_WRITE;
	err = put_canary(b);
	if (!err)
		return 0;
	run_put(&b->run, b->quick);
none:
	b->run.start = NULL;
	return err;
}

void buffer_put_pages(struct lethe_buffer *b)
{
	struct run run = b->run;
	int err = 0;

	if (b->now != LETHE_ACCESS_WRITE)
		err = run_protect(&run, LETHE_ACCESS_WRITE);
	if (!err)
		err = run_present(&run);
	if (!err)
		check_all(b);
	b->run.start = NULL;
	b->now = LETHE_ACCESS_NONE;
	if (!err)
		run_put(&run, b->quick);
	else if (err != -ESTALE)
		die("buffer %p: its pages cannot be wiped (%s)", (void *)b,
		    strerrordesc_np(-err));
}

void buffer_guard_fork_child(void)
{
	/* The parent takes these. */
	nr_canaries = 0;
}
