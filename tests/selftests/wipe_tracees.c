// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_WIPE of a stopped tracee: what is wiped of it to the byte, what is
 * counted, and that it goes on as if nothing had been. Whether it may be asked for
 * is wipe_who.c's subject.
 */
#include <elf.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>

#include "ustack.h"

#define NR ((size_t)64)
#define ROUNDS 20
#define AREA 16384

/* Shared with the tracee, beside what it has for itself. */
static struct {
	volatile int ready, there, go;
	volatile int tid;
	struct below below;
	unsigned char *low;
	size_t left[4];
	bool good;
} * shared;

static unsigned char *stack; /* at the same address in both, and private */
static struct lethe_wipe last;

static int wipe(pid_t tid, uint32_t flags, void *start, size_t length)
{
	last = (struct lethe_wipe){
		.size = sizeof(last),
		.flags = flags,
		.tid = tid,
		.start = (uintptr_t)start,
		.length = length,
	};
	return call(LETHE_IOC_WIPE, &last);
}

static pid_t start(void (*run)(void))
{
	pid_t pid;

	fflush(stdout);
	memset((void *)shared, 0, sizeof(*shared));
	pid = must_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		run();
		_exit(0);
	}
	for (int i = 0; i < 10000 && !shared->there; i++)
		usleep(1000);
	if (!shared->there || ptrace(PTRACE_SEIZE, pid, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
	    waitpid(pid, NULL, __WALL) != pid)
		tap_bail("no tracee: %s", strerror(errno));
	return pid;
}

static int let_go(pid_t pid)
{
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	shared->go = 1;
	return end_of(pid);
}

static void wait_for_go(void)
{
	shared->there = 1;
	while (!shared->go)
		usleep(1000);
}

static void spin(void)
{
	spin_below(&shared->there, &shared->go, &shared->below);
}

static void run_exact(void)
{
	stack[3 * PAGE + 1] = FILL;
	run_on(stack, NR * PAGE, spin);
	shared->left[0] = stack[3 * PAGE + 1];
	shared->left[1] = resident_pages(stack, stack + 4 * PAGE);
	shared->low = lowest_resident(stack + 4 * PAGE, stack + NR * PAGE);
}

static void test_exact(void)
{
	pid_t pid = start(run_exact);
	int err;

	let_go(pid);
	tap_ok(red_zone_kept(&shared->below, FILL) && shared->left[0],
	       "without the call all that is below a tracee's stack pointer stays (control)");
	pid = start(run_exact);
	err = wipe(pid, LETHE_WIPE_DEAD_STACK, NULL, 0);
	let_go(pid);
	tap_ok(!err && red_zone_kept(&shared->below, 0),
	       "the 128 bytes below it survive, and the 129th does not");
	tap_ok(!shared->left[0] && shared->left[1] == 1,
	       "a page far down is wiped, and those between stay untouched");
	tap_ok(last.wiped == PAGE + shared->below.sp - RED_ZONE -
				       (uintptr_t)shared->low &&
		       !last.skipped && !last.dropped,
	       "and the bytes wiped are counted, no others");
}

static void run_range(void)
{
	int file = memfd_create("shared", 0);
	unsigned char *map = stack;

	memset(map, FILL, 4 * PAGE);
	mprotect(map + PAGE, PAGE, PROT_READ);
	mprotect(map + 2 * PAGE, PAGE, PROT_NONE);
	if (ftruncate(file, PAGE) ||
	    mmap(map + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 file, 0) == MAP_FAILED ||
	    mmap(map + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 must_create(PAGE), 0) == MAP_FAILED)
		_exit(1);
	memset(map + 4 * PAGE, FILL, 2 * PAGE);
	wait_for_go();
	mprotect(map, 4 * PAGE, PROT_READ);
	shared->left[0] = count_fill(map, PAGE) + count_fill(map + 3 * PAGE, PAGE);
	shared->left[1] = count_fill(map + PAGE, 2 * PAGE);
	shared->left[2] = count_fill(map + 4 * PAGE, 2 * PAGE);
	shared->left[3] = resident_pages(map, map + NR * PAGE);
}

