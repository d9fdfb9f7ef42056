// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_REGISTERS, searched from outside: what the kernel keeps of a task
 * that had a secret, wiped all that is its own, and sleeps. Each search has its
 * control in the same run: a task that did the same without the call.
 *
 * The kernel was booted with randomize_kstack_offset=off: kmod/README.md says
 * what that moves out of reach. What INIT does is not here, as QEMU does not
 * model it (tests/vm/bochs.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "needle.h"

/* As many as poll() copies to the kernel's stack, and not to its heap. */
#define FDS 29
/* Some tenths of a second: as many ticks as it takes. */
#define SPINS 100000000UL
#define TRIES 20

static int device;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		tap_bail("CPU %d: %s", cpu, strerror(errno));
}

static void random_bytes(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		_exit(1);
}

static void tell(int to, const char *name, const void *secret, size_t n)
{
	struct needle needle;

	if (needle_make(&needle, name, secret, n) || needle_write(to, &needle))
		_exit(1);
}

/*
 * poll() puts its array on the kernel's stack and leaves it there. No descriptor
 * in it is one, and what it returns for such is zero.
 */
static void on_kernel_stack(int to)
{
	struct pollfd fds[FDS];

	random_bytes(fds, sizeof(fds));
	for (int i = 0; i < FDS; i++) {
		fds[i].fd |= 1U << 31;
		fds[i].revents = 0;
	}
	tell(to, "stack", fds, sizeof(fds));
	if (poll(fds, FDS, 0))
		_exit(1);
	explicit_bzero(fds, sizeof(fds));
}

/*
 * Full registers in user space until the timer has interrupted it, and then
 * zeros in them. All that it needs on the way is in memory.
 */
static void in_registers(int to)
{
	static unsigned long spins;
	static uint64_t secret;

	random_bytes(&secret, sizeof(secret));
	tell(to, "registers", &secret, sizeof(secret));
	spins = SPINS;
	registers_fill(&secret);
	__asm__ volatile("movq $0, %0\n"
			 "1:\tsubq $1, %1\n\t"
			 "jnz 1b\n\t"
			 ".irp r, eax,ecx,edx,esi,edi,r8d,r9d,r10d,r11d\n\t"
			 "xorl %%\\r, %%\\r\n\t"
			 ".endr\n\t"
			 "vzeroall\n\t"
			 ".irp n, 0,1,2,3,4,5,6,7\n\tpxor %%mm\\n, %%mm\\n\n\t.endr\n\t"
			 "emms"
			 : "+m"(secret), "+m"(spins)
			 :
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "memory", "cc");
}

static void wipe(void)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = LETHE_WIPE_REGISTERS };

	if (ioctl(device, LETHE_IOC_WIPE, &args))
		_exit(1);
}

/* Asleep in the kernel, with no more to do. */
static void wait_asleep(pid_t pid)
{
	char path[32], line[128], *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 3000; i++) {
		file = fopen(path, "r");
		if (!file || !fgets(line, sizeof(line), file))
			break;
		fclose(file);
		state = strrchr(line, ')');
		if (state && state[2] == 'S')
			return;
		usleep(20 * 1000);
	}
	tap_bail("a child does not come to rest");
}

/* How much of it is in RAM, of a child on a CPU of its own that sleeps by then. */
static struct hostlink_found plant(void (*how)(int), bool wiped)
{
	struct hostlink_found found;
	struct needle needle;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		pin(1);
		how(ends[1]);
		if (wiped)
			wipe();
		for (;;)
			pause();
	}
	close(ends[1]);
	if (needle_read(ends[0], &needle) != 1)
		tap_bail("a child did not say what to search for");
	close(ends[0]);
	wait_asleep(pid);
	if (hostlink_search(wiped ? "wiped" : "as it is", &needle, 1, NULL, 0, &found,
			    NULL))
		tap_bail("the host could not search");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return found;
}

/* What interrupts the other CPU between, by chance, may hide it once. */
static struct hostlink_found control(void (*how)(int))
{
	struct hostlink_found found = { 0 };

	for (int i = 0; i < TRIES && !found.copies; i++)
		found = plant(how, false);
	return found;
}

int main(void)
{
	struct hostlink_found kept, left;

	if (hostlink_open()) {
		puts("KTAP version 1\n1..0 # SKIP a virtual machine whose host can search it");
		return 4;
	}
	device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		puts("KTAP version 1\n1..0 # SKIP " LETHE_DEVICE);
		return 4;
	}
	registers_look();
	pin(0);
	tap_plan(4);

	kept = control(on_kernel_stack);
	left = plant(on_kernel_stack, true);
	tap_ok(kept.copies > 0,
	       "what poll() was given stays on the kernel's stack (%llu copies)",
	       (unsigned long long)kept.copies);
	tap_ok(!left.copies,
	       "after LETHE_WIPE_REGISTERS nothing of it does (%llu copies)",
	       (unsigned long long)left.copies);

	kept = control(in_registers);
	left = plant(in_registers, true);
	tap_ok(kept.copies > 0,
	       "of registers at an interrupt, zeroed since, the kernel keeps some (%llu copies)",
	       (unsigned long long)kept.copies);
	tap_ok(!left.copies, "after LETHE_WIPE_REGISTERS it keeps none (%llu copies)",
	       (unsigned long long)left.copies);
	return tap_end();
}
