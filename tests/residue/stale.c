// SPDX-License-Identifier: MIT
/*
 * Three tasks that had a secret in every register, slept so, zeroed them and sleep
 * again: one as it is; one after LETHE_WIPE_REGISTERS; and one that was not switched
 * away from between the zeroing and the call, so that nothing had been saved since.
 * What the kernel has kept of each is for the machine to show, whose memory is
 * written down by itself once this has said so. It looks for nothing.
 *
 * Prints a NEEDLE line for each, and then executes xchg %bx, %bx: to Bochs a
 * breakpoint, to everything else nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
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

static void wipe(int device)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = LETHE_WIPE_REGISTERS };

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
		wipe(device);
	if (needle_write(to, &needle))
		die("a needle");
	for (;;)
		pause();
}

static void start(const char *name, enum what what)
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
		child(name, what, ends[1]);
	close(ends[1]);
	if (needle_read(ends[0], &needle) != 1)
		die(name);
	needle_print(stdout, &needle);
}

int main(void)
{
	static const struct timespec moment = { 0, 100 * 1000 * 1000 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	registers_look();
	if (registers_have != HAVE_AVX)
		die("registers of AVX and no more");
	start("kept", KEPT);
	start("wiped", WIPED);
	start("at-once", WIPED_AT_ONCE);
	/* All have come to rest by then. */
	nanosleep(&moment, NULL);
	tcdrain(STDOUT_FILENO);
	__asm__ volatile("xchg %%bx, %%bx" : : : "memory");
	return 0;
}
