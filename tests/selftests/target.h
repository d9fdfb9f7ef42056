/* SPDX-License-Identifier: MIT */
/*
 * A task to be wiped: it has something in each place that LETHE_IOC_WIPE reaches,
 * holds values in registers while it waits, and then counts itself what is left.
 * Included after door.h. It judges nothing, and cannot see register residue, which
 * is nowhere in a program (tests/residue looks for that).
 */
#ifndef LETHE_TESTS_TARGET_H
#define LETHE_TESTS_TARGET_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include "door.h"

#define FILL 0xe5
#define OWN 0x3c
#define MARK 0x6c65746865736563UL

/* Where every target has a page, and the caller one of its own. */
#define RANGE_AT ((unsigned char *)0x600000000000)
#define DEAD_FRAME ((size_t)64 << 10)
#define DEAD_SIZE ((size_t)16 << 10)
#define ALTERNATE_SIZE ((size_t)64 << 10)
#define PATIENCE 10000 /* milliseconds until something did not come */

enum place { RANGE, DEAD_STACK, SIGSTACK, REGISTERS, NR_PLACES };

UNUSED static const uint32_t place_flag[] = {
	LETHE_WIPE_RANGE,
	LETHE_WIPE_DEAD_STACK,
	LETHE_WIPE_SIGSTACK,
	LETHE_WIPE_REGISTERS,
};

/* Shared with whoever judges, and a program that is started by descriptor. */
struct target {
	volatile int ready, go, done;
	volatile int changed; /* it has become what it is to be before it waits */
	int tid;              /* as it sees itself */
	uid_t user;
	unsigned char *dead, *alternate;
	size_t left[NR_PLACES]; /* bytes of FILL; in REGISTERS, values that changed */
};

/* What a target waits in; returns how many values in registers changed. */
typedef size_t wait_fn(void);

static struct target *target;
static int target_fd = -1;

UNUSED static const size_t place_size[] = { PAGE, DEAD_SIZE, ALTERNATE_SIZE, 0 };

/* From the descriptor of one that is there, else a new one. */
UNUSED static void target_open(int fd)
{
	target_fd = fd >= 0 ? fd : memfd_create("target", 0);
	if (target_fd < 0 || (fd < 0 && ftruncate(target_fd, PAGE)))
		tap_bail("memfd_create: %s", strerror(errno));
	target = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, target_fd, 0);
	if (target == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
}

