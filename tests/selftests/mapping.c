// SPDX-License-Identifier: MIT
/*
 * Mappings: what can be made, changed and undone on a descriptor's memory.
 * What advice and locks do is advice.c's and locking.c's subject.
 */
#include "rows.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static const char *map_with(struct memory *m, long flags)
{
	return done_if(mmap(NULL, PAGE, RW, flags, m->fd, 0) != MAP_FAILED);
}

static const char *map_prot(struct memory *m, long prot)
{
	return done_if(mmap(NULL, PAGE, prot, MAP_SHARED, m->fd, 0) != MAP_FAILED);
}

/* What of pages [from, from + nr) is there: the last is touched. */
static const char *map_pages(struct memory *m, size_t from, size_t nr)
{
	volatile unsigned char *map = mmap(NULL, nr * PAGE, RW, MAP_SHARED, m->fd,
					   (off_t)(from * PAGE));

	if (map == MAP_FAILED)
		return failed();
	return map[nr * PAGE - 1] == FILL ? "done" : "something else";
}

static const char *map_part(struct memory *m, long from)
{
	return map_pages(m, from, 3);
}

static const char *map_longer(struct memory *m, long arg)
{
	(void)arg;
	return map_pages(m, 0, NR + 1);
}

static const char *map_unaligned(struct memory *m, long offset)
{
	/* The system call itself: the libraries' own refuses before it. */
	return done_if(syscall(SYS_mmap, NULL, PAGE, RW, MAP_SHARED, m->fd, offset) !=
		       -1);
}

