/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of liblethe know of each other, and nobody else does.
 *
 * Layers, each of which calls only those above it:
 *	message.c wipe.c	a line to stderr, an abort; wiping, copying
 *	cancel.c	no cancellation of the thread for a while
 *	tools.c		ASan and Valgrind are told of stacks
 *	backend*.c	secret pages from the kernel, at an address asked for
 *	space.c		one reservation of address space; what lies where
 *	inherit.c	a fork's child that gets a copy of the heap after all
 *	stack.c heap*.c	secret stacks, the secret heap (see heap.h)
 *	buffer*.c	guarded buffers (which seal theirs in a section)
 *	revoked.c	all of it taken away by the kernel
 *	signal_stack.c	where handlers run while a section is open
 *	signal_frame.c	what the kernel puts there
 *	signal_mask.c	no handlers at all
 *	options.c	what a section is asked for
 *	kernel.c overwrite.c	its copies of the registers, erased
 *	mapping.c	what /proc says of the process's memory
 *	resident.c	a wipe of what is there of a range
 *	wipe_stack.c	dead stacks
 *	overflow.c	a message for a stack that was too small
 *	fatal.c		no registers of a section in a core dump
 *	section.c enabled.c	lethe_do, and whether this code is in one
 *	thread.c fork.c	what threads and forks mean for all of it
 */
#ifndef LETHE_INTERNAL_H
#define LETHE_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lethe.h"

#define PUBLIC __attribute__((visibility("default")))
#define COLD __attribute__((cold))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * KIB)

#define CACHE_LINE 64

/* x86-64 has no other, and the module says so in QUERY. */
#define PAGE ((size_t)4096)

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* message.c: neither allocates, so both serve inside malloc(). */
COLD void message(const char *format, ...) PRINTF_LIKE(1, 2);
COLD _Noreturn void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* wipe.c: lethe_wipe(), called without a detour. */
void wipe_memory(void *start, size_t length);
/* memcpy(), which would leave the last of it in vector registers. */
void copy_secret(void *to, const void *from, size_t length);

/**
 * struct cancellable - whether, and how, a thread can be cancelled
 * @state: see pthread_setcancelstate(3)
 * @type: see pthread_setcanceltype(3)
 */
struct cancellable {
	int state, type;
};

/* cancel.c: not in between; after it as it was. Nests. */
void cancel_hold(struct cancellable *was);
void cancel_release(const struct cancellable *was);

/**
 * struct backend - where secret pages come from
 * @name: as LETHE_BACKEND and lethe_backend() have it
 * @level: what its pages promise
 * @probe: can this machine and process use it at all? 0 or -errno
 * @map: put @length bytes of zeroed secret pages at @address, all of them
 *	present, so that no later touch can fail; MAP_FIXED over a part of the
 *	reservation. 0 or -errno, and then the part is as it was
 * @copy_make: room for a copy of @length bytes, all of it present, that a fork's
 *	child can map: a descriptor, or -errno. NULL: fork() itself can be let copy
 * @copy_fill: copy @from into it. 0 or -errno
 * @copy_allow: without @copy_make: have fork() copy this, or, as ever, not. 0 or
 *	-errno
 * @copy_adopt: in the child, where nothing is at @address, or what fork() copied:
 *	put the copy there as @map would, but for its zeroes. 0 or -errno
 *
 * Pages go back by mapping PROT_NONE over them, after a wipe (space.c).
 */
struct backend {
	const char *name;
	enum lethe_level level;
	int (*probe)(void);
	int (*map)(void *address, size_t length);
	int (*copy_make)(size_t length);
	int (*copy_fill)(int copy, const void *from, size_t length);
	int (*copy_allow)(void *address, size_t length, bool allow);
	int (*copy_adopt)(void *address, size_t length, int copy);
};

extern const struct backend backend_kmod, backend_memfd_secret, backend_mlock;

/* backend.c: the one in use; NULL and *@err = -errno where there is none. */
const struct backend *backend_get(int *err);
/*
 * What serves the heap where that one has no more (LETHE_OVERFLOW), of a lower level;
 * NULL if nothing shall.
 */
const struct backend *backend_overflow(void);

/*
 * space.c: all secret memory lies in one reservation of address space, so that
 * "is this pointer secret" is one subtraction and one compare. Its unit is the
 * chunk of 64 KiB; whatever is mapped starts at a chunk and has at least a page
 * of nothing before and after it.
 */
#define CHUNK (64 * KIB)

/*
 * What no frame of a function jumps over: as much as the kernel keeps free below
 * a stack of its own making.
 */
