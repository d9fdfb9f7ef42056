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
 * memory that it mapped itself (with -llethe-malloc: before it is unmapped).
 *
 * Errors are returned as -errno, or, by functions that return a pointer, as
 * NULL with errno set. Unless a function's comment says otherwise it is safe to
 * call from any thread and not from a signal handler.
 */
#ifndef LETHE_H
#define LETHE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

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
 * lethe_do_with() with no options and no report.
 *
 * Should the process die in @fn of a signal that dumps core and that nobody handles,
 * then the core has none of its stack and heap, and of its registers no more than where
 * it was. It has what other threads have in theirs, in sections or not, and all of them
 * where the process is the first of a pid namespace.
 */
int lethe_do(void (*fn)(void *arg), void *arg);

/*
 * How a section is run: struct lethe_options.flags. Each counts for the outermost
 * section alone; one inside it is part of it, whatever it asks for.
 */
/*
 * Ask the kernel for nothing unless there is a sign that it had to do with the
 * section: that the thread was preempted, moved to another processor, or given a
 * signal. No system call otherwise. What the default looks after is then left as
 * it is:
 *
 *   - a signal handler on an alternate stack of the program's runs there, in
 *     ordinary memory; that stack is wiped when the section ends, and is in the core
 *     if the process dies of the signal. One on an SS_AUTODISARM stack that lies
 *     inside the thread's own must not begin a section;
 *   - the sign does not tell of a softirq that used the vector registers, nor, from
 *     Linux 7.3 on, of a switch while the section waited in a system call, nor of an
 *     interrupt, which leaves the general registers where the thread's next way into
 *     the kernel overwrites them: what the kernel has of its registers after those
 *     is left to be overwritten;
 *   - an overflow of the stack is a SIGSEGV without a word, and a stack that a
 *     hibernation revoked a SIGBUS.
 */
#define LETHE_FAST (1U << 0)
/*
 * No signal is handled while the section is open, but for those that the section
 * itself causes (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS). They wait, and
 * are handled after its end. The section must not change the signal mask.
 */
#define LETHE_BLOCK_SIGNALS (1U << 1)
/*
 * Erase the kernel's copy of the registers without the module too: fill them with
 * what is no secret and sleep until the kernel has saved that. Some 70 us. With
 * the module there is nothing to do, it always erases them (but see LETHE_FAST).
 */
#define LETHE_COMPLETE (1U << 2)
/*
 * fork() in the section fails with EPERM. Without it the parent goes on, and the
 * child, which has no stack to come back to, is aborted with a message.
 */
#define LETHE_REFUSE_FORK (1U << 3)
/*
 * The section's end wipes the dead stack of its caller too: what functions that had
 * returned before it left below lethe_do_with()'s frame, on the thread's own stack or
 * an alternate signal stack, as lethe_wipe_stack() does. With the module that is done
 * in the one call that erases the kernel's copies; without it, by some dozens of system
 * calls. LETHE_DONE_BELOW says that it was done: it is not on a stack that the program
 * made for a context, of which nobody knows where it ends. (Such a stack must not lie
 * inside the thread's own, whose lower part is then wiped.)
 */
#define LETHE_WIPE_BELOW (1U << 4)

/*
 * The section has a heap of its own: when its function returns, or a longjmp() has
 * left it, every block that this thread allocated in it and that nobody has freed is
 * wiped and freed, but for those that lethe_keep() named. If an exception or the
 * thread's end passes through it, they live on: they may be what it carries.
 *
 * Not for code that keeps something from one call to the next, as most libraries do at
 * their first: it would use, and free, what is gone, and be aborted.
 */
#define LETHE_SCOPED_HEAP (1U << 5)

/**
 * struct lethe_options - how to run a section
 * @size: sizeof(struct lethe_options)
 * @require: the lowest level to run at; LETHE_LEVEL_NONE for whatever there is
 *	(LETHE_REQUIRE in the environment holds all the same)
 * @flags: of LETHE_FAST and so on, above
 * @stack_size: bytes of stack to run on, rounded up to a page; 0 for the usual
 *	256 KiB; 8 KiB to 64 MiB. The stack counts against RLIMIT_MEMLOCK. All of it
 *	is looked through at the section's end, unless the module keeps count of
 *	what was touched: a small stack makes a quick section
 *
 * Zero what is not set. Members may be added at the end.
 */
