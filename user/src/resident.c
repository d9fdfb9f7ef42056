// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A wipe, from user space, of what there is of a range of this process's memory: it
 * zeroes what is in memory, gives up what is swapped out, and makes nothing that was
 * not there. The zeros are written by the kernel, as by a read(2): what cannot be
 * written is an EFAULT there, and no SIGSEGV. Never writes to a file on a disk, and
 * never reads a secret into a register.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"
#include "mapping.h"
#include "resident.h"

/* /proc/self/pagemap: a word a page. */
#define PAGE_EXCLUSIVE (1ULL << 56) /* in no other process, and no zero page */
#define PAGE_GUARD (1ULL << 58)     /* MADV_GUARD_INSTALL; said since Linux 6.15 */
#define PAGE_FILE (1ULL << 61)
#define PAGE_SWAPPED (1ULL << 62) /* or on the move in memory */
#define PAGE_PRESENT (1ULL << 63)

/* As many words as one call asks for, and as few as stay on the stack. */
#define MANY 2048
#define FEW 64
#define ROOM (MANY * sizeof(uint64_t))

/* Worth a call more. */
#define LONG (16 * KIB)

/* Of no address that a process of today's processors can have. */
#define LONGEST ((size_t)1 << 30)

/* What is to be done about a page. */
enum state { NOTHING, WRITE, LOOK, MISSING, GUARD };

/* wipe_mapping() and below it: there is no use in going on. */
#define STOP 1

/**
 * struct wiper - one wipe
 * @zero: a file of zeros
 * @pagemap: or -errno, where mincore(2) has to do
 * @words: room for @room words
 * @stops: where something cannot be written, what is below is another's
 */
struct wiper {
	int zero, pagemap;
	uint64_t *words;
	size_t room;
	bool stops;
	uint64_t few[FEW];
};

/* Whoever made a file of this name is not asked for zeros. */
static int open_zero(void)
{
	struct stat info;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (!fstat(fd, &info) && S_ISCHR(info.st_mode) &&
		    info.st_rdev == makedev(1, 5))
			return fd;
		close(fd);
	}
	/* A file that is all hole. */
	fd = memfd_create("zero", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, LONGEST) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* 0; or STOP. Not by libc, whose pread() a tool would have look at dead stack. */
static int zero(const struct wiper *wiper, uintptr_t at, uintptr_t end)
{
	while (at < end) {
		long n = syscall(SYS_pread64, wiper->zero, at,
				 end - at < LONGEST ? end - at : LONGEST, 0L);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && wiper->stops)
			return STOP;
		at = n > 0 ? at + (size_t)n : (at | (PAGE - 1)) + 1;
	}
	return 0;
}

/*
 * Pages in memory that are nobody else's. The kernel is half as fast as we are: it
 * shows of the first byte that all of such a mapping can be written. A file's mapping
 * can change under our hands.
 */
static int zero_run(const struct wiper *wiper, const struct mapping *mapping,
		    uintptr_t at, uintptr_t end)
{
	if (mapping->file || end - at < LONG ||
	    syscall(SYS_pread64, wiper->zero, at, 1L, 0L) != 1)
		return zero(wiper, at, end);
	lethe_wipe((void *)at, end - at);
	return 0;
}

/* The kernel reads a word, and wakes nobody. */
bool resident_can_be_read(uintptr_t at)
{
	static uint32_t nobody;

	return syscall(SYS_futex, at & ~(uintptr_t)3, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0L,
		       &nobody, 0) >= 0 ||
	       errno != EFAULT;
}

/* Is any byte not zero? Memory is compared, not loaded. */
static bool is_any_set(uintptr_t at, uintptr_t end)
{
	size_t left = end - at;
	bool set = false;

	if (at % sizeof(uint64_t) == 0 && left % sizeof(uint64_t) == 0) {
		left /= sizeof(uint64_t);
		__asm__ volatile("repe scasq"
				 : "+D"(at), "+c"(left), "=@ccne"(set)
				 : "a"(0)
				 : "memory");
	} else if (left) {
		__asm__ volatile("repe scasb"
				 : "+D"(at), "+c"(left), "=@ccne"(set)
				 : "a"(0)
				 : "memory");
	}
	return set;
}

/* Pages that may be the zero page, which is not to be written to. */
static int look(const struct wiper *wiper, uintptr_t at, uintptr_t end)
{
	uintptr_t next;
	int err = 0;

	if (!resident_can_be_read(at))
		return wiper->stops ? STOP : 0;
	for (; at < end && !err; at = next) {
		next = (at | (PAGE - 1)) + 1;
		if (next > end)
			next = end;
		if (is_any_set(at, next))
			err = zero(wiper, at, next);
	}
	return err;
}

