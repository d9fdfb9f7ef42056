/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of liblethe know of each other, and nobody else does.
 *
 * Layers, each of which calls only those above it:
 *	message.c wipe.c	a line to stderr, an abort; wiping, copying
 *	backend*.c	secret pages from the kernel, at an address asked for
 *	space.c		one reservation of address space; what lies where
 *	stack.c heap.c	secret stacks, the secret heap
 *	section.c	lethe_do
 */
#ifndef LETHE_INTERNAL_H
#define LETHE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lethe.h"

#define PUBLIC __attribute__((visibility("default")))
#define COLD __attribute__((cold))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * KIB)

/* x86-64 has no other, and the module says so in QUERY. */
#define PAGE ((size_t)4096)

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* message.c: neither allocates, so both serve inside malloc(). */
COLD void message(const char *format, ...) PRINTF_LIKE(1, 2);
COLD _Noreturn void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* wipe.c: memcpy(), which would leave the last of it in vector registers. */
void copy_secret(void *to, const void *from, size_t length);

/**
 * struct backend - where secret pages come from
 * @name: as LETHE_BACKEND and lethe_backend() have it
 * @level: what its pages promise
 * @probe: can this machine and process use it at all? 0 or -errno
 * @map: put @length bytes of zeroed secret pages at @address, all of them
 *	present, so that no later touch can fail; MAP_FIXED over a part of the
 *	reservation. 0 or -errno, and then the part is as it was
 *
 * Pages go back by mapping PROT_NONE over them, after a wipe (space.c).
 */
struct backend {
	const char *name;
	enum lethe_level level;
	int (*probe)(void);
	int (*map)(void *address, size_t length);
};

extern const struct backend backend_kmod, backend_memfd_secret, backend_mlock;

/* backend.c: the one in use; NULL and *@err = -errno where there is none. */
const struct backend *backend_get(int *err);

/*
 * space.c: all secret memory lies in one reservation of address space, so that
 * "is this pointer secret" is one subtraction and one compare. Its unit is the
 * chunk of 64 KiB; whatever is mapped starts at a chunk and has at least a page
 * of nothing before and after it.
 */
#define CHUNK (64 * KIB)

/* Zeroed secret pages; @length a multiple of PAGE. NULL and errno. */
void *space_map(size_t length);
/* Wipes, then gives the pages back. */
void space_unmap(void *start, size_t length);
/* For backends: put nothing at a part of the reservation. 0 or -errno. */
int space_reserve(void *start, size_t length);

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

/*
 * The thread's section state. Initial-exec: read by liblethe-malloc at every
 * malloc(), where a call to __tls_get_addr would itself allocate.
 */
struct thread {
	unsigned int depth;  /* sections open; 0 outside */
	unsigned int paused; /* not secret for now, though depth > 0 */
	struct stack *stack; /* NULL before the first section */
};

extern __thread struct thread lethe_thread
	__attribute__((tls_model("initial-exec"), visibility("default")));

/*
 * stack.c: a stack of secret pages, with nothing mapped below and above it.
 * Always all zero but while a section runs on it.
 */
#define STACK_SIZE (256 * KIB)

struct stack {
	struct stack *next; /* in the pool */
	char *start;
	size_t size;
};

/* heap.c: gives back all that holds no block. */
void heap_trim(void);

/* From the pool, or a new one. 0 or -errno. */
int stack_take(struct stack **stack);
/* Wipes it and puts it into the pool. */
void stack_give(struct stack *stack);

static inline void *stack_top(const struct stack *stack)
{
	return stack->start + stack->size;
}

static inline bool stack_contains(const struct stack *stack, const void *p)
{
	return (uintptr_t)p - (uintptr_t)stack->start < stack->size;
}

/* section_x86_64.S, and the question it needs answered once */
void section_call(void (*fn)(void *), void *arg, void *top);
void section_erase_registers(void);
void registers_probe(void);
extern uint8_t registers_vectors;

/* fork.c: have the functions below called around fork(). 0 or -errno. */
int fork_register(void);

/*
 * fork.c calls these, in this order before a fork and in reverse after it, so
 * that a child finds every lock free and every structure whole. In the child
 * the secret pages are gone.
 */
void section_fork_child(void);
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