struct lethe_options {
	size_t size;
	enum lethe_level require;
	unsigned int flags;
	size_t stack_size;
};

/* struct lethe_report.done: what was done at the section's end. */
/* The registers and the stacks were erased: always, if the function was run. */
#define LETHE_DONE_ERASE (1U << 0)
/* The kernel's copies of the registers were erased, by the module. */
#define LETHE_DONE_KERNEL (1U << 1)
/* They were overwritten from user space (LETHE_COMPLETE). */
#define LETHE_DONE_KERNEL_OVERWRITE (1U << 2)
/* LETHE_FAST, and there was no sign that the kernel had made any copy. */
#define LETHE_DONE_UNDISTURBED (1U << 3)
/* A secret stack stood in for the program's alternate signal stack. */
#define LETHE_DONE_SIGNAL_STACK (1U << 4)
/* The caller's dead stack was wiped (LETHE_WIPE_BELOW). */
#define LETHE_DONE_BELOW (1U << 5)

/**
 * struct lethe_report - what was done about a section
 * @size: sizeof(struct lethe_report), set by the caller
 * @level: of the pages it ran on
 * @done: of LETHE_DONE_ERASE and so on. A copy that the kernel may still have is
 *	told by the absence of LETHE_DONE_KERNEL, _KERNEL_OVERWRITE and _UNDISTURBED
 * @stack_wiped: bytes of stack that were wiped, from the lowest that was written
 * @heap_wiped: bytes of secret heap freed, and so wiped, by this thread inside it
 * @blocks_live: blocks of the secret heap that this thread allocated inside it,
 *	less those that it freed inside it; 0 if it freed more
 * @signals: frames of signals that were found on its stacks when they were wiped:
 *	the number of signals handled, or less, where one frame lay over another
 *
 * A section inside a section is erased with the outermost: its own report has
 * the level, and done is 0.
 */
struct lethe_report {
	size_t size;
	enum lethe_level level;
	unsigned int done;
	size_t stack_wiped;
	size_t heap_wiped;
	size_t blocks_live;
	unsigned int signals;
};

/**
 * lethe_do_with() - run a function in a secret section, in a way of its own
 * @options: how; NULL for the defaults
 * @fn: the function
 * @arg: handed to it
 * @report: what was done; NULL if nobody asks. Filled if fn returned, else zeroed
 *
 * Runs fn(arg) on a secret stack of this thread's (made at the thread's first
 * section of that stack size and used again), then erases every general, vector,
 * mask and x87/MMX register, the stack as deep as it was used, and the kernel's
 * copies of the registers where the module is loaded. MXCSR and the x87 control
 * word go back to what they were. A section inside a section is part of the
 * outer one: fn is called on the same stack, and erasing is left to the end of
 * the outermost.
 *
 * fn ends the section by returning; by a C++ exception, pthread_exit() or the
 * thread's cancellation, which pass through it; or with the process. A longjmp()
 * out of it leaves the section unerased until this thread's next lethe_do(), its
 * lethe_wipe_thread(), or its end. (One that was begun on a context's own stack is
 * found by lethe_wipe_thread() alone; until then a section is -EBUSY.) fork() inside is an error (see
 * LETHE_REFUSE_FORK); vfork, posix_spawn, system and popen are fine.
 *
 * On the module a hibernation of the machine revokes all secret pages. The next
 * section, in whichever thread, has new ones, and so has lethe_malloc() from then on. A
 * block from before is a SIGBUS to touch; to free it is fine once there was a section
 * after the hibernation, and a SIGBUS until then.
 *
 * A signal handler that interrupts the section is not part of it
 * (lethe_enabled() is false there) but runs on secret memory, and is erased with
 * it: on the section's stack, or, if it was installed with SA_ONSTACK, on a
 * secret stack that stands in for the program's alternate one until the end. An
 * alternate stack that the section itself sets stays, and is wiped; one that it
 * sets, uses and replaces once more before its end is not found.
 *
 * Return: 0; or a negative errno, and fn was *not* run: -EINVAL (fn is NULL, an
 * unknown flag or level, a stack_size out of range, a size of options or report that
 * is less than theirs or more than a page; or LETHE_BACKEND, LETHE_REQUIRE or
 * LETHE_OVERFLOW has no meaning), -E2BIG (options of a later version than the library,
 * which ask for what it has not), -ENOMEM (no memory, or RLIMIT_MEMLOCK is too small
 * for a stack), -EAGAIN (no thread-specific key is left), -EOPNOTSUPP (the backend that
 * LETHE_BACKEND names is not there, or more is required than this machine has),
 * -EMFILE or -ENFILE (no descriptor is free to make a stack with, or to find out what
 * backend there is; nothing is decided by it, and the next call asks again), -EINTR (a
 * signal came while a stack waited for the end of a hibernation), -ESTALE (one began
 * just as a stack was made: the next call makes another), -EBUSY (called while this
 * thread has a section open, from a stack that is neither that section's nor the
 * thread's own: a signal handler or a context; or by a handler that interrupts the
 * beginning or the end of a section).
 */
