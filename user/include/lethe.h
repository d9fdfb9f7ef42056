/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * liblethe: run a function so that nothing it touched survives it.
 *
 *	static void sign(void *arg) { ... keys, libcrypto, the lot ... }
 *
 *	int err = lethe_do(sign, &request);	// 0, or -errno and sign not run
 *
 * The function runs on a stack, and with a heap, made of pages that the kernel
 * itself has unmapped (where the machine can do that: see enum lethe_level).
 * When it returns, every register that it could have used and the whole of that
 * stack are erased before lethe_do() returns. What it allocated with
 * lethe_malloc(), or, in a program that links -llethe-malloc, with any malloc()
 * made by any library, lies on the secret heap and is zeroed as it is freed.
 *
 * Not erased: what the function writes to ordinary memory on purpose (its
 * result), to files and sockets, to static and thread-local variables, or to
 * memory that it mapped itself.
 *
 * Errors are returned as -errno, or, by functions that return a pointer, as
 * NULL with errno set. Unless a function's comment says otherwise it is safe to
 * call from any thread and not from a signal handler.
 */
#ifndef LETHE_H
#define LETHE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LETHE_VERSION_MAJOR 0
#define LETHE_VERSION_MINOR 1
#define LETHE_VERSION_PATCH 0

/**
 * enum lethe_level - what a place in memory is protected from
 * @LETHE_LEVEL_NONE: ordinary memory
 * @LETHE_LEVEL_LOCKED: never swapped, not in core dumps, not in a fork's child;
 *	but the kernel, and whoever may ptrace the process, can read it
 * @LETHE_LEVEL_UNMAPPED: all of that, and no longer mapped by the kernel: not
 *	to be read through ptrace, /proc/pid/mem, process_vm_readv or a stray
 *	read in the kernel
 *
 * Ordered: a higher level promises all that a lower one does.
 */
enum lethe_level {
	LETHE_LEVEL_NONE = 0,
	LETHE_LEVEL_LOCKED = 1,
	LETHE_LEVEL_UNMAPPED = 2,
};

/**
 * lethe_do() - run a function in a secret section
 * @fn: the function
 * @arg: handed to it
 *
 * Runs fn(arg) on this thread's secret stack (256 KiB, made of secret pages at
 * the thread's first section and used again), then erases every general,
 * vector, mask and x87/MMX register and the stack. MXCSR and the x87 control
 * word go back to what they were. A section inside a section is part of the
 * outer one: fn is called on the same stack, and erasing is left to the end of
 * the outermost.
 *
 * fn must come back by returning. A longjmp() or a C++ exception out of it
 * leaves the section unerased until this thread's next lethe_do(), or its end.
 * fn must not fork(): the child would have no stack to return to (vfork,
 * posix_spawn, system and popen are fine). A signal handler that is not on an
 * alternate stack runs on the secret stack, and is erased with it; on one that is,
 * the kernel leaves a copy of the section's registers that nobody erases.
 *
 * Return: 0; or a negative errno, and fn was *not* run: -EINVAL (fn is NULL;
 * or LETHE_BACKEND or LETHE_REQUIRE has no meaning), -ENOMEM (no memory, or
 * RLIMIT_MEMLOCK is too small for a stack), -EOPNOTSUPP (the backend that
 * LETHE_BACKEND names is not there, or LETHE_REQUIRE asks for more than this
 * machine has), -EBUSY (called from a signal handler that interrupted a section
 * and runs on another stack).
 */
int lethe_do(void (*fn)(void *arg), void *arg);

/**
 * lethe_enabled() - is this thread in a secret section?
 *
 * Safe in a signal handler, where it answers for the interrupted code.
 */
bool lethe_enabled(void);

/**
 * lethe_backend() - the backend in use
 *
 * Chosen once, at the first call that needs it: "kmod" where /dev/lethe can be
 * used, else "memfd_secret", else "mlock"; or the one that LETHE_BACKEND names.
 *
 * Return: its name, a constant string; NULL with errno set (as lethe_do()
 * would return it) where there is none.
 */
const char *lethe_backend(void);

/**
 * lethe_level_of() - what protects the byte at this address
 * @address: any pointer; it is not followed
 *
 * Safe in a signal handler.
 */
enum lethe_level lethe_level_of(const void *address);

/*
 * The secret heap, in and out of sections. Blocks come zeroed, are aligned to
 * 16 bytes, and are zeroed again as they are freed, by whichever thread. They
 * never move to ordinary memory: lethe_realloc() wipes the place it leaves.
 * A fork()'s child has none of them; freeing one there does nothing.
 *
 * Errors: ENOMEM (also when RLIMIT_MEMLOCK is used up), and as lethe_do() where
 * there is no backend. A pointer that is no live block aborts with a message.
 */
void *lethe_malloc(size_t size);
void *lethe_calloc(size_t count, size_t size);
void *lethe_realloc(void *block, size_t size);
/* @alignment: a power of two, else EINVAL; @size need not be a multiple. */
void *lethe_aligned_alloc(size_t alignment, size_t size);
/* Keeps errno. NULL is fine. */
void lethe_free(void *block);
/* Bytes that the block has room for, all of them the caller's; 0 for NULL. */
size_t lethe_usable_size(const void *block);

/**
 * lethe_wipe() - a memset() to zero that no compiler takes away
 *
 * Safe in a signal handler.
 */
void lethe_wipe(void *start, size_t length);

/**
 * lethe_equal() - are two buffers equal, in a time that tells nothing of where
 * they differ?
 *
 * Safe in a signal handler.
 */
bool lethe_equal(const void *a, const void *b, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* LETHE_H */
