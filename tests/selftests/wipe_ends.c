// SPDX-License-Identifier: MIT
/*
 * Processes that end, or become another program, in the middle of wiping and of being
 * wiped: none of them stays, and nothing of them does. It counts what the kernel has
 * before and after, so it waits until it is alone with the module.
 */
#include <pthread.h>
#include <sys/ptrace.h>

#include "door.h"
#include "knobs.h"
#include "race.h"

#define SECONDS 5
#define NR_THREADS 4
#define DEPTH 50
#define CALLS 3000
#define MEMORY_KIB 8192
/* An end that takes longer is no end. */
#define PATIENCE 60

enum end { KILLED, EXITS, EXECS, NR_ENDS };

static atomic_int tids[NR_THREADS];
static enum end how;
static uint64_t randomness = 0x9e3779b97f4a7c15ULL;

static void sleep_us(unsigned int us)
{
	nanosleep(&(struct timespec){ 0, us * 1000L }, NULL);
}

static void end_now(void)
{
	if (how == EXITS)
		_exit(0);
	execl("/proc/self/exe", "wipe_ends", "exit", NULL);
	_exit(1);
}

/* Deep calls and wipes by turns; one of them has enough after a while. */
static void *live(void *arg)
{
	unsigned int which = (uintptr_t)arg;
	uint64_t seed, random = randomness + which;
	unsigned int turns = race_random(&random) % 30;

	tids[which] = gettid();
	for (unsigned int turn = 0;; turn++) {
		seed = race_random(&random);
		race_wipe(tids[seed % NR_THREADS], (2 + seed % 14) & 14, 0, 0);
		if (race_recurse(seed % DEPTH, seed, race_red_zone))
			_exit(2);
		if (race_calls.wrong)
			_exit(3);
		/* A process that is about to be another gets no more threads. */
		if (how != KILLED && !which && turn >= turns && tids[NR_THREADS - 1])
			end_now();
	}
	return NULL;
}

/* A user of the module more, while it is. */
static void open_own(void)
{
	close(door);
	door = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	if (door < 0)
		_exit(1);
}

static void be_alive(void)
{
	pthread_t thread;

	open_own();
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		if (pthread_create(&thread, NULL, live, (void *)i))
			_exit(1);
	for (;;)
		pause();
}

static unsigned long ended[NR_ENDS], wrong;

static void one_end(void)
{
	uint64_t random = race_random(&randomness);
	int status;
	pid_t pid;

	how = random % NR_ENDS;
	pid = must_fork();
	if (!pid)
		be_alive();
	if (how == KILLED) {
		sleep_us(random >> 8 & 0x3fff);
		kill(pid, SIGKILL);
	}
	status = end_of(pid);
	if (status != (how == KILLED ? -SIGKILL : 0)) {
		tap_note("%d ended as %d", how, status);
		wrong++;
	}
	ended[how]++;
}

/* A tracer that wipes a tracee; one of the two is killed. */
static void be_tracer(pid_t tracee)
{
	int status, err = 0;

	open_own();
	if (ptrace(PTRACE_SEIZE, tracee, NULL, NULL))
		_exit(errno == ESRCH ? 0 : 1);
	while (!err) {
		if (ptrace(PTRACE_INTERRUPT, tracee, NULL, NULL) ||
		    waitpid(tracee, &status, __WALL) != tracee || !WIFSTOPPED(status))
			_exit(0);
		for (int i = 0; i < 3; i++)
			err = race_wipe(tracee, 14, 0, 0);
		ptrace(PTRACE_CONT, tracee, NULL, NULL);
	}
	_exit(race_calls.wrong || (err != -ESRCH && err != -EAGAIN) ? 1 : 0);
}

static unsigned long tracers, tracees;