int lethe_do_with(const struct lethe_options *options, void (*fn)(void *arg), void *arg,
		  struct lethe_report *report);

/**
 * lethe_wipe_thread() - erase what this thread left
 *
 * Ends a section that a longjmp() jumped out of, and erases its stack; then the
 * registers that a called function may change, and the dead part of the thread's own
 * stack, if it runs on that (see lethe_wipe_stack()); and the kernel's copies of the
 * registers where the module is, in one call for both. Without the module these stay:
 * only a section's LETHE_COMPLETE overwrites them. Does no harm where there is nothing
 * to erase. Not to be called by a signal handler, nor while a context of this thread
 * is in a section, nor on a context's stack that lies inside the thread's own.
 *
 * Return: 0; -EBUSY inside a section; -ENOMEM, -EAGAIN (no thread-specific key is left);
 * -EOPNOTSUPP: there is neither the module nor /proc to say where the stack ends, and
 * all but the dead stack was erased.
 */
int lethe_wipe_thread(void);

/**
 * lethe_thread_create() - pthread_create() of a thread that is one section
 * @thread: set to the new thread
 * @attributes: as pthread_create() takes them; NULL for the defaults
 * @fn: the thread's function, which runs in a secret section
 * @arg: handed to it
 *
 * The thread's secret stack is made before it, so that nothing is left to fail.
 * When fn returns, or calls pthread_exit(), or is cancelled, the section ends and
 * is erased; what it returned is what pthread_join() has. Its thread-local
 * variables and the stack that pthreads gave to it are not secret memory.
 *
 * Any other thread that is made inside a section starts outside of one, and with
 * the vector registers that the section had when it made it: the kernel copies them.
 *
 * Return: 0; -EAGAIN, -EINVAL (also where @thread is NULL) or -EPERM as
 * pthread_create(), or as lethe_do().
 */
int lethe_thread_create(pthread_t *thread, const pthread_attr_t *attributes,
			void *(*fn)(void *arg), void *arg);

/**
 * lethe_trim() - give back the secret pages that nothing is in
 *
 * Stacks that no thread has, this thread's own if it is in no section, and what
 * the heap and guarded buffers keep for later, whichever thread's it is. (The heap
 * keeps a few pages at first; as much as it had to fetch again, up to 256 KiB a thread
 * and 2 MiB in all; buffers 64 KiB.) Pages of memfd_secret, as few as one in any process,
 * keep the whole machine from hibernating: a daemon calls this when it goes
 * idle, in each thread that has had a section.
 *
 * Return: the bytes given back.
 */
size_t lethe_trim(void);

/**
 * lethe_enabled() - does this code run in a secret section?
 *
 * So false in a signal handler that interrupted one, and in a context
 * (makecontext()) that was made outside; true in one made inside. Safe in a signal
 * handler.
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
enum lethe_level lethe_level_of(const void *address)
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
	/* Or gcc says of memory that nothing was written to yet that it is read. */
	__attribute__((access(none, 1)))
#endif
	;

