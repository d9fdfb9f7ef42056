// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * liblethe-malloc's place among the allocators of the process. A secret block that
 * came to another's free() would end the program, and one of another's that came to
 * libc's too: so where a sanitizer, Valgrind or another allocator serves malloc(), or
 * is there to serve a part of it, nothing is redirected, and a line says so.
 *
 * Found out by calling the functions that the program has, once, before its main():
 * whether a call arrives here is the one thing that counts, and nothing else that can
 * be asked tells it of Valgrind, or of a library that only counts calls and passes
 * them on. Never changes who serves what; it only steps aside.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "malloc_place.h"

enum place malloc_place;

static size_t (*usable_size)(void *block);
static void *(*aligned_allocation)(size_t alignment, size_t size);

/* The thread that is asking, and whether its call has arrived. */
static struct thread *asking;
static bool arrived;

/* Where an address is of, by the start of its object; NULL of none. */
static const void *object_of(const void *address, const char **name)
{
	Dl_info info;

	if (!address || !dladdr(address, &info))
		return NULL;
	if (name) {
		*name = strrchr(info.dli_fname, '/');
		*name = *name ? *name + 1 : info.dli_fname;
	}
	return info.dli_fbase;
}

/*
 * Of the very object that __libc_malloc() is of: an allocator that has that name too
 * serves what is outside of sections, and it is its own blocks that it knows.
 */
static void *find_beside_libc_malloc(const char *name)
{
	const void *where = object_of((void *)__libc_malloc, NULL);
	void *symbol = dlsym(RTLD_NEXT, name), *object;
	Dl_info info;

	if (symbol && object_of(symbol, NULL) == where)
		return symbol;
	symbol = NULL;
	if (dladdr((void *)__libc_malloc, &info)) {
		object = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
		if (object)
			symbol = dlsym(object, name);
	}
	if (!symbol)
		die("there is no %s() with the libc that is here", name);
	return symbol;
}

void *next_function(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		die("there is no %s() but liblethe-malloc's", name);
	return symbol;
}

size_t libc_usable_size(void *block)
{
	if (unlikely(!__atomic_load_n(&usable_size, __ATOMIC_ACQUIRE)))
		place_find();
	return usable_size(block);
}

void *libc_aligned_alloc(size_t alignment, size_t size)
{
	if (unlikely(!__atomic_load_n(&usable_size, __ATOMIC_ACQUIRE)))
		place_find();
	return aligned_allocation(alignment, size);
}

/* Did the call in between come here? As in a section, which is asked about first. */
#define ARRIVES(call)                                \
	({                                           \
		arrived = false;                     \
		lethe_thread.depth++;                \
		call;                                \
		__asm__ volatile("" : : : "memory"); \
		lethe_thread.depth--;                \
		arrived;                             \
	})

/*
 * Of a function that a program at a fixed place has the address of: it is the program's
 * by its address, and only jumps to the one that is bound.
 */
static bool is_linkers(const void *function)
{
	const Elf64_Sym *symbol = NULL;
	Dl_info info;

	return dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol &&
	       symbol->st_shndx == SHN_UNDEF;
}

/*
 * Of whoever passes calls on, after doing something to them, perhaps to the block's
 * address.
 */
static bool is_passed_on(const void *function)
{
	return object_of(function, NULL) != object_of(&malloc_place, NULL) &&
	       !is_linkers(function);
}

/* NULL, or a function that another one serves; what it gave is left to be. */
static const char *served_by_another(void)
{
	void *(*program_malloc)(size_t) = dlsym(RTLD_DEFAULT, "malloc");
	void *(*program_calloc)(size_t, size_t) = dlsym(RTLD_DEFAULT, "calloc");
	void *(*program_realloc)(void *, size_t) = dlsym(RTLD_DEFAULT, "realloc");
	void *(*program_aligned)(size_t, size_t) = dlsym(RTLD_DEFAULT, "aligned_alloc");
	void *(*program_memalign)(size_t, size_t) = dlsym(RTLD_DEFAULT, "memalign");
	int (*program_posix)(void **, size_t, size_t) = dlsym(RTLD_DEFAULT,
							      "posix_memalign");
	void (*program_free)(void *) = dlsym(RTLD_DEFAULT, "free");
	void *block = NULL;

	if (!ARRIVES(block = program_malloc(1))) {
		program_free(block);
		return "malloc";
	}
	if (!ARRIVES(program_free(block)) || is_passed_on(program_free))
		return "free";
	if (is_passed_on(program_malloc))
		return "malloc";
	if (!ARRIVES(block = program_calloc(1, 1)))
		return "calloc";
	program_free(block);
	if (!ARRIVES(block = program_realloc(NULL, 1)))
		return "realloc";
	program_free(block);
	if (!ARRIVES(block = program_aligned(64, 64)))
		return "aligned_alloc";
	program_free(block);
	if (!ARRIVES(block = program_memalign(64, 64)))
		return "memalign";
	program_free(block);
	if (!ARRIVES(if (program_posix(&block, 64, 64)) block = NULL))
		return "posix_memalign";
	program_free(block);
	return NULL;
}