static void one_traced_end(bool tracer_first)
{
	pid_t tracee, tracer;
	int status;

	tracee = must_fork();
	if (!tracee) {
		race_recurse(DEPTH, 1, race_red_zone);
		for (;;)
			if (race_recurse(DEPTH, 1, race_red_zone))
				_exit(1);
	}
	tracer = must_fork();
	if (!tracer)
		be_tracer(tracee);
	sleep_us(2000 + (race_random(&randomness) & 0x7fff));
	kill(tracer_first ? tracer : tracee, SIGKILL);
	status = end_of(tracer_first ? tracer : tracee);
	wrong += status != -SIGKILL;
	if (tracer_first) {
		/* Alone again, it goes on. */
		kill(tracee, SIGKILL);
		wrong += end_of(tracee) != -SIGKILL;
		tracers++;
	} else {
		wrong += end_of(tracer) != 0;
		tracees++;
	}
}

static long number_behind(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long number = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word)))
			number = strtol(line + strlen(word), NULL, 10);
	if (file)
		fclose(file);
	return number;
}

/* Of what the kernel allocates for itself by size; -1 where one may not ask. */
static long small_objects(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	char line[512], name[64];
	long sum = 0, active;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld", name, &active) == 2 &&
		    !strncmp(name, "kmalloc-", 8))
			sum += active;
	fclose(file);
	return sum;
}

static void *rest(void *arg)
{
	tids[0] = gettid();
	while (!*(atomic_bool *)arg)
		pause();
	return NULL;
}

/* Many calls for a thread that sleeps, and what is left of each in the kernel. */
static void test_objects(void)
{
	static const char guarantee[] = "calls leave nothing allocated";
	atomic_bool ending = false;
	long before, grown;
	pthread_t thread;

	tids[0] = 0;
	if (pthread_create(&thread, NULL, rest, &ending))
		tap_bail("pthread_create failed");
	while (!tids[0])
		usleep(1000);
	before = small_objects();
	for (int i = 0; i < CALLS; i++)
		race_wipe(tids[0], 14, 0, 0);
	grown = small_objects() - before;
	ending = true;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	if (before < 0)
		tap_skip("/proc/slabinfo, for root", "%d %s", CALLS, guarantee);
	else
		tap_ok(grown < CALLS / 4, "%d %s (%ld objects more)", CALLS, guarantee,
		       grown);
}

static void ignore(int signal)
{
	(void)signal;
}

#define REFCNT "/sys/module/lethe/refcnt"

/* A file is given up a moment after its process. */
static bool returns_to(long users)
{
	for (int i = 0; i < 200 && read_number(REFCNT) != users; i++)
		usleep(10 * 1000);
	return read_number(REFCNT) == users;
}

int main(int argc, char **argv)
{
	long memory, later, users;
	double end;

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 0;
	door_open_alone();
	signal(SIGUSR1, ignore);
	tap_plan(6);
	users = read_number(REFCNT);
	/* Until what is kept of processes for the next ones is there. */
	for (int i = 0; i < 10; i++)
		one_end();
	memory = number_behind("/proc/meminfo", "MemAvailable:");

	end = race_clock() + race_seconds(SECONDS);
	alarm(PATIENCE + race_seconds(SECONDS));
	for (int i = 0; race_clock() < end; i++) {
		one_end();
		if (i % 4 == 0)
			one_traced_end(i % 8 == 0);
	}
	later = number_behind("/proc/meminfo", "MemAvailable:");

	tap_ok(ended[KILLED] && ended[EXITS] && ended[EXECS] && !wrong,
	       "processes of threads that wipe each other end by SIGKILL (%lu), exit (%lu) and execve (%lu)",
	       ended[KILLED], ended[EXITS], ended[EXECS]);
	tap_ok(tracers && tracees && !wrong,
	       "so do a tracer that wipes (%lu) and its tracee (%lu), and the other one goes on",
	       tracers, tracees);
	tap_ok(!wrong, "each ends as it was to end (%lu did not)", wrong);
	tap_ok(memory - later < MEMORY_KIB, "they take no memory with them (%ld KiB)",
	       memory - later);
	test_objects();
	tap_ok(returns_to(users), "the module has as many users as before (%ld, %ld)",
	       read_number(REFCNT), users);
	return tap_end();
}