/*
 * The secret heap, in and out of sections. Blocks come zeroed, are aligned to
 * 16 bytes, and are zeroed again as they are freed, by whichever thread. They
 * never move to ordinary memory: lethe_realloc() wipes the place it leaves. A block of
 * no bytes is one, to be freed, also where lethe_realloc() returns it.
 * With LETHE_OVERFLOW=locked in the environment a full heap goes on with memory of
 * LETHE_LEVEL_LOCKED, as lethe_level_of() tells, but not for a section that requires
 * more.
 * A fork()'s child has none of them; freeing one there does nothing, and resizing one
 * aborts.
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
 * lethe_keep() - let a block outlive the section that allocated it
 * @block: of the secret heap; with LETHE_SCOPED_HEAP one that would be freed at the
 *	section's end. It is then lethe_free()'s, as any other
 *
 * A block of an outer heap, or of a section without that flag, lives on anyway: that
 * is no error. lethe_realloc() may move what was kept to a block that is not.
 *
 * Return: 0; -EINVAL (no live block of the secret heap starts there); -ENOMEM.
 */
int lethe_keep(void *block);

/**
 * lethe_pause(), lethe_resume() - allocate in between what is not secret
 *
 * For the results of a section that are public on purpose: with -llethe-malloc,
 * malloc() is libc's again until lethe_resume(), and lethe_enabled() is false.
 * lethe_malloc() is as secret as ever. Nothing else changes: the code still runs on
 * the secret stack and is erased. They nest; a section begun in between is not paused;
 * a section's end resumes. Outside of a section they do nothing; lethe_resume() without
 * lethe_pause() in a section aborts.
 */
void lethe_pause(void);
void lethe_resume(void);

/**
 * lethe_wipe() - a memset() to zero that no compiler takes away
 *
 * Safe in a signal handler.
 */
void lethe_wipe(void *start, size_t length);

/**
 * lethe_wipe_stack() - wipe a stack, or any range of memory, as far as it is there
 * @tid: a thread, as gettid() in it says; 0 is the caller
 * @start: the range's first byte; NULL, with @length 0, for the dead stack
 * @length: its bytes; it need not begin or end with a page
 *
 * Zeroes what is in memory of the range, at the price of that: a page that was never
 * touched stays untouched, one that is all zero and shared by copy-on-write stays
 * shared, a huge page stays huge. Whole pages that are swapped out are given up, and
 * read as zero from now on (the swap device itself is not wiped). What the thread
 * could not write is left out, without a signal: read-only and PROT_NONE mappings,
 * holes, and shared mappings of a file on a disk, which would be zeroed there.
 *
 * The dead stack is what lies below the caller's frame, or below the stack pointer of
 * another thread: frames of functions that have returned, and of signals that were
 * handled. It ends where the stack does: a thread's own, a secret one, or an alternate
 * signal stack. Of any other, as one that makecontext() was given, only the mapping
 * and its guard pages are known (PROT_NONE, MADV_GUARD_INSTALL): all of that down to
 * there is wiped. So if something else lies below such a stack in the same mapping, or
 * if it lies inside a thread's own, wipe a range of it. Two pages more than were there
 * may be there afterwards.
 *
 * With the module (version 4 of its ABI; 3 for the caller's ranges) it is one call to
 * it. Without, it is done in user space, for this process alone: a few microseconds,
 * one more for some 400 pages of the range, and what it takes to zero what is there.
 * There, of pages of shared memory at the range's ends that were swapped out, or are
 * not there, one each is brought back; and what another thread brings back into memory
 * at that moment is freed as it is. Where neither /proc/self/maps nor the module is,
 * ranges on the thread's own stack, or of secret memory, can be wiped and no others.
 *
 * A thread that is not the caller's is wiped by the module: one of this process (the
 * caller waits until it has done it itself: see LETHE_IOC_WIPE; its system calls may
 * be EINTR), or a tracee that is stopped. Without the module a range of a thread of
 * this process is the same memory, and all else -EOPNOTSUPP. EAGAIN is not tried
 * again here: the caller knows for how long that is of use.
 *
 * No other thread may unmap the range, or use it for anything that is to stay,
 * meanwhile. Needs 4 KiB of stack. Safe in a signal handler with a range, and with a
 * dead stack on an alternate stack, in the first thread, or in one that has called
 * this or had a section before. No cancellation point.
 *
 * Return: 0; -EINVAL (no length but a start, the end wraps round), -EFAULT (the range
 * reaches past user space), -ESRCH (no such thread), -EOPNOTSUPP (see above), -EAGAIN,
 * -EINTR (a thread that is not the caller), -EMFILE, -ENFILE, -ENOMEM.
 */
