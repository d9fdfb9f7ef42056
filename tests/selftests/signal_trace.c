// SPDX-License-Identifier: MIT
/*
 * A section under a tracer: stepped through instruction by instruction, stopped at
 * each system call, stopped and continued at whim. Its result is right, and the
 * tracer finds nothing of it in the registers when it is over.
 *
 * The control: the same function without a section, in which it finds all of it.
 */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "signals.h"

#define MOST_STOPS 1000000

/* What the traced tells its tracer, and how it is to be run. */
struct shared {
	bool plainly;
	bool result, ended;
	size_t left_below;
	size_t sections, wrong;
	volatile bool enough;
};

static struct shared *shared;

/* Short, since each of its instructions is two switches, which a guest has slowly. */
static void compute(void *arg)
{
	volatile uint64_t secret = ~complement;
	volatile uint64_t frame[64];
	bool *right = arg;
	size_t i;

	for (i = 0; i < 64; i++)
		frame[i] = secret + i;
	*right = getppid() == (pid_t)syscall(SYS_getppid) &&
		 lethe_enabled() == !shared->plainly;
	for (i = 0; i < 64; i++)
		*right &= frame[i] - i == secret;
	signals_fill((void *)&secret);
}

static int run_section(bool *right)
{
	const struct lethe_options options = { .size = sizeof(options),
					       .stack_size = 16384 };

	return lethe_do_with(&options, compute, right, NULL);
}

static NOINLINE void traced(void)
{
	bool right = false;

	/* What is made once is made now. */
	if (run_section(&right))
		_exit(2);
	right = false;
	touch_below();
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		_exit(3);
	__asm__ volatile("int3");
	if (shared->plainly)
		compute(&right);
	else if (run_section(&right))
		_exit(4);
	__asm__ volatile("int3");
	shared->left_below = copies_below();
	shared->result = right;
	shared->ended = true;
	_exit(0);
}

/* In what the tracer can see: the general registers, and all others. */
static size_t copies_in_registers(pid_t pid)
{
	static struct user_regs_struct general;
	static uint8_t others[8192] __attribute__((aligned(64)));
	struct iovec vec = { others, sizeof(others) };

	memset(others, 0, sizeof(others));
	if (ptrace(PTRACE_GETREGS, pid, 0, &general) < 0 ||
	    ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &vec) < 0)
		tap_bail("ptrace: %s", strerror(errno));
	return copies(&general, &general + 1) + copies(others, others + vec.iov_len);
}

struct way {
	const char *name;
	int request;
};

/* What came of it, as the tracer saw it. */
struct seen {
	size_t stops, calls, most, at_end;
	int status;
};

static bool at_breakpoint(pid_t pid)
{
	siginfo_t info;

	return !ptrace(PTRACE_GETSIGINFO, pid, 0, &info) && info.si_signo == SIGTRAP &&
	       info.si_code == SI_KERNEL;
}

/* What to hand on: no stop of the tracer's own. */
static int to_deliver(int status, struct seen *seen)
{
	int number = WSTOPSIG(status);

	if (number == (SIGTRAP | 0x80)) {
		seen->calls++;
		return 0;
	}
	if (number != SIGTRAP)
		return number;
	return 0;
}

static void look(pid_t pid, struct seen *seen)
{
	size_t found = copies_in_registers(pid);

	if (found > seen->most)
		seen->most = found;
}

static void follow(pid_t pid, const struct way *way, struct seen *seen)
{
	int number = 0;

	while (seen->stops++ < MOST_STOPS) {
		ptrace(way->request, pid, 0, number);
		if (waitpid(pid, &seen->status, 0) != pid || !WIFSTOPPED(seen->status))
			return;
		if (!(seen->stops % 16))
			look(pid, seen);
		if (WSTOPSIG(seen->status) == SIGTRAP && at_breakpoint(pid))
			return;
		number = to_deliver(seen->status, seen);
	}
}

static struct seen run(const struct way *way, bool plainly)
{
	struct seen seen = { 0 };
	pid_t pid;

	new_secret();
	memset(shared, 0, sizeof(*shared));
	shared->plainly = plainly;
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		traced();
	if (waitpid(pid, &seen.status, 0) != pid || !WIFSTOPPED(seen.status))
		return seen;
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	follow(pid, way, &seen);
	if (WIFSTOPPED(seen.status)) {
		seen.at_end = copies_in_registers(pid);
		ptrace(PTRACE_CONT, pid, 0, 0);
		waitpid(pid, &seen.status, 0);
	}
	return seen;
}

static void test(const struct way *way, size_t least)
{
	struct seen seen = run(way, false);

	tap_ok(!seen.status && shared->ended && shared->result && seen.stops > least &&
		       (way->request == PTRACE_SYSCALL ? seen.calls > 0 : seen.most > 0),
	       "%s: a section's result is right (%zu stops, %zu words seen meanwhile)",
	       way->name, seen.stops, seen.most);
	tap_ok(shared->ended && !seen.at_end && !shared->left_below,
	       "%s: and nothing of it is in a register after it (%zu words; %zu on the stack)",
	       way->name, seen.at_end, shared->left_below);
}

static void sections_until_told(void)
{
	bool right;

	touch_below();
	do {
		right = false;
		shared->wrong += !!run_section(&right) || !right;
		shared->left_below += copies_below();
		shared->sections++;
	} while (!shared->enough);
	_exit(0);
}

/* As a shell does it. */
static void test_stops(void)
{
	unsigned int stops = 0;
	int status = 0, i;
	pid_t pid;

	new_secret();
	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		sections_until_told();
	for (i = 0; i < 200; i++) {
		usleep(500);
		kill(pid, SIGSTOP);
		stops += waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
		kill(pid, SIGCONT);
		stops += waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status);
	}
	shared->enough = true;
	waitpid(pid, &status, 0);
	tap_ok(!status && stops == 400 && shared->sections > 0 && !shared->wrong &&
		       !shared->left_below,
	       "stopped and continued 200 times: %zu sections, %zu wrong, %zu words left",
	       shared->sections, shared->wrong, shared->left_below);
}

int main(void)
{
	static const struct way step = { "single-stepped", PTRACE_SINGLESTEP };
	static const struct way calls = { "stopped at system calls", PTRACE_SYSCALL };
	struct seen control;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	begin_tests(6);
	test(&step, 2000);
	test(&calls, 4);
	test_stops();
	control = run(&calls, true);
	tap_ok(!control.status && shared->result && control.at_end > 0,
	       "control: without a section, the tracer finds %zu words after it",
	       control.at_end);
	return tap_end();
}
