// SPDX-License-Identifier: MIT
/*
 * Every advice of madvise(), and whether what was there is there afterwards.
 * MADV_HWPOISON and MADV_SOFT_OFFLINE take a page from the machine for good, and
 * are not tried.
 */
#include <sys/uio.h>

#include "rows.h"

/* Those that older headers do not have. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define HUGE ((size_t)2 * 1024 * 1024)

/* What a read finds; a page that the advice took away comes as zero. */
static const char *left(struct memory *m)
{
	if (!first_word(m))
		return "zeroed";
	return first_word(m) == MARK && all_are(m->map + sizeof(uint64_t), FILL,
						LENGTH - sizeof(uint64_t)) ?
		       "done" :
		       "something else";
}

static const char *advise(struct memory *m, long advice)
{
	if (madvise(m->map, LENGTH, advice))
		return failed();
	return left(m);
}

static const char *advise_part(struct memory *m, long advice)
{
	if (madvise(m->map, PAGE, advice))
		return failed();
	return left(m);
}

static const char *read_first(struct memory *m, long arg)
{
	(void)arg;
	return first_word(m) ? seen(first_word(m)) : "zeroed";
}

/* What a child finds after it. */
static const char *advise_fork(struct memory *m, long advice)
{
	if (madvise(m->map, LENGTH, advice))
		return failed();
	return by_child(read_first, m, 0);
}

/* The advice of another process: here, of this one by way of its descriptor. */
static const char *advise_process(struct memory *m, long advice)
{
	struct iovec where = { m->map, LENGTH };
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);

	if (pidfd < 0 || syscall(SYS_process_madvise, pidfd, &where, 1, advice, 0) < 0)
		return failed();
	return left(m);
}

/* Takes a whole huge page, at its place. */
static const char *collapse(struct memory *m, long arg)
{
	const int flags = m->kind == ORDINARY ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	unsigned char *at = must_map_plain(2 * HUGE);

	(void)arg;
	at += -(uintptr_t)at % HUGE;
	m->fd = m->kind == ORDINARY ? -1 : open_kind(m->kind, HUGE);
	if (mmap(at, HUGE, RW, flags | MAP_FIXED, m->fd, 0) == MAP_FAILED)
		return failed();
	for (size_t i = 0; i < HUGE; i += PAGE)
		at[i] = 1;
	return done_if(!madvise(at, HUGE, MADV_COLLAPSE));
}

#define SAME "done", "done", "done"
/* On a kernel that does not know an advice, it is EINVAL on any memory. */
#define ADVICE(name, ...) ROW("`madvise` " #name, advise, __VA_ARGS__, .arg = name)

static const struct row rows[] = {
	ADVICE(MADV_NORMAL, SAME),
	ADVICE(MADV_RANDOM, SAME),
	ADVICE(MADV_SEQUENTIAL, SAME),
	ADVICE(MADV_WILLNEED, SAME),
	ADVICE(MADV_DONTNEED, "EINVAL", "done or EINVAL", "zeroed", .anonymous = true),
	ADVICE(MADV_DONTNEED_LOCKED, "EINVAL", "done", "zeroed", .anonymous = true,
	       .absent = "EINVAL"),
	ADVICE(MADV_FREE, "EINVAL", "EINVAL", "done", .anonymous = true),
	ADVICE(MADV_REMOVE, "ENODEV", "EOPNOTSUPP or EINVAL", "zeroed"),
	ADVICE(MADV_DONTFORK, SAME),
	ADVICE(MADV_DOFORK, "EINVAL", "done", "done"),
	ROW("`madvise` MADV_DONTFORK, and a child's read", advise_fork, "SIGSEGV",
	    "SIGSEGV", "SIGSEGV", .arg = MADV_DONTFORK),
	ROW("`madvise` MADV_WIPEONFORK, and a child's read", advise_fork, "EINVAL",
	    "EINVAL", "zeroed", .arg = MADV_WIPEONFORK, .anonymous = true),
	ROW("`madvise` MADV_KEEPONFORK, and a child's read", advise_fork, "SIGSEGV",
	    "the secret", "the secret", .arg = MADV_KEEPONFORK, .anonymous = true),
	ADVICE(MADV_DONTDUMP, SAME),
	ADVICE(MADV_DODUMP, "EINVAL", "done", "done"),
	ADVICE(MADV_MERGEABLE, "done", "done", "done", .anonymous = true,
	       .absent = "EINVAL"),
	ADVICE(MADV_UNMERGEABLE, "done", "done", "done", .anonymous = true,
	       .absent = "EINVAL"),
	ADVICE(MADV_HUGEPAGE, "done", "done", "done", .anonymous = true,
	       .absent = "EINVAL"),
	ADVICE(MADV_NOHUGEPAGE, "done", "done", "done", .anonymous = true,
	       .absent = "EINVAL"),
	ROW("`madvise` MADV_COLLAPSE", collapse, "EINVAL", "EINVAL", "done", .bare = true,
	    .absent = "EINVAL"),
	ADVICE(MADV_COLD, "EINVAL", "done or EINVAL", "done", .anonymous = true),
	ADVICE(MADV_PAGEOUT, "EINVAL", "done or EINVAL", "done", .anonymous = true),
	ROW("`process_madvise` MADV_PAGEOUT", advise_process, "EINVAL", "done or EINVAL",
	    "done", .arg = MADV_PAGEOUT, .anonymous = true, .absent = "ENOSYS or EPERM"),
	ADVICE(MADV_POPULATE_READ, "EINVAL", "EINVAL", "done"),
	ADVICE(MADV_POPULATE_WRITE, "EINVAL", "EINVAL", "done"),
	ROW("`madvise` MADV_GUARD_INSTALL", advise_part, "EINVAL", "SIGSEGV or EINVAL",
	    "SIGSEGV", .arg = MADV_GUARD_INSTALL, .anonymous = true, .absent = "EINVAL"),
	ROW("`madvise` MADV_GUARD_REMOVE", advise_part, "EINVAL", "done or EINVAL",
	    "done", .arg = MADV_GUARD_REMOVE, .anonymous = true, .absent = "EINVAL"),
};

ROWS_MAIN(rows)
