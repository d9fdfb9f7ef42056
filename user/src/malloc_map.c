// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Memory that code in a section maps by itself, as libsodium's argon2 does: not the
 * secret heap's, and mostly too large for it. It stays ordinary memory, of which the
 * caller may do all that mmap() lets it do; but a line says so, once, it is left out
 * of core dumps, and what was private is wiped as it is unmapped.
 *
 * Sees what is called by the names of mmap(), munmap() and mremap(): libc's own
 * mappings, its threads' stacks among them, are not. Never fails a call that the
 * kernel would not fail; but one that does fail may have wiped what it was to replace.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "malloc_place.h"

/*
 * What was mapped in sections. Without a lock, which a fork could leave taken: a free
 * entry is claimed by its start, and nobody but the claimer writes its end.
 */
#define MADE_MAX 256
#define MADE_FREE ((uintptr_t)0)
#define MADE_CLAIMED ((uintptr_t)1)

static struct {
	_Atomic uintptr_t start, end;
} made[MADE_MAX];
/* Above all entries ever used: 0 in a program that never maps in a section. */
static _Atomic size_t made_used;

static void *(*next_mmap)(void *, size_t, int, int, int, off_t);
static int (*next_munmap)(void *, size_t);
static void *(*next_mremap)(void *, size_t, size_t, int, ...);

/* Where liblethe's code is. */
static uintptr_t lethe_start;
static size_t lethe_size;

static void find_lethe(void)
{
	const Elf64_Phdr *segment;
	const Elf64_Ehdr *header;
	Dl_info info;
	size_t i;

	if (!dladdr((void *)lethe_malloc, &info))
		return;
	header = info.dli_fbase;
	segment = (const void *)((const char *)header + header->e_phoff);
	for (i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_flags & PF_X) {
			lethe_start = (uintptr_t)header + segment[i].p_vaddr;
			lethe_size = segment[i].p_memsz;
		}
}

static COLD void find_next(void)
{
	lethe_thread.paused++;
	find_lethe();
	__atomic_store_n(&next_munmap, dlsym(RTLD_NEXT, "munmap"), __ATOMIC_RELAXED);
	__atomic_store_n(&next_mremap, dlsym(RTLD_NEXT, "mremap"), __ATOMIC_RELAXED);
	/* The last: whoever sees it sees all. */
	__atomic_store_n(&next_mmap, dlsym(RTLD_NEXT, "mmap"), __ATOMIC_RELEASE);
	lethe_thread.paused--;
	if (!next_mmap || !next_munmap || !next_mremap)
		die("libc has no mmap, munmap or mremap");
}

static inline void need_next(void)
{
	if (unlikely(!__atomic_load_n(&next_mmap, __ATOMIC_ACQUIRE)))
		find_next();
}

/* Before there is a section that could be in the way of the loader. */
static COLD __attribute__((constructor)) void find_at_start(void)
{
	need_next();
}

static bool remember(uintptr_t start, uintptr_t end)
{
	uintptr_t expected;
	size_t i, used;

	for (i = 0; i < MADE_MAX; i++) {
		expected = MADE_FREE;
		if (!atomic_compare_exchange_strong(&made[i].start, &expected,
						    MADE_CLAIMED))
			continue;
		atomic_store(&made[i].end, end);
		used = atomic_load(&made_used);
		while (used < i + 1 &&
		       !atomic_compare_exchange_weak(&made_used, &used, i + 1))
			;
		atomic_store(&made[i].start, start);
		return true;
	}
	return false;
}

/* Wipes what is there of it and can be written. */
static void erase(uintptr_t start, uintptr_t end)
{
	int err = lethe_wipe_stack(0, (void *)start, end - start);

	if (err)
		message("memory that was mapped in a section is not wiped (%s)",
			strerrordesc_np(-err));
}

static COLD void say_unwiped(void)
{
	message("memory that was mapped in a section is not wiped (there is too much of it)");
}

/* An entry that is claimed, without [start, end): what is left of it at either side. */
static void cut(size_t i, uintptr_t from, uintptr_t start, uintptr_t end)
{
	uintptr_t to = atomic_load(&made[i].end);

	if (from < start) {
		atomic_store(&made[i].end, start);
		atomic_store(&made[i].start, from);
		if (to > end && !remember(end, to))
			say_unwiped();
	} else {
		atomic_store(&made[i].start, to > end ? end : MADE_FREE);
	}
}

/* [start, end) is about to be another's. What of it is remembered, and wiped first? */
static void forget(uintptr_t start, uintptr_t end, bool wipe)
{
	size_t i, used = atomic_load(&made_used);
	uintptr_t from, to;

	for (i = 0; i < used; i++) {
		from = atomic_load(&made[i].start);
		if (from <= MADE_CLAIMED || from >= end ||
		    atomic_load(&made[i].end) <= start)
			continue;
		/* Else another thread unmaps the same. */
		if (!atomic_compare_exchange_strong(&made[i].start, &from, MADE_CLAIMED))
			continue;
		/* It may have become another entry since it was looked at. */
		to = atomic_load(&made[i].end);
		if (to <= start) {
			atomic_store(&made[i].start, from);
			continue;
		}
		if (wipe)
			erase(from > start ? from : start, to < end ? to : end);
		cut(i, from, start, end);
	}
}