/* By what each of them cannot be without. */
static const char *sanitizer(void)
{
	static const struct {
		const char *symbol, *name;
	} known[] = {
		{ "__asan_init", "AddressSanitizer" },
		{ "__hwasan_init", "HWAddressSanitizer" },
		{ "__tsan_init", "ThreadSanitizer" },
		{ "__msan_init", "MemorySanitizer" },
		{ "__lsan_init", "LeakSanitizer" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (dlsym(RTLD_DEFAULT, known[i].symbol))
			return known[i].name;
	return NULL;
}

/* Not to whoever has more rights than the one who set up what it is about. */
#define SAY(...)                              \
	do {                                  \
		if (!getauxval(AT_SECURE))    \
			message(__VA_ARGS__); \
	} while (0)

#ifdef LETHE_ALL
static const char aside[] =
	"the program is not run, for its heap would be ordinary memory";
#else
static const char aside[] =
	"liblethe-malloc steps aside, so what is allocated in sections is ordinary memory";
#endif

/*
 * Who else has a malloc(), from a place in the order of search on: the name of a file,
 * or NULL. libc_malloc_debug.so's is found by libc's version of it alone.
 */
static const char *another_from(void *place, bool versioned)
{
	const void *libc = object_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), NULL);
	void *found = versioned ? dlvsym(place, "malloc", "GLIBC_2.2.5") :
				  dlsym(place, "malloc");
	const char *owner = NULL;

	if (!found || is_linkers(found))
		return NULL;
	return object_of(found, &owner) != libc ? owner : NULL;
}

/* With PLACE_BEHIND: whose is it? */
static const char *owner_of(const char *function)
{
	const char *name = sanitizer(), *owner = NULL;

	if (name)
		return name;
	/* It is this library's, and yet the call did not arrive. */
	if (object_of(dlsym(RTLD_DEFAULT, function), &owner) ==
	    object_of(&malloc_place, NULL))
		return "Valgrind or the like";
	return owner ? owner : "another";
}

/*
 * Whoever linked or preloaded liblethe-malloc goes on without; who asked for a program
 * with all of its heap on secret pages gets no other.
 */
static COLD enum place step_aside(enum place place)
{
#ifdef LETHE_ALL
	_exit(125);
#endif
	return place;
}

static enum place ask(void)
{
	const char *another = served_by_another();
	const char *behind = another_from(RTLD_NEXT, false), *name;

	name = another ? owner_of(another) : NULL;
	if (!behind)
		behind = another_from(RTLD_NEXT, true);
	if (!name && !behind) {
		another = "malloc";
		name = another_from(RTLD_DEFAULT, true);
	}
	if (name) {
		SAY("%s() is served by %s: %s", another, name, aside);
		return step_aside(PLACE_BEHIND);
	}
	if (behind) {
		SAY("%s is there to serve malloc() too: %s", behind, aside);
		return step_aside(PLACE_SHARED);
	}
	return PLACE_FRONT;
}

/* No handler of the program's sees what is no section. */
static void find(void)
{
	int saved = errno;
	sigset_t all, mask;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask);
	/* What dlsym() allocates, it keeps: not on the secret heap. */
	lethe_thread.paused++;
	aligned_allocation = find_beside_libc_malloc("aligned_alloc");
	/* The last: whoever sees it sees both. */
	__atomic_store_n(&usable_size, find_beside_libc_malloc("malloc_usable_size"),
			 __ATOMIC_RELEASE);
	__atomic_store_n(&malloc_place, ask(), __ATOMIC_RELEASE);
	lethe_thread.paused--;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
}

enum place place_find(void)
{
	enum place place = PLACE_UNKNOWN;

	if (__atomic_compare_exchange_n(&malloc_place, &place, PLACE_ASKING, false,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&asking, &lethe_thread, __ATOMIC_RELAXED);
		find();
		__atomic_store_n(&asking, NULL, __ATOMIC_RELAXED);
		return malloc_place;
	}
	if (__atomic_load_n(&asking, __ATOMIC_RELAXED) == &lethe_thread) {
		/* Ordinary, and libc's, for as long. */
		arrived = true;
		return PLACE_SHARED;
	}
	while ((place = __atomic_load_n(&malloc_place, __ATOMIC_ACQUIRE)) == PLACE_ASKING)
		sched_yield();
	return place;
}

/* Who comes before the constructor asks for itself. */
static COLD __attribute__((constructor)) void find_at_start(void)
{
	if (malloc_place == PLACE_UNKNOWN)
		place_find();
}