/* What is not in the page table, a part of a page: to be read back. */
static int fetch(const struct wiper *wiper, uintptr_t at, uintptr_t end)
{
	/* There may be nothing to read back: that is not known of a page. */
	return wiper->pagemap < 0 ? look(wiper, at, end) : zero(wiper, at, end);
}

/* Whole pages that are not in memory. */
static int drop(const struct wiper *wiper, const struct mapping *mapping, uintptr_t at,
		uintptr_t end)
{
	int advice = mapping->shared ? MADV_REMOVE : MADV_DONTNEED;

	if (at == end)
		return 0;
	/* What a page of a file was before it was written to would be there again. */
	if (!mapping->shared && mapping->file)
		return fetch(wiper, at, end);
	if (!madvise((void *)at, end - at, advice))
		return 0;
	/* Of a kind that is not swapped. */
	if (errno == EOPNOTSUPP)
		return 0;
	return fetch(wiper, at, end);
}

/*
 * Not in the page table: what the kernel has in memory all the same is zeroed there,
 * and the rest is dropped. (A page on the move is in memory, but in no table.)
 */
static int wipe_missing(const struct wiper *wiper, const struct mapping *mapping,
			uintptr_t at, uintptr_t end)
{
	unsigned char resident[FEW];
	uintptr_t page, next, dropped;
	size_t n, i;
	int err;

	page = at & ~(PAGE - 1);
	for (; page < end; page += n * PAGE) {
		n = (round_up(end, PAGE) - page) / PAGE;
		if (n > FEW)
			n = FEW;
		/* Gone since it was seen; or nobody may ask. */
		if (mincore((void *)page, n * PAGE, resident) < 0)
			return errno == ENOMEM ? 0 : -errno;
		dropped = page < at ? at : page;
		for (i = 0; i < n; i++) {
			uintptr_t first = page + i * PAGE;

			next = first + PAGE;
			if (first >= at && next <= end && !(resident[i] & 1))
				continue;
			err = drop(wiper, mapping, dropped, first < at ? at : first);
			if (!err)
				err = fetch(wiper, first < at ? at : first,
					    next < end ? next : end);
			if (err)
				return err;
			dropped = next;
		}
		next = page + n * PAGE;
		if (dropped < next) {
			err = drop(wiper, mapping, dropped, next);
			if (err)
				return err;
		}
	}
	return 0;
}

static int wipe_run(const struct wiper *wiper, const struct mapping *mapping,
		    enum state state, uintptr_t at, uintptr_t end)
{
	switch (state) {
	case WRITE:
		return zero_run(wiper, mapping, at, end);
	case LOOK:
		return look(wiper, at, end);
	case MISSING:
		return wipe_missing(wiper, mapping, at, end);
	case GUARD:
		return wiper->stops ? STOP : 0;
	default:
		return 0;
	}
}

static enum state state_of(const struct mapping *mapping, uint64_t word)
{
	if (word & PAGE_GUARD)
		return GUARD;
	if (word & PAGE_PRESENT) {
		if (mapping->shared)
			return WRITE;
		return (word & (PAGE_EXCLUSIVE | PAGE_FILE)) == PAGE_EXCLUSIVE ? WRITE :
										 LOOK;
	}
	/* Shared memory is missed here whenever another, or nobody, uses it. */
	return word & PAGE_SWAPPED || mapping->shared ? MISSING : NOTHING;
}

/* What the page table would say, as far as mincore() knows it. */
static int ask_mincore(uint64_t *words, uintptr_t page, size_t pages)
{
	unsigned char resident[FEW];
	size_t i, n;

	for (; pages; pages -= n, page += n * PAGE) {
		n = pages < FEW ? pages : FEW;
		if (mincore((void *)page, n * PAGE, resident) < 0)
			return -errno;
		for (i = 0; i < n; i++)
			*words++ = resident[i] & 1 ? PAGE_PRESENT | PAGE_FILE :
						     PAGE_SWAPPED;
	}
	return 0;
}

static int ask(const struct wiper *wiper, uintptr_t page, size_t pages)
{
	ssize_t n, size = (ssize_t)(pages * sizeof(*wiper->words));

	if (wiper->pagemap < 0)
		return ask_mincore(wiper->words, page, pages);
	do {
		n = pread(wiper->pagemap, wiper->words, (size_t)size,
			  (off_t)(page / PAGE * sizeof(*wiper->words)));
	} while (n < 0 && errno == EINTR);
	if (n != size)
		return n < 0 ? -errno : -EIO;
	return 0;
}

