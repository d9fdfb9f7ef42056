// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A fork's child that goes on with the secret heap: for a program all of whose heap
 * it is, and which knows nothing of that. The child has a copy, on secret pages of
 * its own, at the same addresses; what either writes later is its own. Without the
 * switch nothing here is done, and a child has none of it.
 *
 * The copy is made before the fork, by the thread that forks, as the last thing
 * that is done then; the pages of the parent never move, and no other thread of its
 * waits or notices. What can be lacking, memory or a descriptor, is had still
 * earlier, while fork() can fail. Stacks and buffers, which have a guard, are
 * not copied: their rule is that of the library.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

bool lethe_fork_copies;

/**
 * struct copy - of one mapping
 * @start: of the mapping, and of the child's
 * @length: bytes
 * @fd: what has the bytes; -1 where fork() itself copies
 * @wanted: the mapping is still there
 */
struct copy {
	char *start;
	size_t length;
	int fd;
	bool wanted;
};

/*
 * One fork at a time: what stands below is its. The lock comes before all that are
 * taken for a fork; @begun: this thread has it already, from inherit_begin().
 */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;
static __thread bool begun __attribute__((tls_model("initial-exec")));
static enum { IDLE, COPIED, ADOPTED } state;
static struct copy *copies;
static size_t nr_copies, room;
static int error;
static pid_t parent_pid;
/* What catch_early_touch() stands in for meanwhile. */
static struct sigaction programs;
static sigset_t programs_mask;

static size_t copies_length(void)
{
	size_t i, length = 0;

	for (i = 0; i < nr_copies; i++)
		length += copies[i].length;
	return length;
}

static COLD void explain(int err, size_t length)
{
	static bool explained;
	struct rlimit limit;

	if (__atomic_exchange_n(&explained, true, __ATOMIC_RELAXED))
		return;
	if (err == -ENOMEM && !getrlimit(RLIMIT_MEMLOCK, &limit) &&
	    limit.rlim_cur != RLIM_INFINITY)
		message("fork() fails: a child's copy of the heap, after %zu KiB of %zu KiB, no longer fits beside it: RLIMIT_MEMLOCK is %zu KiB; raise it (ulimit -l, LimitMEMLOCK=)",
			length / KIB, lethe_space_mapped() / KIB,
			(size_t)limit.rlim_cur / KIB);
	else
		message("fork() fails: no copy of the heap, %zu KiB, for a child (%s)",
			lethe_space_mapped() / KIB, strerrordesc_np(-err));
}