static const char *map_twice(struct memory *m, long arg)
{
	volatile unsigned char *other = mmap(NULL, LENGTH, RW, MAP_SHARED, m->fd, 0);

	(void)arg;
	if (other == MAP_FAILED)
		return failed();
	other[PAGE] = 1;
	m->map[2 * PAGE] = 2;
	return m->map[PAGE] == 1 && other[2 * PAGE] == 2 ? "the same memory" : "another";
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* How much is there before the first touch, by @flags: what does not fault. */
static const char *resident(struct memory *m, long flags)
{
	volatile unsigned char *map;
	long before;

	m->fd = open_kind(m->kind, LENGTH);
	map = mmap(NULL, LENGTH, RW, MAP_SHARED | flags, m->fd, 0);
	if (map == MAP_FAILED)
		return failed();
	faults();
	before = faults();
	for (size_t i = 0; i < NR; i++)
		map[i * PAGE] = 1;
	before = faults() - before;
	return !before ? "all of it" : before < (long)NR ? "a part" : "nothing";
}

static const char *in_core(struct memory *m, long arg)
{
	unsigned char vec[NR];
	size_t sum = 0;

	(void)arg;
	if (mincore(m->map, LENGTH, vec))
		return failed();
	for (size_t i = 0; i < NR; i++)
		sum += vec[i] & 1;
	return !sum ? "nothing" : sum == NR ? "all of it" : "a part";
}

/* An mprotect() or mremap() that had to keep what is there. */
static const char *kept(const struct memory *m)
{
	if (first_word(m) != MARK)
		return "done, and lost";
	return all_are(m->map + sizeof(uint64_t), FILL, m->length - sizeof(uint64_t)) ?
		       "done" :
		       "done, and lost";
}

static const char *protect_read(struct memory *m, long prot)
{
	if (mprotect(m->map, LENGTH, prot))
		return failed();
	return seen(first_word(m));
}

static const char *protect_write(struct memory *m, long prot)
{
	if (mprotect(m->map, LENGTH, prot))
		return failed();
	*(volatile uint64_t *)m->map = 0;
	return "written";
}

static const char *protect_back(struct memory *m, long arg)
{
	(void)arg;
	if (mprotect(m->map, LENGTH, PROT_NONE) ||
	    mprotect(m->map + PAGE, PAGE, PROT_READ) || mprotect(m->map, LENGTH, RW))
		return failed();
	return kept(m);
}

static const char *protect_exec(struct memory *m, long arg)
{
	(void)arg;
	return done_if(!mprotect(m->map, PAGE, PROT_READ | PROT_EXEC));
}

static void *somewhere(size_t length)
{
	return mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static const char *move(struct memory *m, long flags)
{
	void *to = mremap(m->map, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED | flags,
			  somewhere(LENGTH));

	if (to == MAP_FAILED)
		return failed();
	m->map = to;
	return kept(m);
}

static const char *grow(struct memory *m, long arg)
{
	void *to = mremap(m->map, LENGTH, 2 * LENGTH, MREMAP_MAYMOVE);

	(void)arg;
	if (to == MAP_FAILED)
		return failed();
	m->map = to;
	return m->map[LENGTH] ? "done" : "done, and zero";
}

static const char *again(struct memory *m, long arg)
{
	void *to = mremap(m->map, 0, LENGTH, MREMAP_MAYMOVE);

	(void)arg;
	if (to == MAP_FAILED)
		return failed();
	m->map = to;
	return kept(m);
}

static const char *shrink(struct memory *m, long arg)
{
	(void)arg;
	if (mremap(m->map, LENGTH, LENGTH / 2, 0) != m->map)
		return failed();
	m->length = LENGTH / 2;
	return kept(m);
}

static const char *unmap_part(struct memory *m, long arg)
{
	(void)arg;
	if (munmap(m->map + 2 * PAGE, 3 * PAGE))
		return failed();
	if (!all_are(m->map + PAGE, FILL, PAGE) ||
	    !all_are(m->map + 5 * PAGE, FILL, LENGTH - 5 * PAGE))
		return "done, and lost";
	return seen(first_word(m));
}

static const char *unmap_touch(struct memory *m, long arg)
{
	(void)arg;
	if (munmap(m->map + 2 * PAGE, 3 * PAGE))
		return failed();
	return m->map[2 * PAGE] == FILL ? "there" : "something else";
}

static const char *file_pages(struct memory *m, long arg)
{
	(void)arg;
	m->map[3 * PAGE] = 3;
	if (remap_file_pages(m->map, PAGE, 0, 3, 0))
		return failed();
	return m->map[0] == 3 ? "done" : "something else";
}

static const char *sync_to_file(struct memory *m, long flags)
{
	return done_if(!msync(m->map, LENGTH, flags));
}

static const char *seal(struct memory *m, long unmap)
{
	if (syscall(SYS_mseal, m->map, LENGTH, 0))
		return failed();
	if (unmap)
		return done_if(!munmap(m->map, LENGTH));
	return kept(m);
}

static const struct row rows[] = {
	ROW("`mmap` MAP_SHARED", map_with, "done", "done", "done", .arg = MAP_SHARED),
	ROW("`mmap` MAP_SHARED_VALIDATE", map_with, "done", "done", "done",
	    .arg = MAP_SHARED_VALIDATE),
	ROW("`mmap` MAP_PRIVATE", map_with, "EINVAL", "EINVAL", "done",
	    .arg = MAP_PRIVATE),
	ROW("`mmap` PROT_EXEC", map_prot, "EACCES or EPERM", "EPERM", "done",
	    .arg = PROT_READ | PROT_EXEC),
	ROW("`mmap` of a part, at an offset", map_part, "done", "done", "done", .arg = 4),
	ROW("`mmap` at an offset inside a page", map_unaligned, "EINVAL", "EINVAL",
	    "EINVAL", .arg = 17),
	ROW("`mmap` from the end on, and a touch", map_part, "EINVAL", "SIGBUS", "SIGBUS",
	    .arg = NR),
	ROW("`mmap` past the end, and a touch", map_longer, "EINVAL", "SIGBUS", "SIGBUS"),
	ROW("`mmap` twice", map_twice, "the same memory", "the same memory",
	    "the same memory"),
	ROW("what is there after `mmap`", resident, "all of it", "nothing", "nothing",
	    .bare = true),
	ROW("what is there after `mmap` MAP_POPULATE", resident, "all of it", "nothing",
	    "all of it", .arg = MAP_POPULATE, .bare = true),
	ROW("`mincore` of what was touched", in_core, "nothing or all of it", "all of it",
	    "all of it"),
	ROW("`mprotect` PROT_NONE, and a read", protect_read, "SIGSEGV", "SIGSEGV",
	    "SIGSEGV", .arg = PROT_NONE),
	ROW("`mprotect` PROT_READ, and a read", protect_read, "the secret", "the secret",
	    "the secret", .arg = PROT_READ),
	ROW("`mprotect` PROT_READ, and a write", protect_write, "SIGSEGV", "SIGSEGV",
	    "SIGSEGV", .arg = PROT_READ),
	ROW("`mprotect` none, of a part, and back", protect_back, "done", "done", "done"),
	ROW("`mprotect` PROT_EXEC", protect_exec, "EACCES", "EACCES", "done"),
	ROW("`mremap` to another place", move, "done", "done", "done"),
	ROW("`mremap` MREMAP_DONTUNMAP", move, "EINVAL", "done", "done",
	    .arg = MREMAP_DONTUNMAP),
	ROW("`mremap` to grow, and a touch", grow, "EFAULT", "SIGBUS", "SIGBUS"),
	ROW("`mremap` to shrink", shrink, "done", "done", "done"),
	ROW("`mremap` of size 0, a second mapping", again, "EFAULT", "done", "done"),
	ROW("`munmap` of a part: what is left", unmap_part, "the secret", "the secret",
	    "the secret"),
	ROW("`munmap` of a part: what is gone", unmap_touch, "SIGSEGV", "SIGSEGV",
	    "SIGSEGV"),
	ROW("`remap_file_pages`", file_pages, "done", "done", "done"),
	ROW("`msync` MS_SYNC", sync_to_file, "EINVAL", "EINVAL", "done", .arg = MS_SYNC),
	ROW("`mseal`", seal, "done", "done", "done", .absent = "ENOSYS"),
	ROW("`mseal`, and `munmap`", seal, "EPERM", "EPERM", "EPERM", .arg = 1,
	    .absent = "ENOSYS"),
};

ROWS_MAIN(rows)