UNUSED static void map_range(unsigned char fill)
{
	void *map = mmap(RANGE_AT, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (map != RANGE_AT)
		tap_bail("mmap: %s", strerror(errno));
	memset(map, fill, PAGE);
}

/* So far down that nothing which the target still does comes there. */
__attribute__((noinline, unused)) static void leave_dead(void)
{
	unsigned char frame[DEAD_FRAME];

	memset(frame, FILL, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
	target->dead = frame;
	__asm__ volatile("" : : "r"(target) : "memory");
}

UNUSED static size_t count(const unsigned char *at, size_t length)
{
	size_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += ((const volatile unsigned char *)at)[i] == FILL;
	return sum;
}

/*
 * Until *@go, with values in registers that nothing here changes. It leaves user
 * space every 20 ms, if it does not spin. Returns how many of them changed.
 */
UNUSED static size_t wait_holding(volatile int *go, bool spin)
{
	static const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
	uint64_t general, vector;

	__asm__ volatile("movq %[mark], %%r15\n\t"
			 "movq %%r15, %%xmm15\n\t"
			 "1:\n\t"
			 "pause\n\t"
			 "testl %[spin], %[spin]\n\t"
			 "jnz 2f\n\t"
			 "movq %[moment], %%rdi\n\t"
			 "xorl %%esi, %%esi\n\t"
			 "movl %[number], %%eax\n\t"
			 "syscall\n\t"
			 "2:\n\t"
			 "cmpl $0, (%[go])\n\t"
			 "je 1b\n\t"
			 "movq %%r15, %[general]\n\t"
			 "movq %%xmm15, %[vector]\n\t"
			 : [general] "=&r"(general), [vector] "=&r"(vector)
			 : [mark] "r"(MARK), [spin] "r"((int)spin), [moment] "r"(&moment),
			   [number] "i"(SYS_nanosleep), [go] "r"(go)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "r15", "xmm15",
			   "memory", "cc");
	return (general != MARK) + (vector != MARK);
}

UNUSED static size_t wait_spinning(void)
{
	return wait_holding(&target->go, true);
}

UNUSED static size_t wait_asleep(void)
{
	return wait_holding(&target->go, false);
}

/* All that a target does. */
UNUSED static void target_run(wait_fn *wait)
{
	stack_t stack = { .ss_size = ALTERNATE_SIZE }, none = { .ss_flags = SS_DISABLE };

	map_range(FILL);
	stack.ss_sp = must_map_plain(ALTERNATE_SIZE);
	memset(stack.ss_sp, FILL, ALTERNATE_SIZE);
	if (sigaltstack(&stack, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
	target->alternate = stack.ss_sp;
	target->tid = syscall(SYS_gettid);
	target->user = geteuid();
	leave_dead();
	target->ready = 1;
	target->left[REGISTERS] = wait();
	target->left[RANGE] = count(RANGE_AT, PAGE);
	target->left[DEAD_STACK] = count(target->dead, DEAD_SIZE);
	target->left[SIGSTACK] = count(target->alternate, ALTERNATE_SIZE);
	sigaltstack(&none, NULL);
	munmap(stack.ss_sp, ALTERNATE_SIZE);
	target->done = 1;
}

/* Until *@word; false if that does not come. */
UNUSED static bool await(const volatile int *word)
{
	for (int i = 0; i < PATIENCE && !*word; i++)
		usleep(1000);
	return *word;
}

UNUSED static void must_await(const volatile int *word, const char *what)
{
	if (!await(word))
		tap_bail("%s did not come", what);
}

UNUSED static void target_begin(void)
{
	memset(target, 0, sizeof(*target));
}

UNUSED static pid_t start_process(wait_fn *wait)
{
	pid_t pid;

	target_begin();
	map_range(OWN);
	pid = must_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		target_run(wait);
		_exit(0);
	}
	must_await(&target->ready, "a target");
	return pid;
}

UNUSED static void *run_thread(void *wait)
{
	target_run((wait_fn *)wait);
	return NULL;
}

UNUSED static pthread_t start_thread(wait_fn *wait)
{
	pthread_t thread;

	target_begin();
	if (pthread_create(&thread, NULL, run_thread, (void *)wait))
		tap_bail("pthread_create failed");
	must_await(&target->ready, "a thread");
	return thread;
}

/* A range is the page that every target has. */
UNUSED static struct lethe_wipe wipe_args(pid_t tid, uint32_t flags)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = flags, .tid = tid };

	if (flags & LETHE_WIPE_RANGE) {
		args.start = (uintptr_t)RANGE_AT;
		args.length = PAGE;
	}
	return args;
}

UNUSED static int wipe_of(pid_t tid, uint32_t flags)
{
	struct lethe_wipe args = wipe_args(tid, flags);

	return call(LETHE_IOC_WIPE, &args);
}

UNUSED static int wipe_of_thread(pid_t tid, uint32_t flags)
{
	struct lethe_wipe args = wipe_args(tid, flags);

	return wipe_patiently(&args);
}

UNUSED static bool seize(pid_t pid, long options)
{
	return !ptrace(PTRACE_SEIZE, pid, NULL, options);
}

/* The next stop of a tracee's; what waitpid() has of it. */
UNUSED static int next_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		tap_bail("a tracee did not stop");
	return status;
}

UNUSED static bool seize_and_stop(pid_t pid)
{
	if (!seize(pid, 0) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return false;
	next_stop(pid);
	return true;
}

#endif /* LETHE_TESTS_TARGET_H */