static int grow(void)
{
	size_t more = room ? 2 * room : PAGE / sizeof(*copies);
	void *p;

	if (nr_copies < room)
		return 0;
	if (room)
		p = mremap(copies, room * sizeof(*copies), more * sizeof(*copies),
			   MREMAP_MAYMOVE);
	else
		p = mmap(NULL, more * sizeof(*copies), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	copies = p;
	room = more;
	return 0;
}

/* The copy of this mapping, or NULL. They are in the order of their addresses. */
static struct copy *find(const char *start, size_t length, size_t *at)
{
	for (; *at < nr_copies && copies[*at].start <= start; ++*at)
		if (copies[*at].start == start && copies[*at].length == length)
			return &copies[(*at)++];
	return NULL;
}

static int make(const struct backend *backend, char *start, size_t length)
{
	int err = grow(), fd = -1;

	if (err)
		return err;
	if (backend->copy_make) {
		fd = backend->copy_make(length);
		if (fd < 0)
			return fd;
	}
	copies[nr_copies++] = (struct copy){ start, length, fd, true };
	return 0;
}

static void drop(struct copy *copy)
{
	if (copy->fd >= 0)
		close(copy->fd);
}

/* All mappings have one, and one that is gone has none. With the space's lock. */
static int make_all(const struct backend *backend)
{
	size_t i, at = 0, kept, length;
	char *start, *from = (char *)lethe_space_base;
	struct copy *copy;
	int err = 0;

	for (i = 0; i < nr_copies; i++)
		copies[i].wanted = false;
	/* What is new comes behind: it is found by nobody in this walk. */
	kept = nr_copies;
	for (; !err && space_next_unguarded(from, &start, &length);
	     from = start + length) {
		copy = at < kept ? find(start, length, &at) : NULL;
		if (copy)
			copy->wanted = true;
		else
			err = make(backend, start, length);
	}
	for (i = kept = 0; i < nr_copies; i++) {
		if (copies[i].wanted)
			copies[kept++] = copies[i];
		else
			drop(&copies[i]);
	}
	nr_copies = kept;
	return err;
}

static void drop_all(void)
{
	while (nr_copies)
		drop(&copies[--nr_copies]);
	if (room)
		munmap(copies, room * sizeof(*copies));
	copies = NULL;
	room = 0;
}

/* Where there is no secret memory yet, there is nothing to copy. */
static const struct backend *backend_in_use(void)
{
	int err;

	return lethe_space_size ? backend_get(&err) : NULL;
}

int inherit_begin(void)
{
	const struct backend *backend = backend_in_use();
	struct cancellable was;
	int err = 0;

	cancel_hold(&was);
	pthread_mutex_lock(&forking);
	begun = true;
	if (backend) {
		space_fork_prepare();
		err = make_all(backend);
		space_fork_parent();
	}
	cancel_release(&was);
	if (!err)
		return 0;
	explain(err, copies_length());
	drop_all();
	inherit_done();
	return err;
}

void inherit_done(void)
{
	begun = false;
	pthread_mutex_unlock(&forking);
}

static void adopt_all(void)
{
	const struct backend *backend = backend_in_use();
	int err = error;
	size_t i;

	if (state == ADOPTED)
		return;
	state = ADOPTED;
	for (i = 0; !err && i < nr_copies; i++)
		err = backend->copy_adopt(copies[i].start, copies[i].length,
					  copies[i].fd);
	if (err)
		die("a forked child cannot have its copy of the heap (%s), and is aborted",
		    strerrordesc_np(-err));
}

/*
 * In the child libc, and whoever's handlers of fork's come before ours, may touch the
 * heap where it is not yet. In the parent it is somebody else's SIGSEGV.
 */
static void catch_early_touch(int signal, siginfo_t *info, void *context)
{
	bool fault = info->si_code > 0;

	(void)context;
	if (fault && getpid() != parent_pid && space_contains(info->si_addr) &&
	    state == COPIED) {
		adopt_all();
		return;
	}
	sigaction(signal, &programs, NULL);
	/* A fault comes again by itself; what somebody sent does not. */
	if (!fault)
		raise(signal);
}

static void catch_begin(void)
{
	struct sigaction action = { .sa_sigaction = catch_early_touch,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigset_t set;

	parent_pid = getpid();
	sigaction(SIGSEGV, &action, &programs);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &set, &programs_mask);
}

static void catch_end(void)
{
	struct sigaction now;

	pthread_sigmask(SIG_SETMASK, &programs_mask, NULL);
	/* Another thread may have set its own meanwhile. */
	if (!sigaction(SIGSEGV, NULL, &now) && now.sa_sigaction == catch_early_touch)
		sigaction(SIGSEGV, &programs, NULL);
}

static int allow_all(const struct backend *backend, bool allow)
{
	int err = 0;
	size_t i;

	for (i = 0; !err && i < nr_copies; i++)
		err = backend->copy_allow(copies[i].start, copies[i].length, allow);
	return err;
}

static int fill_all(const struct backend *backend)
{
	int err = 0;
	size_t i;

	for (i = 0; !err && i < nr_copies; i++)
		err = backend->copy_fill(copies[i].fd, copies[i].start, copies[i].length);
	return err;
}

void inherit_fork_lock(void)
{
	if (inherit_wanted() && !begun)
		pthread_mutex_lock(&forking);
}

void inherit_fork_unlock(void)
{
	if (inherit_wanted() && !begun)
		pthread_mutex_unlock(&forking);
}

void inherit_fork_prepare(void)
{
	const struct backend *backend = inherit_wanted() ? backend_in_use() : NULL;

	if (!backend)
		return;
	/* The heap may have grown since inherit_begin(), and there may be none. */
	error = make_all(backend);
	if (!error)
		error = backend->copy_make ? fill_all(backend) : allow_all(backend, true);
	if (error)
		message("a fork that fork() itself did not make (daemon, forkpty) gets no copy of the heap for its child (%s), which dies",
			strerrordesc_np(-error));
	state = COPIED;
	catch_begin();
}

static void end(void)
{
	if (state != IDLE)
		catch_end();
	state = IDLE;
	drop_all();
}

void inherit_fork_parent(void)
{
	const struct backend *backend = backend_in_use();

	if (state != IDLE && !backend->copy_make && allow_all(backend, false))
		die("the heap cannot be kept from other forks' children again");
	end();
}

void inherit_fork_child(void)
{
	if (state != IDLE)
		adopt_all();
	end();
}
