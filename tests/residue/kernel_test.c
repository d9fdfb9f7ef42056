// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_REGISTERS, searched from outside: what the kernel keeps of a task
 * that had a secret, wiped all that is its own, and is at rest: of the caller, of
 * another thread, and of a tracee that went on. Each search has its
 * control in the same run: a task that did the same without the call.
 *
 * The kernel was booted with randomize_kstack_offset=off: kmod/README.md says
 * what that moves out of reach. What INIT does is not here, as QEMU does not
 * model it (tests/vm/bochs.py).
 */
#include <linux/lethe.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "needle.h"
#include "record.h"
#include "target.h"

/* As many as poll() copies to the kernel's stack, and not to its heap. */
#define FDS 29
/* Some tenths of a second: as many ticks as it takes. */
#define SPINS 100000000UL
#define TRIES 20

/* What is added up, of every target, to a row. */
struct row {
	const char *name;
	uint64_t control, copies, searched;
};

static struct row dead_stack = { .name = "dead kernel stack" };
static struct row pt_regs = { .name = "pt_regs" };

/*
 * poll() puts its array on the kernel's stack and leaves it there. No descriptor
 * in it is one, and what it returns for such is zero.
 */
static void on_kernel_stack(int to)
{
	struct pollfd fds[FDS];

	target_random(fds, sizeof(fds));
	for (int i = 0; i < FDS; i++) {
		fds[i].fd |= 1U << 31;
		fds[i].revents = 0;
	}
	target_tell(to, "stack", fds, sizeof(fds));
	if (poll(fds, FDS, 0))
		_exit(1);
	explicit_bzero(fds, sizeof(fds));
}

/*
 * An address where nothing is, which is looked for several calls deeper. The low
 * twelve bits are those of a page's start, as the kernel has it all the way down.
 */
static void deep_on_kernel_stack(int to)
{
	unsigned char byte;
	struct iovec here = { &byte, 1 }, there = { .iov_len = 1 };
	volatile uint8_t *address = (volatile uint8_t *)&there.iov_base;

	target_random(&there.iov_base, sizeof(there.iov_base));
	address[0] = 0;
	address[1] &= 0xf0;
	address[7] = 0x5a;
	target_tell(to, "address", &there.iov_base, sizeof(there.iov_base));
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) >= 0)
		_exit(1);
	explicit_bzero(&there, sizeof(there));
}

/*
 * Full registers in user space until the timer has interrupted it, and then
 * zeros in them. All that it needs on the way is in memory.
 */
static void in_registers(int to)
{
	static unsigned long spins;
	static uint64_t secret;

	target_random(&secret, sizeof(secret));
	target_tell(to, "registers", &secret, sizeof(secret));
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

/* How much of it is in RAM, of a task that has come to rest by then. */
static struct hostlink_found plant(enum target_whose whose, void (*how)(int), bool wiped,
				   uint64_t *searched)
{
	struct hostlink_found found;
	struct needle needle;
	pid_t pid;
	int from;

	pid = target_start(whose, how, wiped ? LETHE_WIPE_REGISTERS : 0, &from);
	if (needle_read(from, &needle) != 1)
		tap_bail("a child did not say what to search for");
	close(from);
	if (hostlink_search(wiped ? "wiped" : "as it is", &needle, 1, NULL, 0, &found,
			    searched))
		tap_bail("the host could not search");
	target_end(pid);
	return found;
}

/* What interrupts the other CPU between, by chance, may hide it once. */
static struct hostlink_found control(enum target_whose whose, void (*how)(int))
{
	struct hostlink_found found = { 0 };

	for (int i = 0; i < TRIES && !found.copies; i++)
		found = plant(whose, how, false, NULL);
	return found;
}

static void test(enum target_whose whose, void (*how)(int), const char *what,
		 struct row *row)
{
	struct hostlink_found kept = control(whose, how), left;
	uint64_t searched;

	left = plant(whose, how, true, &searched);
	row->control += kept.copies;
	row->copies += left.copies;
	row->searched += searched;
	tap_ok(kept.copies > 0, "of %s the kernel keeps %s (%llu copies)",
	       target_names[whose], what, (unsigned long long)kept.copies);
	tap_ok(!left.copies, "after LETHE_WIPE_REGISTERS it keeps nothing of that (%llu)",
	       (unsigned long long)left.copies);
}

static void record(const struct row *row)
{
	residue_record(row->name, "kmod", row->control, row->copies, row->searched, "");
}

int main(void)
{
	if (hostlink_open())
		tap_skip_all("a virtual machine whose host can search it");
	if (target_open())
		tap_skip_all(LETHE_DEVICE);
	registers_look();
	target_pin(0);
	tap_plan(6 * NR_TARGETS - 2);
	for (int whose = 0; whose < NR_TARGETS; whose++) {
		/* To be stopped takes as much of the stack as poll() does. */
		if (whose != TARGET_TRACEE)
			test(whose, on_kernel_stack,
			     "what poll() was given, on its stack", &dead_stack);
		test(whose, deep_on_kernel_stack,
		     "what process_vm_readv() was given, on its stack", &dead_stack);
		test(whose, in_registers,
		     "some of the registers at an interrupt, zeroed since", &pt_regs);
	}
	record(&dead_stack);
	record(&pt_regs);
	return tap_end();
}