#define STACK_GUARD MIB

/*
 * Zeroed secret pages; @length a multiple of PAGE. At least @guard bytes, a multiple
 * of CHUNK, of nothing lie before them. NULL and errno.
 */
void *space_map(size_t length, size_t guard);
/* The same without a guard, aligned to @alignment; or by backend_overflow(). */
void *space_map_heap(size_t length, size_t alignment, bool overflow);
/* Wipes, then gives the pages back. */
void space_unmap(void *start, size_t length, size_t guard);
/* Of zeroed pages, which nobody need be able to touch; of lost ones, it does nothing. */
void space_unmap_wiped(void *start, size_t length, size_t guard);
/*
 * The kernel has revoked every mapping (see LETHE_IOC_CREATE): as in a fork's
 * child, nothing is mapped from now on, and no address is handed out again.
 */
void space_lose_all(void);
/* For backends: put nothing at a part of the reservation. 0 or -errno. */
int space_reserve(void *start, size_t length);
/*
 * Of the mappings without a guard, in the order of their addresses, the first that
 * starts at @from or later: the heap's, since a stack has one. Between
 * space_fork_prepare() and what follows it.
 */
bool space_next_unguarded(const void *from, char **start, size_t *length);
/* Bytes of secret pages. Exported, for liblethe-run alone. */
PUBLIC size_t lethe_space_mapped(void);

/* Both 0 before the first space_map(). Exported, for liblethe-malloc alone. */
extern PUBLIC uintptr_t lethe_space_base;
extern PUBLIC size_t lethe_space_size;

/* Is it inside the reservation, mapped or not? Safe anywhere. */
static inline bool space_contains(const void *p)
{
	return (uintptr_t)p - lethe_space_base < lethe_space_size;
}

/*
 * In a fork's child nothing is mapped, and addresses handed out before it are
 * never handed out again, so that a parent's pointer is known for one.
 */
bool space_lost(const void *p);

/**
 * struct stack - a stack of secret pages
 * @next: in the pool, or in the list of what a thread keeps
 * @start: the lowest byte; STACK_GUARD bytes of nothing lie below it
 * @size: bytes
 * @generation: it is lost, pages and all, if revoked_generation() has moved on
 * @watched: the number that a tool knows it by
 * @downwards: it was wiped in this direction last
 *
 * All zero but while something runs on it. The description is written at each wipe:
 * no two threads' share a cache line.
 */
struct stack {
	struct stack *next;
	char *start;
	size_t size;
	unsigned int generation;
	unsigned long watched;
	bool downwards;
} __attribute__((aligned(CACHE_LINE)));

#define STACK_SIZE (256 * KIB)
/* Room for a frame with every register of today's processors in it. */
#define STACK_SIZE_MIN (8 * KIB)
#define STACK_SIZE_MAX (64 * MIB)

/**
 * struct signal_stack - where handlers with SA_ONSTACK run while a section is open
 * @stand_in: takes the place of the program's alternate stack
 * @programs: what it takes the place of: perhaps nothing (SS_DISABLE)
 * @standing_in: it does so now
 * @set_inside: it was replaced by the section that was left last
 */
struct signal_stack {
	struct stack *stand_in;
	stack_t programs;
	bool standing_in, set_inside;
};

struct heap;

/**
 * struct thread - what the library knows of a thread
 * @depth: sections open; 0 outside
 * @paused: not secret for now, though depth > 0
 * @crossing: the section is being begun or ended, with no function of it running:
 *	whoever else runs now is a handler
 * @flags: the outermost section's LETHE_FAST and so on
 * @stack: what the section runs on
 * @stacks: those that the thread keeps, the one used last in front; NULL before
 *	its first section
 * @entry: where on its stack the thread was when it began the section
 * @own_start: the stack that pthreads or the kernel gave to the thread
 * @own_end: its end
 * @blocked: the section has signals blocked, where before it the mask was @mask
 * @heap: where it allocates from; NULL before its first block
 * @aside: the same outside, while a section has a heap of its own
 * @blocks: the heap's count of blocks as the section began
 * @freed: its count of bytes freed
 * @registered: it gives back what it has at its end
 * @exiting: it has done so: what destructors allocate now is nobody's
 *
 * Initial-exec: read by liblethe-malloc at every malloc(), where a call to
 * __tls_get_addr would itself allocate.
 */
struct thread {
	unsigned int depth;
	unsigned int paused;
	unsigned int flags;
	bool crossing;
	struct stack *stack;
	struct stack *stacks;
	const char *entry;
	const char *own_start, *own_end;
	bool blocked;
	sigset_t mask;
	struct heap *heap, *aside;
	ptrdiff_t blocks;
	size_t freed;
	bool registered, exiting;
	struct signal_stack signals;
};

