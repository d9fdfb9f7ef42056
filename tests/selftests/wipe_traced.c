// SPDX-License-Identifier: MIT
/*
 * The wipe call of a tracee, over and over, at whatever it was stopped by, while its
 * own threads wipe each other too: its registers, its frames and its signals are
 * those that they were. What is erased is not to be seen from here (tests/residue).
 *
 * LETHE_RACE_SECONDS says how long.
 */
#include <elf.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "door.h"
#include "race.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define SECONDS 5
#define TICK_NS 5000000
#define DEPTH 100
#define HANDLER_DEPTH 10
#define SIGNAL_STACK (64 * 1024)
#define XSTATE 16384
#define SYSCALL_STOP (SIGTRAP | 0x80)

enum what { FRAMES, VECTORS, SIGNALS, NR_WHAT };
enum who { DEEP, VECTOR, WIPER, NR_THREADS };

/* A page that tracer and tracee both see. */
static struct shared {
	atomic_ulong looked[NR_WHAT], bad[NR_WHAT];
	atomic_int tids[NR_THREADS];
	atomic_bool ending;
	atomic_int wrong;
} * shared;

static uint64_t randomness = 0x9e3779b97f4a7c15ULL;

static void look(enum what what, unsigned int wrong)
{
	shared->looked[what]++;
	shared->bad[what] += wrong;
}

static void on_signal(int signal)
{
	look(SIGNALS, race_recurse(HANDLER_DEPTH, signal, race_red_zone));
}

static void tick(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGUSR1 };
	struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	stack_t stack = { .ss_sp = must_map_plain(SIGNAL_STACK),
			  .ss_size = SIGNAL_STACK };
	timer_t timer;

	event.sigev_notify_thread_id = gettid();
	if (sigaltstack(&stack, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		_exit(1);
}

/* One thread of the tracee. */
static void *live(void *arg)
{
	enum who who = (uintptr_t)arg;
	uint64_t seed, random = who + 1;

	if (who == DEEP)
		tick();
	shared->tids[who] = gettid();
	while (!shared->ending) {
		seed = race_random(&random);
		if (who == DEEP)
			look(FRAMES, race_recurse(seed % DEPTH, seed, race_red_zone));
		else if (who == VECTOR)
			look(VECTORS, race_vectors(seed));
		else
			race_wipe(shared->tids[seed % NR_THREADS],
				  (1 + seed % ALL_FLAGS) & ~LETHE_WIPE_RANGE ?: 2, 0, 0);
	}
	return NULL;
}

static void be_traced(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_ONSTACK | SA_RESTART };
	pthread_t threads[NR_THREADS];

	sigaction(SIGUSR1, &action, NULL);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, live, (void *)i))
			_exit(1);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	shared->wrong = race_calls.wrong;
	_exit(0);
}

struct state {
	struct user_regs_struct general;
	unsigned char xstate[XSTATE];
	size_t length;
};

static bool read_state(pid_t tid, struct state *state)
{
	struct iovec area = { state->xstate, sizeof(state->xstate) };

	if (ptrace(PTRACE_GETREGS, tid, NULL, &state->general) ||
	    ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &area))
		return false;
	state->length = area.iov_len;
	return true;
}

static unsigned long stops, compared, changed;
static uint64_t dead, dead_length;

/* Wiped in some way, and its registers before and after. */
static void wipe_stopped(pid_t tid)
{
	uint32_t flags = 1 + race_random(&randomness) % ALL_FLAGS;
	static struct state before, after;

	stops++;
	if (!read_state(tid, &before))
		return;
	race_wipe(tid, flags, dead, dead_length);
	if (!read_state(tid, &after))
		return;
	compared++;
	changed += before.length != after.length ||
		   memcmp(&before.general, &after.general, sizeof(before.general)) ||
		   memcmp(before.xstate, after.xstate, before.length);
}

/* On with it: with its signal, if that is what it was stopped by. */
static void go_on(pid_t tid, int status)
{
	int signal = WSTOPSIG(status);

	if (status >> 16 || signal == SYSCALL_STOP)
		signal = 0;
	ptrace(race_random(&randomness) % 4 ? PTRACE_CONT : PTRACE_SYSCALL, tid, NULL,
	       (void *)(uintptr_t)signal);
}

static unsigned long running, running_again;

/* Most of the time it is not stopped; a signal may have stopped it by now. */
static void wipe_running(pid_t tid)
{
	running++;
	running_again += race_wipe(tid, LETHE_WIPE_DEAD_STACK, 0, 0) == -EAGAIN;
}

static void attach(pid_t pid)
{
	for (int i = 0; i < NR_THREADS; i++) {
		while (!shared->tids[i])
			usleep(1000);
		if (ptrace(PTRACE_SEIZE, shared->tids[i], NULL, PTRACE_O_TRACESYSGOOD))
			tap_bail("PTRACE_SEIZE: %s", strerror(errno));
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD))
		tap_bail("PTRACE_SEIZE: %s", strerror(errno));
}

/* Until the process has ended; its exit status. */
static int trace(pid_t pid, double end)
{
	pid_t tid;
	int status;

	for (;;) {
		pid_t next = shared->tids[race_random(&randomness) % NR_THREADS];

		if (race_clock() > end) {
			shared->ending = true;
		} else {
			wipe_running(next);
			ptrace(PTRACE_INTERRUPT, next, NULL, NULL);
		}
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			tap_bail("waitpid: %s", strerror(errno));
		if (WIFSTOPPED(status)) {
			wipe_stopped(tid);
			go_on(tid, status);
		} else if (tid == pid) {
			return status;
		}
	}
}

static void report(enum what what, const char *guarantee)
{
	tap_ok(shared->looked[what] && !shared->bad[what], "%s (%lu times; %lu wrong)",
	       guarantee, (unsigned long)shared->looked[what],
	       (unsigned long)shared->bad[what]);
}

int main(void)
{
	unsigned char *range;
	int status;
	pid_t pid;

	door_open();
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	range = must_map_plain(8 * PAGE);
	if (shared == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	dead = (uintptr_t)range + 100;
	dead_length = 4 * PAGE;
	memset(range, 1, 8 * PAGE);
	tap_plan(8);
	pid = must_fork();
	if (!pid)
		be_traced();
	attach(pid);
	status = trace(pid, race_clock() + race_seconds(SECONDS));

	race_report("a tracee");
	tap_ok(running_again, "one that is not stopped is EAGAIN (%lu of %lu)",
	       running_again, running);
	tap_ok(compared && !changed,
	       "each register of a stopped one is what it was (%lu stops, %lu compared, %lu changed)",
	       stops, compared, changed);
	report(FRAMES, "its frames that are live, and the red zone, are left alone");
	report(VECTORS, "its vector registers hold what they held");
	report(SIGNALS, "its handler's frames are left alone, on the alternate stack");
	tap_ok(!status && !shared->wrong,
	       "it ends as it would have, and its own calls failed as documented (%#x, %s)",
	       status, strerror(shared->wrong));
	return tap_end();
}