static void test_range(void)
{
	pid_t pid;
	int err;

	memset(stack, FILL, NR * PAGE);
	pid = start(run_range);
	err = wipe(pid, LETHE_WIPE_RANGE, stack, 6 * PAGE);
	let_go(pid);
	tap_ok(!err && !shared->left[0],
	       "of a range of it, what it could write is wiped");
	tap_ok(shared->left[1] == 2 * PAGE && last.skipped == 2 * PAGE,
	       "what is read-only or PROT_NONE to it is left, and counted as skipped");
	tap_ok(!shared->left[2], "its shared memory and its secret pages are wiped too");
	tap_ok(last.wiped == 4 * PAGE && !last.dropped, "and counted as wiped");
	tap_ok(all_are(stack, FILL, NR * PAGE),
	       "and the tracer's own memory at these addresses is as it was");
	madvise(stack, NR * PAGE, MADV_DONTNEED);
}

static void run_all(void)
{
	unsigned char *alternate = stack + 8 * PAGE, *dead;
	stack_t install = { .ss_sp = alternate, .ss_size = 16 * PAGE };

	sigaltstack(&install, NULL);
	memset(stack, FILL, 32 * PAGE);
	dead = leave_frame(128 * 1024);
	wait_for_go();
	shared->left[0] = count_fill(stack, PAGE);
	shared->left[1] = count_fill(dead, 64 * 1024);
	shared->left[2] = count_fill(alternate, 16 * PAGE);
	shared->left[3] = count_fill(stack, 32 * PAGE);
}

static void test_all(void)
{
	const uint32_t registers = must_query().features & LETHE_FEATURE_WIPE_REGISTERS ?
					   LETHE_WIPE_REGISTERS :
					   0;
	pid_t pid = start(run_all);
	int err;

	err = wipe(pid,
		   LETHE_WIPE_RANGE | LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK |
			   registers,
		   stack, PAGE);
	let_go(pid);
	tap_ok(!err && !shared->left[0] && !shared->left[1] && !shared->left[2] &&
		       last.wiped >= 17 * PAGE + 64 * 1024,
	       "all that there is in one call: all of it is wiped and counted");
	tap_ok(shared->left[3] == 15 * PAGE, "and nothing beside it");
}

static void handle(int number)
{
	(void)number;
	leave_frame(16 * PAGE);
	spin();
}

static void run_alternate(void)
{
	stack_t install = { .ss_sp = stack + 8 * PAGE, .ss_size = 40 * PAGE };
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK };
	unsigned char *dead = leave_frame(128 * 1024);

	sigaltstack(&install, NULL);
	sigaction(SIGUSR1, &action, NULL);
	memset(stack, FILL, 10 * PAGE);
	raise(SIGUSR1);
	shared->left[0] = count_fill(stack, 8 * PAGE);
	shared->left[1] = count_fill(stack + 8 * PAGE, 36 * PAGE);
	shared->left[2] = count_fill(dead, 64 * 1024);
}

static void test_alternate(void)
{
	pid_t pid = start(run_alternate);
	int err = wipe(pid, LETHE_WIPE_SIGSTACK, NULL, 0);

	let_go(pid);
	tap_ok(err == -EBUSY && !last.wiped && shared->left[1] > 8 * PAGE,
	       "the alternate stack that it is on is EBUSY, and not touched");
	pid = start(run_alternate);
	err = wipe(pid, LETHE_WIPE_DEAD_STACK, NULL, 0);
	let_go(pid);
	tap_ok(!err && !shared->left[1] && red_zone_kept(&shared->below, 0),
	       "what is dead of that is wiped by LETHE_WIPE_DEAD_STACK");
	tap_ok(shared->left[0] == 8 * PAGE && shared->left[2] == 64 * 1024,
	       "and neither what is below it nor the stack that was interrupted");
}