int lethe_wipe_stack(pid_t tid, void *start, size_t length);

/*
 * Guarded buffers: secret pages for one thing each, where an access out of bounds, or at
 * the wrong time, kills the process. The data end where their last page does, and what
 * follows is a guard: the first byte read or written past them is a SIGSEGV. (So they are
 * aligned as far as their length is. A length that is a multiple of 16 gives 16 bytes, an
 * array its elements' alignment.) Before them, on their first page, stand zeroes and a
 * random canary; if they fill their pages, another guard. Whatever was written there is
 * found when the buffer is freed or sealed, and of the 16 bytes before the data as soon as
 * it can no longer be written; all that the library itself knows of a buffer is elsewhere.
 * A message and an abort follow. Guards are address space alone and count against no limit.
 *
 *	struct lethe_buffer *key = lethe_buffer_new(32, 0);
 *
 *	lethe_buffer_fill_random(key);
 *	lethe_buffer_protect(key, LETHE_ACCESS_NONE);
 *	...
 *	if (!lethe_buffer_open(key, LETHE_ACCESS_READ)) {
 *		use(lethe_buffer_data(key));
 *		lethe_buffer_close(key);
 *	}
 *	...
 *	lethe_buffer_free(key);
 *
 * Each takes whole pages of RLIMIT_MEMLOCK, one for up to 4096 bytes, and two mappings of
 * the process's (vm.max_map_count) whether it may be touched or not: the secret heap is
 * for what is small and many, and so is sealing. Any thread may call these functions with
 * any buffer; no signal handler may. A buffer that was freed, closed more often than
 * opened, or is freed while open aborts with a message.
 *
 * -ESTALE: the pages, or the key that it was sealed with, are gone. In a fork()'s child all
 * of its parent's are (a touch is a SIGSEGV), after a hibernation on the module all that
 * there were (a SIGBUS or SIGSEGV). To free one is fine, and in a child does nothing.
 */
struct lethe_buffer;

/**
 * enum lethe_access - what all of the process may do with a buffer's data
 * @LETHE_ACCESS_NONE: a touch is a SIGSEGV
 * @LETHE_ACCESS_READ: a write is
 * @LETHE_ACCESS_WRITE: read and write
 */
enum lethe_access {
	LETHE_ACCESS_NONE = 0,
	LETHE_ACCESS_READ = 1,
	LETHE_ACCESS_WRITE = 2,
};

/*
 * lethe_buffer_new(): for buffers that come and go quickly. The pages of a freed one may
 * be touched until another buffer has them, or they are given back, which spares all of
 * mprotect(2): they read as zeroes, and to write them is an abort with a message, but only
 * then. Without it a touch after the free is a SIGSEGV at once.
 */
#define LETHE_BUFFER_QUICK (1U << 0)

/**
 * lethe_buffer_new() - a guarded buffer, to be written, all of it zero
 * @length: bytes. None are fine: then there is no byte that could be touched
 * @flags: LETHE_BUFFER_QUICK or 0
 *
 * Two calls of mprotect(2) until it is freed, if pages are at hand that a buffer of as many
 * had: 64 KiB of them are kept, wiped and accessible to nobody (lethe_trim() gives them
 * back). Else as dear as a mapping of secret pages is.
 *
 * Return: the buffer; NULL and errno: EINVAL (a flag), ENOMEM (also where RLIMIT_MEMLOCK or
 * vm.max_map_count is used up; nothing is lost by it), or as lethe_do().
 */
struct lethe_buffer *lethe_buffer_new(size_t length, unsigned int flags);
/* For @count elements of @size bytes; ENOMEM also where no number is their product. */
struct lethe_buffer *lethe_buffer_new_array(size_t count, size_t size,
					    unsigned int flags);

/**
 * lethe_buffer_free() - wipe a buffer, and it is none
 * @buffer: not open; NULL is fine
 *
 * From here on a touch of its data is a SIGSEGV (but see LETHE_BUFFER_QUICK), until
 * another buffer has the pages: those that were freed first are used first. Keeps errno.
 */
