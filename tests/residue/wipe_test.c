// SPDX-License-Identifier: MIT
/*
 * LETHE_WIPE_RANGE, _DEAD_STACK and _SIGSTACK of the caller, of another thread and of
 * a tracee, searched from outside: by the host, in all of RAM, and by ptrace, from a
 * third process. The target has a secret of its own in each of the three places. One
 * is wiped at a time, and the same search has to find the other two: so each is the
 * others' control.
 *
 * What the kernel keeps of registers is erased each time: see kernel_test.c.
 */
#include <errno.h>
#include <linux/lethe.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "ask.h"
#include "needle.h"
#include "target.h"

#define PAGE 4096
#define SECRET 64
#define RANGE_PAGES 8
#define FRAME (16 * 1024)
#define SIGNAL_STACK (64 * 1024)

enum place { RANGE, DEAD_STACK, SIGNAL, NR_PLACES };

static const struct {
	const char *name;
	uint32_t flag;
} places[NR_PLACES] = {
	[RANGE] = { "LETHE_WIPE_RANGE", LETHE_WIPE_RANGE },
	[DEAD_STACK] = { "LETHE_WIPE_DEAD_STACK", LETHE_WIPE_DEAD_STACK },
	[SIGNAL] = { "LETHE_WIPE_SIGSTACK", LETHE_WIPE_SIGSTACK },
};

static void *map(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	return p;
}

/* Across a page's end, with pages beside it that were never touched. */
static void in_range(int to)
{
	uint8_t *p = map(RANGE_PAGES * PAGE), *secret = p + 3 * PAGE - 11;

	target_random(secret, SECRET);
	target_tell(to, places[RANGE].name, secret, SECRET);
	target_shared->start = (uintptr_t)p;
	target_shared->length = RANGE_PAGES * PAGE;
}

/* At the lower end of a frame so large that later calls do not come down to it. */
static __attribute__((noinline)) void on_dead_stack(int to)
{
	uint8_t frame[FRAME];

	target_random(frame, SECRET);
	target_tell(to, places[DEAD_STACK].name, frame, SECRET);
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void handle(int signal)
{
	(void)signal;
}

/*
 * A signal that is taken on its own stack with full registers, which the kernel
 * copies there; then zeros in them. The signal comes at the system call's end.
 */
static void on_signal_stack(int to)
{
	static uint64_t secret;
	stack_t stack = { .ss_sp = map(SIGNAL_STACK), .ss_size = SIGNAL_STACK };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };
	long number = SYS_tgkill, pid = getpid(), tid = gettid();

	if (sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &action, NULL))
		_exit(1);
	target_random(&secret, sizeof(secret));
	target_tell(to, places[SIGNAL].name, &secret, sizeof(secret));
	registers_fill(&secret);
	__asm__ volatile("movq $0, %1\n\tsyscall\n\t"
			 "vzeroall\n\t"
			 ".irp n, 0,1,2,3,4,5,6,7\n\tpxor %%mm\\n, %%mm\\n\n\t.endr\n\t"
			 "emms\n\t"
			 ".irp r, r8d,r9d,r10d\n\txorl %%\\r, %%\\r\n\t.endr"
			 : "+a"(number), "+m"(secret)
			 : "D"(pid), "S"(tid), "d"((long)SIGUSR1)
			 : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void leave(int to)
{
	in_range(to);
	on_dead_stack(to);
	on_signal_stack(to);
}

static uint64_t by_ptrace[NR_PLACES];

static void search_process(pid_t pid, const struct needle *needles)
{
	struct answer answer;
	char why[320];

	memset(by_ptrace, 0, sizeof(by_ptrace));
	if (ask_searcher(pid, needles, NR_PLACES, &answer, why, sizeof(why)))
		tap_bail("%s", why);
	for (int i = 0; i < NR_PLACES; i++)
		for (int where = 0; where < NR_WHERE; where++)
			by_ptrace[i] += answer.copies[i][where];
}

static void test(enum target_whose whose, enum place place)
{
	struct hostlink_found in_ram[NR_PLACES];
	struct needle needles[NR_PLACES];
	bool others = true;
	int from;
	pid_t pid;

	pid = target_start(whose, leave, places[place].flag | LETHE_WIPE_REGISTERS,
			   &from);
	for (int i = 0; i < NR_PLACES; i++)
		if (needle_read(from, &needles[i]) != 1)
			tap_bail("a child did not say what to search for");
	close(from);
	if (hostlink_search(places[place].name, needles, NR_PLACES, NULL, 0, in_ram,
			    NULL))
		tap_bail("the host could not search");
	search_process(pid, needles);
	target_end(pid);

	for (int i = 0; i < NR_PLACES; i++)
		others &= i == (int)place || (in_ram[i].copies && by_ptrace[i]);
	tap_ok(others && !in_ram[place].copies && !by_ptrace[place],
	       "%s of %s: nothing is left in RAM (%llu), nor to ptrace (%llu), of what the others leave",
	       places[place].name, target_names[whose],
	       (unsigned long long)in_ram[place].copies,
	       (unsigned long long)by_ptrace[place]);
	for (int i = 0; i < NR_PLACES; i++)
		if (i != (int)place)
			tap_note("left for %s: %llu copies in RAM, %llu to ptrace",
				 places[i].name, (unsigned long long)in_ram[i].copies,
				 (unsigned long long)by_ptrace[i]);
}

int main(void)
{
	if (hostlink_open())
		tap_skip_all("a virtual machine whose host can search it");
	if (target_open())
		tap_skip_all(LETHE_DEVICE);
	registers_look();
	target_pin(0);
	tap_plan(NR_TARGETS * NR_PLACES);
	for (int whose = 0; whose < NR_TARGETS; whose++)
		for (int place = 0; place < NR_PLACES; place++)
			test(whose, place);
	return tap_end();
}
