// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_WIPE of threads that are at everything at once: wipe each other, take
 * signals, come and go, end the process. No call waits for ever, none fails in
 * another way than it says, and no byte that is live is lost.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "ustack.h"

#define THREADS 4
#define ROUNDS 20
#define STACKS (LETHE_WIPE_DEAD_STACK | LETHE_WIPE_SIGSTACK)

static const uint32_t choices[] = {
	LETHE_WIPE_DEAD_STACK,
	STACKS,
	LETHE_WIPE_REGISTERS,
	STACKS | LETHE_WIPE_REGISTERS,
};

static volatile int tids[THREADS];
static volatile bool over;
static volatile size_t done, again, busy, gone, wrong, lost, handled;

static void add(volatile size_t *sum)
{
	__atomic_add_fetch(sum, 1, __ATOMIC_RELAXED);
}

static void reset(void)
{
	memset((void *)tids, 0, sizeof(tids));
	over = false;
	done = again = busy = gone = wrong = lost = handled = 0;
}

/* Each frame holds what nothing but itself may change. */
__attribute__((noinline)) static void climb(int depth, uint64_t seed)
{
	volatile uint64_t frame[32];

	for (int i = 0; i < 32; i++)
		frame[i] = seed + depth + i;
	if (depth)
		climb(depth - 1, seed * 3 + 1);
	for (int i = 0; i < 32; i++)
		if (frame[i] != seed + depth + i)
			add(&lost);
}

static void wipe_one(pid_t tid, uint32_t flags)
{
	struct lethe_wipe args = { .size = sizeof(args), .flags = flags, .tid = tid };

	if (!(must_query().features & LETHE_FEATURE_WIPE_REGISTERS))
		args.flags = (flags & ~LETHE_WIPE_REGISTERS) ?: LETHE_WIPE_DEAD_STACK;
	switch (call(LETHE_IOC_WIPE, &args)) {
	case 0:
		add(&done);
		break;
	case -EAGAIN:
		add(&again);
		break;
	case -EBUSY:
		add(&busy);
		break;
	case -ESRCH:
		add(&gone);
		break;
	default:
		add(&wrong);
	}
}

static void wait_for_tid(int which)
{
	while (!tids[which])
		sched_yield();
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* For a second; on a machine that is too busy, until there was enough of it. */
static bool goes_on(double begin, size_t happened)
{
	return now() < begin + 1 || (happened <= 10 && now() < begin + 20);
}

/* Nobody goes while another may still ask for it. */
static pthread_barrier_t ends;

/* Wipes its neighbour, and has frames of its own to lose. */
static void *run_wiper(void *which)
{
	int own = (int)(intptr_t)which;

	tids[own] = syscall(SYS_gettid);
	wait_for_tid((own + 1) % THREADS);
	for (unsigned int i = 0; !over; i++) {
		wipe_one(tids[(own + 1) % THREADS], choices[i % 4]);
		climb(8, i);
	}
	pthread_barrier_wait(&ends);
	return NULL;
}

static void *run_climber(void *which)
{
	stack_t stack = { .ss_size = 16 * PAGE }, none = { .ss_flags = SS_DISABLE };

	stack.ss_sp = must_map_pages(16);
	sigaltstack(&stack, NULL);
	tids[(intptr_t)which] = syscall(SYS_gettid);
	for (uint64_t seed = 0; !over; seed++)
		climb(24, seed);
	sigaltstack(&none, NULL);
	munmap(stack.ss_sp, 16 * PAGE);
	return NULL;
}

static pthread_t start(void *(*run)(void *), int which)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, (void *)(intptr_t)which))
		tap_bail("pthread_create failed");
	return thread;
}