static void run_sleep(void)
{
	struct timespec length = { .tv_nsec = 500 * 1000 * 1000 }, from, to;

	shared->there = 1;
	clock_gettime(CLOCK_MONOTONIC, &from);
	shared->good = !nanosleep(&length, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	shared->good &= to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9 >=
			0.5;
}

static void read_area(pid_t pid, int which, unsigned char *area, size_t *length)
{
	struct iovec iov = { area, *length };

	if (ptrace(PTRACE_GETREGSET, pid, which, &iov))
		tap_bail("PTRACE_GETREGSET: %s", strerror(errno));
	*length = iov.iov_len;
}

static void test_registers(void)
{
	static unsigned char before[2][AREA], after[2][AREA];
	static const int which[] = { NT_PRSTATUS, NT_X86_XSTATE };
	pid_t pid = start(run_sleep);
	bool same = true;
	int err;

	for (int i = 0; i < 2; i++) {
		size_t length = AREA;

		read_area(pid, which[i], before[i], &length);
	}
	err = wipe(pid, LETHE_WIPE_REGISTERS, NULL, 0);
	if (err == -EOPNOTSUPP)
		err = 0;
	for (int i = 0; i < 2; i++) {
		size_t length = AREA;

		read_area(pid, which[i], after[i], &length);
		same &= !memcmp(before[i], after[i], length);
	}
	tap_ok(!err && same, "its registers are what they were, by its tracer's reading");
	tap_ok(!let_go(pid) && shared->good,
	       "and the sleep that it was in goes on to its end");
}

static void *run_untraced(void *unused)
{
	shared->tid = syscall(SYS_gettid);
	wait_for_go();
	return unused;
}

static void run_with_thread(void)
{
	pthread_t thread;

	memset(stack, FILL, PAGE);
	if (!pthread_create(&thread, NULL, run_untraced, NULL))
		pthread_join(thread, NULL);
	shared->left[0] = count_fill(stack, PAGE);
}

static void test_untraced(void)
{
	pid_t pid = start(run_with_thread);
	int err = wipe(shared->tid, LETHE_WIPE_RANGE, stack, PAGE);
	int dead = wipe(shared->tid, LETHE_WIPE_DEAD_STACK, NULL, 0);

	let_go(pid);
	tap_ok(err == -ESRCH && dead == -ESRCH && shared->left[0] == PAGE,
	       "a thread of its process which is not traced itself is ESRCH, and is not wiped");
}

static void run_busy(void)
{
	memset(stack, FILL, NR * PAGE);
	leave_frame(128 * 1024);
	wait_for_go();
}

/* Killed in the middle, it is no longer stopped, and then no longer there. */
static void test_killed(void)
{
	size_t done = 0, wrong = 0, gone = 0;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = start(run_busy), killer = must_fork();
		int err = 0;

		if (!killer) {
			usleep(500 * i);
			_exit(kill(pid, SIGKILL));
		}
		while (err != -ESRCH) {
			err = wipe(pid,
				   LETHE_WIPE_RANGE | LETHE_WIPE_DEAD_STACK |
					   LETHE_WIPE_SIGSTACK | LETHE_WIPE_REGISTERS,
				   stack, NR * PAGE);
			done += !err;
			gone += err == -ESRCH;
			wrong += err && err != -ESRCH && err != -EAGAIN &&
				 err != -EOPNOTSUPP;
		}
		wrong += end_of(pid) != -SIGKILL;
		end_of(killer);
	}
	tap_ok(done && gone == ROUNDS && !wrong,
	       "one that is killed meanwhile: done (%zu), EAGAIN, and ESRCH for good",
	       done);
}

int main(void)
{
	door_open();
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	stack = must_map_pages(NR);
	tap_plan(18);
	test_exact();
	test_range();
	test_all();
	test_alternate();
	test_registers();
	test_untraced();
	test_killed();
	return tap_end();
}
