// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Guarded buffers: made and freed, and who may touch them when. What a buffer is, is
 * described in ordinary memory that is never given back and used again as late as can
 * be, so that one which was freed is known for that. A misuse that may have changed,
 * or let out, a secret aborts; what can be refused without harm is an error.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "buffer.h"
#include "tools.h"

/* So many descriptions are made at a time. */
#define BATCH (64 * KIB)

/* Descriptions of no buffer, in the order in which they are used. */
static struct lethe_buffer *blanks, **last_blank = &blanks;
/* See struct lethe_buffer.forks. */
static unsigned int forks;

/* With buffers_lock. */
static void append_blank(struct lethe_buffer *b)
{
	b->next = NULL;
	*last_blank = b;
	last_blank = &b->next;
}

static struct lethe_buffer *take_blank(void)
{
	struct lethe_buffer *b, *batch = NULL;
	size_t i;

	pthread_mutex_lock(&buffers_lock);
	if (!blanks) {
		batch = mmap(NULL, BATCH, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (batch == MAP_FAILED) {
			pthread_mutex_unlock(&buffers_lock);
			return NULL;
		}
		for (i = 0; i < BATCH / sizeof(*batch); i++)
			append_blank(&batch[i]);
	}
	b = blanks;
	blanks = b->next;
	if (!blanks)
		last_blank = &blanks;
	pthread_mutex_unlock(&buffers_lock);
	/* What only these point to is no leak: the sealed, which malloc() gave. */
	if (batch)
		tools_reserved(batch, BATCH);
	return b;
}

static void give_blank(struct lethe_buffer *b)
{
	pthread_mutex_lock(&buffers_lock);
	append_blank(b);
	pthread_mutex_unlock(&buffers_lock);
}

/*
 * Whose it is does not change while it lives, so no lock: in a child, one may be held
 * by a thread of the parent's, for ever. False: the parent's.
 */
static bool is_ours(const struct lethe_buffer *b, const char *what_for)
{
	if (unlikely(!__atomic_load_n(&b->live, __ATOMIC_ACQUIRE)))
		die("%s of buffer %p: it is free already", what_for, (const void *)b);
	return b->forks == forks;
}

/* 0 with its lock; or -ESTALE and no lock. */
static int lock_buffer(struct lethe_buffer *b, const char *what_for)
{
	if (!is_ours(b, what_for))
		return -ESTALE;
	pthread_mutex_lock(&b->lock);
	if (likely(b->live))
		return 0;
	pthread_mutex_unlock(&b->lock);
	die("%s of buffer %p: it is free already", what_for, (const void *)b);
}

static bool is_open(const struct lethe_buffer *b)
{
	return b->readers || b->writer;
}

static bool is_access(enum lethe_access access)
{
	return access == LETHE_ACCESS_NONE || access == LETHE_ACCESS_READ ||
	       access == LETHE_ACCESS_WRITE;
}

PUBLIC struct lethe_buffer *lethe_buffer_new(size_t length, unsigned int flags)
{
	struct lethe_buffer *b;
	int err;

	if (flags & ~LETHE_BUFFER_QUICK) {
		errno = EINVAL;
		return NULL;
	}
	if (length > BUFFER_LENGTH_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	b = take_blank();
	if (!b) {
		errno = ENOMEM;
		return NULL;
	}
	*b = (struct lethe_buffer){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.quick = flags & LETHE_BUFFER_QUICK,
		.forks = forks,
		.length = length,
		.at_rest = LETHE_ACCESS_WRITE,
	};
	err = buffer_get_pages(b);
	if (err) {
		give_blank(b);
		errno = -err;
		return NULL;
	}
	__atomic_store_n(&b->live, true, __ATOMIC_RELEASE);
	return b;
}

PUBLIC struct lethe_buffer *lethe_buffer_new_array(size_t count, size_t size,
						   unsigned int flags)
{
	size_t length;

	if (__builtin_mul_overflow(count, size, &length))
		length = SIZE_MAX;
	return lethe_buffer_new(length, flags);
}

PUBLIC void lethe_buffer_free(struct lethe_buffer *b)
{
	int saved = errno;

	if (!b || lock_buffer(b, "free"))
		return;
	if (unlikely(is_open(b))) {
		pthread_mutex_unlock(&b->lock);
		die("free of buffer %p: it is open", (void *)b);
	}
	__atomic_store_n(&b->live, false, __ATOMIC_RELEASE);
	if (b->sealed.text)
		buffer_forget_sealed(b);
	else
		buffer_put_pages(b);
	pthread_mutex_unlock(&b->lock);
	give_blank(b);
	errno = saved;
}

PUBLIC int lethe_buffer_protect(struct lethe_buffer *b, enum lethe_access access)
{
	int err;

	if (!is_access(access))
		return -EINVAL;
	err = lock_buffer(b, "protect");
	if (err)
		return err;
	if (is_open(b))
		err = -EBUSY;
	else if (!b->sealed.text)
		err = buffer_set_access(b, access);
	if (!err)
		b->at_rest = access;
	pthread_mutex_unlock(&b->lock);
	return err;
}

static int open_first(struct lethe_buffer *b, enum lethe_access access)
{
	int err;

	if (b->sealed.text)
		err = buffer_unseal(b, access);
	else
		err = buffer_set_access(b, access);
	if (!err)
		err = run_present(&b->run);
	return err;
}

/* With its lock. */
static int open_locked(struct lethe_buffer *b, enum lethe_access access)
{
	int err = 0;

	if (b->writer || (b->readers && access == LETHE_ACCESS_WRITE))
		return -EBUSY;
	if (b->readers == UINT_MAX)
		return -EOVERFLOW;
	if (!b->readers)
		err = open_first(b, access);
	if (err)
		return err;
	if (access == LETHE_ACCESS_WRITE)
		b->writer = true;
	else
		b->readers++;
	return 0;
}

PUBLIC int lethe_buffer_open(struct lethe_buffer *b, enum lethe_access access)
{
	int err;

	if (!is_access(access) || access == LETHE_ACCESS_NONE)
		return -EINVAL;
	err = lock_buffer(b, "open");
	if (err)
		return err;
	err = open_locked(b, access);
	pthread_mutex_unlock(&b->lock);
	return err;
}

int buffer_use(struct lethe_buffer *b, enum lethe_access access)
{
	int err;

	err = lock_buffer(b, "use");
	if (err)
		return err;
	if (b->writer) {
		err = 0;
	} else {
		err = open_locked(b, access);
		if (!err)
			err = 1;
	}
	pthread_mutex_unlock(&b->lock);
	return err;
}

PUBLIC void lethe_buffer_close(struct lethe_buffer *b)
{
	int saved = errno, err = 0;

	if (lock_buffer(b, "close"))
		return;
	if (unlikely(!is_open(b))) {
		pthread_mutex_unlock(&b->lock);
		die("close of buffer %p: it is not open", (void *)b);
	}
	if (b->writer)
		b->writer = false;
	else
		b->readers--;
	if (!is_open(b))
		err = buffer_set_access(b, b->at_rest);
	pthread_mutex_unlock(&b->lock);
	/* Closed is what it must be after this. Lost pages are nobody's to read. */
	if (unlikely(err && err != -ESTALE))
		die("close of buffer %p: it stays open to everybody (%s)", (void *)b,
		    strerrordesc_np(-err));
	errno = saved;
}

PUBLIC void *lethe_buffer_data(const struct lethe_buffer *b)
{
	is_ours(b, "data");
	return b->run.start ? buffer_data(b) : NULL;
}

PUBLIC size_t lethe_buffer_length(const struct lethe_buffer *b)
{
	is_ours(b, "length");
	return b->length;
}

PUBLIC int lethe_buffer_seal(struct lethe_buffer *b)
{
	int err;

	err = lock_buffer(b, "seal");
	if (err)
		return err;
	if (is_open(b))
		err = -EBUSY;
	else if (!b->sealed.text)
		err = buffer_seal(b);
	pthread_mutex_unlock(&b->lock);
	return err;
}

PUBLIC int lethe_buffer_unseal(struct lethe_buffer *b)
{
	int err;

	err = lock_buffer(b, "unseal");
	if (err)
		return err;
	if (b->sealed.text)
		err = buffer_unseal(b, b->at_rest);
	pthread_mutex_unlock(&b->lock);
	return err;
}

void buffer_fork_child(void)
{
	forks++;
	buffer_guard_fork_child();
}