extern __thread struct thread lethe_thread
	__attribute__((tls_model("initial-exec"), visibility("default")));

/* Does @p lie on the stack that pthreads or the kernel gave to the thread? */
static inline bool thread_owns(const struct thread *thread, const void *p)
{
	return (uintptr_t)p - (uintptr_t)thread->own_start <
	       (uintptr_t)thread->own_end - (uintptr_t)thread->own_start;
}

/* heap.c: gives back all that holds no block, of any thread. The bytes. */
size_t heap_trim(void);
/* Its blocks live on. */
void heap_thread_exit(struct thread *thread);

/*
 * heap_section.c: a heap for the section that is being begun, if it is to have one of
 * its own. 0 or -errno.
 */
int heap_section_begin(struct thread *thread, unsigned int flags,
		       enum lethe_level require);
/* What this thread has freed in the section, and what it has not. */
void heap_section_count(const struct thread *thread, size_t *freed, size_t *live);
/* LETHE_SCOPED_HEAP: wipe and free what is not kept. */
void heap_section_free(struct thread *thread);
/* Back to the thread's own heap. */
void heap_section_end(struct thread *thread);
/* As space_lose_all(). */
void heap_lose_all(void);

/* buffer_run.c: as heap_trim(), and as space_lose_all(). */
size_t buffers_trim(void);
void buffers_lose_all(void);

/* stack.c: from the pool, or a new one. 0 or -errno. */
int stack_take(struct stack **stack, size_t size);
/* Wipes it and puts it into the pool. */
void stack_give(struct stack *stack);
/* The bytes wiped: from the lowest that is not zero to the top. */
size_t stack_wipe(struct stack *stack);
/* Give back what is in the pool. The bytes. */
size_t stack_trim(void);
/* As space_lose_all(). */
void stack_lose_all(void);

static inline void *stack_top(const struct stack *stack)
{
	return stack->start + stack->size;
}

static inline bool stack_contains(const struct stack *stack, const void *p)
{
	return stack && (uintptr_t)p - (uintptr_t)stack->start < stack->size;
}

/*
 * revoked.c: before the machine hibernates the module wipes and revokes all regions.
 * Who finds a page of the current generation revoked has everything begun anew;
 * what it finds again later is of an older generation, and already lost.
 */
void revoked(unsigned int generation);
unsigned int revoked_generation(void);

/*
 * signal_stack.c. While a section is open no handler runs on ordinary memory. 0 or
 * -errno; -ESTALE: the pages of @stack, which the section is about to run on, are
 * revoked.
 */
int signal_stack_enter(struct thread *thread, struct stack *stack);
/* The bytes wiped. Leaves alone what the program has set meanwhile. */
size_t signal_stack_leave(struct thread *thread);
/* Does the stand-in take the place of a stack that the program has? */
bool signal_stack_replaced(const struct thread *thread);
/*
 * LETHE_FAST's, and for @set_inside: wipe the program's, if a handler may have run
 * there. The bytes; adds to *@signals how many did.
 */
size_t signal_stack_wipe_programs(unsigned int *signals);
/* At the thread's end: ours is not left installed. */
void signal_stack_give(struct thread *thread);
void signal_stack_fork_child(struct thread *thread);

/*
 * signal_frame.c: is there a frame of a signal that lies wholly in [low, high)? The
 * number of them. Looks for what the kernel writes, so it finds dead ones too.
 */
unsigned int signal_frames(const char *low, const char *high);

/*
 * kernel.c: LETHE_IOC_WIPE. 0 or -errno: -ENODEV where there is no module, or one
 * that does not know all that is asked for.
 */
int kernel_wipe(unsigned int flags, pid_t tid, const void *start, size_t length);
/* Close the device. */
void kernel_trim(void);
/*
 * overwrite.c: the same from user space, by having the kernel save others over
 * them. Sleeps; blocks signals meanwhile; keeps errno. 0 or -errno: -EOPNOTSUPP
 * where there are registers that are not known here.
 */
int kernel_overwrite(void);

/*
 * wipe_stack.c: the dead part of the stack that the caller is on, up to the caller's
 * frame; of a thread's own stack, a secret one, or an alternate one. 0 or -errno:
 * -EOPNOTSUPP on any other, or where its end cannot be found. By the module, with
 * @more, LETHE_WIPE_REGISTERS or 0, in the same call: -ENODEV as kernel_wipe().
 */
