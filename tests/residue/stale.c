// SPDX-License-Identifier: MIT
/*
 * Tasks that had a secret in every register, were switched away from so, zeroed them
 * and sleep: one as it is; one after LETHE_WIPE_REGISTERS; one that was not switched
 * away from between the zeroing and the call, so that nothing had been saved since;
 * a thread that was preempted, as it is, and one that another thread of its process
 * has wiped; and a tracee, as it is after it was stopped, and wiped meanwhile.
 * What the kernel has kept of each is for the machine to show, whose memory is
 * written down by itself once this has said so. It looks for nothing.
 *
 * Prints a NEEDLE line for each, and then executes xchg %bx, %bx: to Bochs a
 * breakpoint, to everything else nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "needle.h"

static void die(const char *what)
{
	printf("FAILED %s: %s\n", what, strerror(errno));
	exit(1);
}

#define MOMENT ((struct timespec){ 0, 50 * 1000 * 1000 })

enum what { KEPT, WIPED, WIPED_AT_ONCE };

/* As long as it takes for the timer to preempt who has a competitor. */
#define SPINS 10000000UL

/* Switched away from with full registers, and zeroes them when it is back. */
static void sleep_and_zero(uint64_t *secret)
{
	struct timespec length = MOMENT;
	long number = SYS_nanosleep;

	registers_fill(secret);
	__asm__ volatile("movq $0, (%3)\n\tsyscall\n\t"
			 "vzeroall\n\t"
			 ".irp n, 0,1,2,3,4,5,6,7\n\tpxor %%mm\\n, %%mm\\n\n\t.endr\n\t"
			 "emms\n\t"
			 "xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d"
			 : "+a"(number)
			 : "D"(&length), "S"(0), "r"(secret)
			 : "rcx", "r8", "r9", "r10", "r11", "memory");
}

/* Preempted with full registers, and zeroes them when it is back. */
static void spin_and_zero(uint64_t *secret)
{
	unsigned long spins = SPINS;

	registers_fill(secret);
	__asm__ volatile(
		"movq $0, (%1)\n"
		"1:\tsubq $1, %0\n\t"
		"jnz 1b\n\t"
		"vzeroall\n\t"
		".irp n, 0,1,2,3,4,5,6,7\n\tpxor %%mm\\n, %%mm\\n\n\t.endr\n\t"
		"emms\n\t"
		"xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d\n\t"
		"xorl %%r11d, %%r11d"
		: "+r"(spins)
		: "r"(secret)
		: "r8", "r9", "r10", "r11", "memory", "cc");
}

static void wipe(int device, pid_t tid)
{
	struct lethe_wipe args = {
		.size = sizeof(args),
		.flags = LETHE_WIPE_REGISTERS,
		.tid = tid,
	};

	if (ioctl(device, LETHE_IOC_WIPE, &args))
		die("LETHE_WIPE_REGISTERS");
}

static void child(const char *name, enum what what, int to)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	struct needle needle;
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret) ||
	    needle_make(&needle, name, &secret, sizeof(secret)))
		die("a secret");
	sleep_and_zero(&secret);
	if (what != WIPED_AT_ONCE)
		nanosleep(&MOMENT, NULL);
	if (what != KEPT)
		wipe(device, 0);
	if (needle_write(to, &needle))
		die("a needle");
	for (;;)
		pause();
}

static const char *thread_name;
static int thread_to;
static atomic_int thread_tid;

static void *thread(void *arg)
{
	struct needle needle;
	uint64_t secret;

	(void)arg;
	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret) ||
	    needle_make(&needle, thread_name, &secret, sizeof(secret)))
		die("a secret");
	spin_and_zero(&secret);
	nanosleep(&MOMENT, NULL);
	if (needle_write(thread_to, &needle))
		die("a needle");
	thread_tid = gettid();
	for (;;)
		pause();
	return NULL;
}

/* The one processor's other user, while the thread has full registers. */
static void child_beside(const char *name, enum what what, int to)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	pthread_t other;

	thread_name = name;
	thread_to = to;
	if (pthread_create(&other, NULL, thread, NULL))
		die("pthread_create");
	while (!thread_tid)
		__builtin_ia32_pause();
	nanosleep(&MOMENT, NULL);
	if (what != KEPT)
		wipe(device, thread_tid);
	for (;;)
		pause();
}

static void be_tracee(const char *name, enum what what, int to)
{
	(void)what;
	child(name, KEPT, to);
}

/* By its parent, which traces it. */
static void stop_and_wipe(pid_t pid, enum what what)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, NULL, 0) != pid)
		die("ptrace");
	if (what != KEPT)
		wipe(device, pid);
	if (ptrace(PTRACE_DETACH, pid, 0, 0))
		die("PTRACE_DETACH");
	close(device);
}

static pid_t start(const char *name, enum what what,
		   void (*be)(const char *, enum what, int))
{
	struct needle needle;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		be(name, what, ends[1]);
	close(ends[1]);
	if (needle_read(ends[0], &needle) != 1)
		die(name);
	needle_print(stdout, &needle);
	return pid;
}

/* Once it sleeps, of which it has said that it is about to. */
static void start_traced(const char *name, enum what what)
{
	pid_t pid = start(name, what, be_tracee);

	nanosleep(&MOMENT, NULL);
	stop_and_wipe(pid, what);
}

int main(void)
{
	static const struct timespec moment = { 0, 100 * 1000 * 1000 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	registers_look();
	if (registers_have != HAVE_AVX)
		die("registers of AVX and no more");
	start("kept", KEPT, child);
	start("wiped", WIPED, child);
	start("at-once", WIPED_AT_ONCE, child);
	start("thread-kept", KEPT, child_beside);
	start("thread-wiped", WIPED, child_beside);
	start_traced("tracee-kept", KEPT);
	start_traced("tracee-wiped", WIPED);
	/* All have come to rest by then. */
	nanosleep(&moment, NULL);
	tcdrain(STDOUT_FILENO);
	__asm__ volatile("xchg %%bx, %%bx" : : : "memory");
	return 0;
}