/*
 * By liblethe itself: secret pages, or what the heap knows of them. It may hold the
 * heap's lock, so that there must be no asking of the loader here, which has one too.
 */
static bool is_lethes(const void *start, const void *caller)
{
	return space_contains(start) || (uintptr_t)caller - lethe_start < lethe_size;
}

static COLD void say(const void *caller, size_t length, bool remembered)
{
	static bool said[2];
	const char *name = "a function", *slash;
	Dl_info info;

	if (__atomic_exchange_n(&said[remembered], true, __ATOMIC_RELAXED))
		return;
	if (dladdr(caller, &info) && info.dli_fname) {
		slash = strrchr(info.dli_fname, '/');
		name = slash ? slash + 1 : info.dli_fname;
	}
	message("%s maps %zu bytes by itself in a section: ordinary memory, %s", name,
		length,
		remembered ? "wiped when it is unmapped" : "that nobody will wipe");
}

static inline bool in_section(void)
{
	return unlikely(lethe_thread.depth) &&
	       __atomic_load_n(&malloc_place, __ATOMIC_RELAXED) == PLACE_FRONT &&
	       lethe_enabled();
}

static COLD void mapped_in_section(void *start, size_t length, int flags,
				   const void *caller)
{
	uintptr_t end = (uintptr_t)start + round_up(length, PAGE);
	bool remembered = false;

	/* Memory that others share stays as it is for them. */
	if (flags & MAP_PRIVATE)
		remembered = remember((uintptr_t)start, end);
	madvise(start, length, MADV_DONTDUMP);
	say(caller, length, remembered);
}

static void *map(void *address, size_t length, int protection, int flags, int fd,
		 off_t offset, const void *caller)
{
	int saved = errno;
	void *start;

	need_next();
	if (unlikely(flags & MAP_FIXED && atomic_load(&made_used)))
		forget((uintptr_t)address, (uintptr_t)address + round_up(length, PAGE),
		       true);
	start = next_mmap(address, length, protection, flags, fd, offset);
	if (start == MAP_FAILED)
		return start;
	/* Unmapped by another way, and there again: what is known of it is past. */
	if (unlikely(atomic_load(&made_used)))
		forget((uintptr_t)start, (uintptr_t)start + round_up(length, PAGE),
		       false);
	if (flags & MAP_ANONYMOUS && !is_lethes(start, caller) && in_section()) {
		mapped_in_section(start, length, flags, caller);
		errno = saved;
	}
	return start;
}

PUBLIC void *mmap(void *address, size_t length, int protection, int flags, int fd,
		  off_t offset)
{
	return map(address, length, protection, flags, fd, offset,
		   __builtin_return_address(0));
}

/* The same, where off_t has 64 bits. */
PUBLIC void *mmap64(void *address, size_t length, int protection, int flags, int fd,
		    off64_t offset)
{
	return map(address, length, protection, flags, fd, offset,
		   __builtin_return_address(0));
}

PUBLIC int munmap(void *start, size_t length)
{
	int saved = errno;

	need_next();
	if (unlikely(atomic_load(&made_used)) && !((uintptr_t)start % PAGE))
		forget((uintptr_t)start, (uintptr_t)start + round_up(length, PAGE), true);
	errno = saved;
	return next_munmap(start, length);
}

static bool is_remembered(uintptr_t start, uintptr_t end)
{
	size_t i, used = atomic_load(&made_used);

	for (i = 0; i < used; i++)
		if (atomic_load(&made[i].start) > MADE_CLAIMED &&
		    atomic_load(&made[i].start) < end &&
		    atomic_load(&made[i].end) > start)
			return true;
	return false;
}

/* It moves pages, and leaves no copy of them; a part that it cuts off is wiped. */
PUBLIC void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
	uintptr_t start = (uintptr_t)old, end = start + round_up(old_size, PAGE);
	bool ours = unlikely(atomic_load(&made_used)) && is_remembered(start, end);
	void *target, *now;
	int saved = errno;
	va_list args;

	va_start(args, flags);
	target = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? va_arg(args, void *) : NULL;
	va_end(args);
	need_next();
	if (ours && new_size && new_size < old_size && !(start % PAGE))
		forget(start + round_up(new_size, PAGE), end, true);
	if (flags & MREMAP_FIXED && atomic_load(&made_used))
		forget((uintptr_t)target, (uintptr_t)target + round_up(new_size, PAGE),
		       true);
	errno = saved;
	now = next_mremap(old, old_size, new_size, flags, target);
	if (now == MAP_FAILED || !ours)
		return now;
	if (!(flags & MREMAP_DONTUNMAP))
		forget(start, end, false);
	if (!remember((uintptr_t)now, (uintptr_t)now + round_up(new_size, PAGE)))
		say_unwiped();
	errno = saved;
	return now;
}