int wipe_own_stack_by_module(unsigned int more);
int wipe_own_stack_by_hand(void);

/* signal_mask.c: LETHE_BLOCK_SIGNALS, and back; the last also after a longjmp(). */
void signal_mask_block(struct thread *thread);
void signal_mask_restore(struct thread *thread);
void signal_mask_restore_left(struct thread *thread);

/**
 * struct plan - what lethe_options comes to
 * @require: the lowest level
 * @flags: LETHE_FAST and so on
 * @stack_size: in whole pages
 */
struct plan {
	enum lethe_level require;
	unsigned int flags;
	size_t stack_size;
};

/* options.c: into a plan that has the defaults. 0 or -errno. */
int options_read(const struct lethe_options *options, struct plan *plan);

/* overflow.c: if it is a SIGSEGV at a secret stack's guard, says so. */
void overflow_explain(const siginfo_t *info);

/* fatal.c: once, see to it that a section's registers are in no core dump. */
void fatal_handle(void);
/* Where there is no stack to handle it on: by the kernel alone, from now on. */
void fatal_forget(int number);

/* thread.c: own_start and own_end; once in a thread; it allocates. */
void thread_find_own_stack(struct thread *thread);
/* Once in a thread: it gives back at its end what it has. 0 or -errno. */
int thread_register(struct thread *thread);
/* A thread's first section. 0 or -errno. */
int thread_start(struct thread *thread);
/* A stack of this size, first in thread->stacks. 0 or -errno. */
int thread_take_stack(struct thread *thread, size_t size);
/* What the thread keeps is revoked: begin anew. */
void thread_revoked(struct thread *thread);

/* section.c: end, and erase, what a longjmp() left open. LETHE_DONE_ERASE and so on. */
unsigned int section_abandon(struct thread *thread);

/* section_x86_64.S, and the question it needs answered once */
void section_call(void (*fn)(void *), void *arg, void *top);
void section_erase_registers(void);
void section_mark(void);
bool section_marked(void);
char *section_wipe(char *first, ptrdiff_t step, size_t pieces, char *end);
void registers_probe(void);
extern uint8_t registers_vectors;

/*
 * What wipe_below_x86_64.S goes on with: the public functions, where these wipe the
 * caller's dead stack.
 */
int wipe_stack(pid_t tid, void *start, size_t length);
int wipe_stack_in_room(pid_t tid, void *start, size_t length);
int wipe_thread(void);
int wipe_thread_in_room(void);
int do_with(const struct lethe_options *options, void (*fn)(void *arg), void *arg,
	    struct lethe_report *report);
int do_with_in_room(const struct lethe_options *options, void (*fn)(void *arg), void *arg,
		    struct lethe_report *report);

/* fork.c: have the functions below called around fork(). 0 or -errno. */
int fork_register(void);
/* fork(), for liblethe-run, in front of libc, to call. */
PUBLIC pid_t lethe_fork(void);

/*
 * inherit.c: the switch, set once and by liblethe-run alone, before there is a
 * second thread: a fork's child gets a copy of all that is mapped without a guard,
 * of the same level, at the same addresses. It must then go on with it, rather than
 * forget it: heap_fork_child() asks inherit_wanted().
 */
extern PUBLIC bool lethe_fork_copies;
static inline bool inherit_wanted(void)
{
	return unlikely(lethe_fork_copies);
}
/*
 * Before fork(): what can be lacking is had now. 0; or -errno, and why is said.
 * inherit_done() after it, in parent and child.
 */
int inherit_begin(void);
void inherit_done(void);
/* As those below; the lock before all others, and given up after them. */
void inherit_fork_lock(void);
void inherit_fork_unlock(void);
void inherit_fork_prepare(void);
void inherit_fork_parent(void);
void inherit_fork_child(void);

/*
 * fork.c calls these, in this order before a fork and in reverse after it, so
 * that a child finds every lock free and every structure whole. In the child
 * the secret pages are gone, unless inherit_wanted().
 */
void thread_fork_child(void);
void revoked_fork_prepare(void);
void revoked_fork_parent(void);
void revoked_fork_child(void);
void buffers_fork_prepare(void);
void buffers_fork_parent(void);
void buffers_fork_child(void);
void heap_fork_prepare(void);
void heap_fork_parent(void);
void heap_fork_child(void);
void stack_fork_prepare(void);
void stack_fork_parent(void);
void stack_fork_child(void);
void space_fork_prepare(void);
void space_fork_parent(void);
void space_fork_child(void);

#endif /* LETHE_INTERNAL_H */