void lethe_buffer_free(struct lethe_buffer *buffer);

/**
 * lethe_buffer_protect() - what may be done with a buffer while nobody has it open
 * @buffer: not open
 * @access: also of one that is sealed, for when it no longer is
 *
 * Return: 0, -EBUSY (it is open), -EINVAL, -ESTALE; or what mprotect(2) could not do, and
 * it is as it was.
 */
int lethe_buffer_protect(struct lethe_buffer *buffer, enum lethe_access access);

/**
 * lethe_buffer_open() - have access to a buffer until lethe_buffer_close()
 * @buffer: if it is sealed, it no longer is, as after lethe_buffer_unseal()
 * @access: LETHE_ACCESS_READ, which many may have at once, or LETHE_ACCESS_WRITE, which one
 *	may and nobody else then
 *
 * Counts: the first to open it and the last to close it call mprotect(2), once each and
 * not if nothing changes by it. While it is open it is what it was opened for, whatever
 * lethe_buffer_protect() has said. To compare what is in it, lethe_equal().
 *
 * Return: 0, -EBUSY (open to be written, or to be read and asked to be written), -EINVAL,
 * -EOVERFLOW (open four thousand million times), -ESTALE; as lethe_buffer_unseal(); or what
 * mprotect(2) could not do. It is not open then.
 */
int lethe_buffer_open(struct lethe_buffer *buffer, enum lethe_access access);
/* Keeps errno. If access cannot be taken away again, it aborts with a message. */
void lethe_buffer_close(struct lethe_buffer *buffer);

/* Where the data are, NULL while sealed. They move when sealed and unsealed, never else. */
void *lethe_buffer_data(const struct lethe_buffer *buffer);
size_t lethe_buffer_length(const struct lethe_buffer *buffer);

/*
 * Into a buffer and out of it, with no copy in any register or in other memory. (What the
 * kernel has of a file or a pipe, it keeps.) Each opens the buffer as lethe_buffer_open()
 * does, for as long as it takes, except where it is open to be written: then the caller is
 * who has it so.
 *
 * Return: 0 or a negative errno, as lethe_buffer_open(); -EINVAL if the bytes from @offset
 * on are not all in the buffer.
 */
/* One read(2), a cancellation point: the bytes that came, 0 at the end; or its -errno. */
ssize_t lethe_buffer_read(struct lethe_buffer *buffer, size_t offset, int fd,
			  size_t at_most);
/* As many; or -ENODATA where they end before, or read(2)'s -errno, and what came is wiped. */
int lethe_buffer_read_exactly(struct lethe_buffer *buffer, size_t offset, int fd,
			      size_t length);
/* All of it, from getrandom(2). */
int lethe_buffer_fill_random(struct lethe_buffer *buffer);
/* Wipes where they were. */
int lethe_buffer_move(struct lethe_buffer *buffer, size_t offset, void *from,
		      size_t length);
int lethe_buffer_copy(struct lethe_buffer *buffer, size_t offset, void *to,
		      size_t length);

/**
 * lethe_buffer_seal() - encrypt a buffer, and give up its pages
 * @buffer: not open
 *
 * For thousands that are seldom needed. What is in the buffer goes to ordinary memory,
 * encrypted and authenticated (ChaCha20-Poly1305, RFC 8439, in a section of its own) under
 * a key that is nowhere but in secret memory, and to nobody's access there; never is a
 * nonce used twice. The key is made for the first buffer; lethe_trim() gives it back if
 * none is sealed. Not found out is whether a buffer's own older sealed contents, and what
 * the library noted of them, were both put back.
 *
 * Return: 0, also if it is sealed; -EBUSY (it is open); -ESTALE; -ENOMEM (two pages of secret
 * stack are needed, once a thread); or as lethe_do(). It is as it was then.
 */
int lethe_buffer_seal(struct lethe_buffer *buffer);

/**
 * lethe_buffer_unseal() - decrypt a buffer into pages
 * @buffer: whichever
 *
 * Return: 0, also if it is not sealed; -EBADMSG, and a message: what was sealed has been
 * changed; as lethe_buffer_new() and lethe_do(). It is sealed then, as it was.
 */
int lethe_buffer_unseal(struct lethe_buffer *buffer);

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