static void start_ring(pthread_t threads[THREADS])
{
	reset();
	pthread_barrier_init(&ends, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(run_wiper, i);
}

static void end_all(pthread_t *threads, int nr)
{
	over = true;
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
}

static void test_ring(void)
{
	pthread_t threads[THREADS];

	start_ring(threads);
	sleep(1);
	end_all(threads, THREADS);
	tap_ok(done > again && !wrong && !gone && !busy,
	       "%d threads that wipe each other in a ring: done (%zu) or EAGAIN (%zu)",
	       THREADS, done, again);
	tap_ok(!lost, "and no byte of their live frames is lost (%zu)", lost);
}

static void test_pair(void)
{
	pthread_t thread;

	reset();
	thread = start(run_climber, 0);
	wait_for_tid(0);
	for (double begin = now(); goes_on(begin, done);)
		for (int i = 0; i < 4; i++)
			wipe_one(tids[0], choices[i]);
	end_all(&thread, 1);
	tap_ok(done > again && !wrong && !gone && !busy,
	       "one that calls functions all the time: done (%zu) or EAGAIN (%zu)", done,
	       again);
	tap_ok(!lost, "and no byte of its live frames is lost (%zu)", lost);
}

static void handle(int number)
{
	climb(8, number);
	add(&handled);
}

static void *run_killer(void *thread)
{
	while (!over) {
		pthread_kill((pthread_t)thread, SIGUSR1);
		pthread_kill((pthread_t)thread, SIGUSR2);
		usleep(200);
	}
	return NULL;
}

static void test_signals(void)
{
	struct sigaction action = { .sa_handler = handle };
	pthread_t threads[2];

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	reset();
	threads[0] = start(run_climber, 0);
	wait_for_tid(0);
	if (pthread_create(&threads[1], NULL, run_killer, (void *)threads[0]))
		tap_bail("pthread_create failed");
	for (double begin = now(); goes_on(begin, handled);)
		for (int i = 0; i < 4; i++)
			wipe_one(tids[0], choices[i]);
	end_all(threads, 2);
	tap_ok(done && !wrong && !gone && handled > 10,
	       "under %zu signals: done (%zu), EBUSY (%zu) or EAGAIN (%zu)", handled,
	       done, busy, again);
	tap_ok(!lost, "and no byte of a live frame, a handler's too, is lost (%zu)",
	       lost);

	/* The caller takes them now. */
	reset();
	threads[0] = start(run_climber, 0);
	wait_for_tid(0);
	if (pthread_create(&threads[1], NULL, run_killer, (void *)pthread_self()))
		tap_bail("pthread_create failed");
	for (double begin = now(); goes_on(begin, handled);)
		wipe_one(tids[0], STACKS);
	end_all(threads, 2);
	tap_ok(done > again && !wrong && !gone && handled > 10,
	       "a caller that takes %zu signals is not disturbed: done (%zu), EAGAIN (%zu)",
	       handled, done, again);
}

static void *run_briefly(void *value)
{
	tids[0] = syscall(SYS_gettid);
	climb(4, (uintptr_t)value);
	return value;
}

static volatile size_t made;

/* Makes threads that end at once, and looks whether each did what it was to do. */
static void *run_maker(void *unused)
{
	for (made = 1; !over; made++) {
		pthread_t thread;
		void *value = NULL;

		if (pthread_create(&thread, NULL, run_briefly, (void *)made))
			tap_bail("pthread_create failed");
		pthread_join(thread, &value);
		if (value != (void *)made)
			add(&lost);
	}
	return unused;
}

static void test_brief(void)
{
	pthread_t thread;

	reset();
	thread = start(run_maker, 0);
	wait_for_tid(0);
	for (double begin = now(); goes_on(begin, gone ? made : 0);)
		for (int i = 0; i < 4; i++)
			wipe_one(tids[0], choices[i]);
	end_all(&thread, 1);
	tap_ok(made > 10 && gone && !wrong && !busy,
	       "%zu threads that begin and end: done (%zu), ESRCH (%zu) or EAGAIN (%zu)",
	       made, done, gone, again);
	tap_ok(!lost, "and each of them did what it was made for");
}

/* A process full of calls, ended in each way: none of them keeps it. */
static void end_amid(int how)
{
	pthread_t threads[THREADS];

	start_ring(threads);
	usleep(20 * 1000);
	if (how == 0)
		_exit(7);
	if (how == 1)
		execl("/proc/self/exe", "wipe_storm", "--end", NULL);
	if (how == 2)
		syscall(SYS_exit, 0);
	pause();
}

static size_t ends_amid(int how, int expect)
{
	size_t right = 0;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = must_fork();

		if (!pid)
			end_amid(how);
		if (how >= 2) {
			usleep(40 * 1000);
			kill(pid, SIGKILL);
		}
		right += end_of(pid) == expect;
	}
	return right;
}

static void test_ends(void)
{
	size_t right;

	fflush(stdout);
	right = ends_amid(0, 7);
	tap_ok(right == ROUNDS, "a process can exit amid such calls (%zu of %d)", right,
	       ROUNDS);
	right = ends_amid(1, 7);
	tap_ok(right == ROUNDS, "or begin another program (%zu of %d)", right, ROUNDS);
	right = ends_amid(2, -SIGKILL);
	tap_ok(right == ROUNDS, "or be killed, its first thread gone (%zu of %d)", right,
	       ROUNDS);
	right = ends_amid(3, -SIGKILL);
	tap_ok(right == ROUNDS, "or with it (%zu of %d)", right, ROUNDS);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--end"))
		return 7;
	door_open();
	tap_plan(13);
	test_ring();
	test_pair();
	test_signals();
	test_brief();
	test_ends();
	return tap_end();
}