/* From the top down, as a stack is. 0, STOP or -errno. */
static int wipe_mapping(const struct wiper *wiper, const struct mapping *mapping,
			uintptr_t start, uintptr_t end)
{
	uintptr_t low, high, bottom = start & ~(PAGE - 1), top = round_up(end, PAGE);
	size_t pages, first, i;
	enum state state;
	int err;

	for (; top > bottom; top -= pages * PAGE) {
		pages = (top - bottom) / PAGE;
		if (pages > wiper->room)
			pages = wiper->room;
		err = ask(wiper, top - pages * PAGE, pages);
		if (err)
			return err;
		for (i = pages; i > 0; i = first) {
			state = state_of(mapping, wiper->words[i - 1]);
			for (first = i - 1; first > 0; first--)
				if (state_of(mapping, wiper->words[first - 1]) != state)
					break;
			low = top - (pages - first) * PAGE;
			high = top - (pages - i) * PAGE;
			err = wipe_run(wiper, mapping, state, low < start ? start : low,
				       high > end ? end : high);
			if (err)
				return err;
		}
	}
	return 0;
}

static int wipe_mappings(const struct wiper *wiper, struct mappings *mappings,
			 uintptr_t start, uintptr_t end)
{
	struct mapping mapping;
	int err;

	for (; start < end; start = mapping.end) {
		err = mappings_find(mappings, start, &mapping);
		if (err <= 0)
			return err;
		if (mapping.start >= end)
			return 0;
		if (!mapping.writable ||
		    (mapping.shared && mapping.file && !mapping_is_memory(&mapping)))
			continue;
		err = wipe_mapping(wiper, &mapping,
				   mapping.start < start ? start : mapping.start,
				   mapping.end > end ? end : mapping.end);
		/* A mapping that went away meanwhile has nothing to wipe. */
		if (err && err != -ENOMEM)
			return err;
	}
	return 0;
}

/* Where there is no /proc: of what a range is, is only known what it cannot be. */
static int wipe_known(const struct wiper *wiper, uintptr_t start, uintptr_t end)
{
	const struct thread *thread = &lethe_thread;
	struct mapping mapping = { .start = start, .end = end, .writable = true };

	mapping.shared = mapping.file = space_contains((void *)start);
	if (!(mapping.shared && space_contains((void *)(end - 1))) &&
	    !(thread_owns(thread, (void *)start) &&
	      thread_owns(thread, (void *)(end - 1))))
		return -EOPNOTSUPP;
	return wipe_mapping(wiper, &mapping, start, end);
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static int wipe_by(struct wiper *wiper, uintptr_t start, uintptr_t end)
{
	struct mappings mappings;
	int err;

	err = mappings_open(&mappings);
	if (is_shortage(err))
		return err;
	err = err ? wipe_known(wiper, start, end) :
		    wipe_mappings(wiper, &mappings, start, end);
	mappings_close(&mappings);
	return err == STOP ? 0 : err;
}

/* A stack may be small: what is large is not put there. */
static void *make_room(struct wiper *wiper, uintptr_t start, uintptr_t end)
{
	void *room = MAP_FAILED;

	wiper->words = wiper->few;
	wiper->room = FEW;
	if ((end - start) / PAGE > FEW)
		room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* In a hole of the range it would be wiped itself. */
	if (room == MAP_FAILED ||
	    ((uintptr_t)room < end && (uintptr_t)room + ROOM > start))
		return room;
	wiper->words = room;
	wiper->room = MANY;
	return room;
}

int resident_wipe(uintptr_t start, uintptr_t end, bool stops)
{
	struct wiper wiper;
	void *room;
	int err;

	wiper.stops = stops;
	wiper.zero = open_zero();
	if (wiper.zero < 0)
		return wiper.zero;
	wiper.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (wiper.pagemap < 0)
		wiper.pagemap = -errno;
	if (is_shortage(wiper.pagemap)) {
		err = wiper.pagemap;
	} else {
		room = make_room(&wiper, start, end);
		err = wipe_by(&wiper, start, end);
		if (room != MAP_FAILED)
			munmap(room, ROOM);
	}
	if (wiper.pagemap >= 0)
		close(wiper.pagemap);
	close(wiper.zero);
	return err;
}
