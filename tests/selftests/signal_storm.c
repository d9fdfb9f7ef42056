// SPDX-License-Identifier: MIT
/*
 * Ten seconds of sections under two timers of 1 kHz, one whose handler runs on the
 * alternate stack and one whose does not, in the three modes side by side. Each
 * section fills every register that there is, waits to be interrupted, and looks
 * whether all hold what they held; after every 32nd, ordinary memory is searched.
 *
 *	signal_storm [SECONDS]
 *
 * The control: as many such functions outside of a section leave what is searched
 * for.
 */
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "signals.h"

#define ALTERNATE ((size_t)32 * 1024)
#define HZ 1000
#define LEAST 1000U
#define SAMPLED 32U

enum { DEFAULT, FAST, BLOCK, PLAINLY, MODES };

static const unsigned int mode_flags[MODES] = { 0, LETHE_FAST, LETHE_BLOCK_SIGNALS, 0 };

struct outcome {
	size_t sections, wrong, failed, enabled;
	size_t handled[2], inside[2];
	size_t sampled, dirty;
	size_t counted;
	bool alternate_same, ended;
};

static struct outcome *outcome;
static char alternate[ALTERNATE] __attribute__((aligned(16)));
static volatile bool in_section;

static void handler(int number, siginfo_t *info, void *context)
{
	unsigned int which = number == SIGALRM;
	volatile char buffer[512];

	(void)info;
	(void)context;
	/* As handlers do: with vector registers. */
	memset((char *)buffer, number, sizeof(buffer));
	outcome->handled[which]++;
	outcome->inside[which] += in_section;
	outcome->enabled += lethe_enabled();
}

static NOINLINE bool all_hold(const struct registers *registers, uint64_t secret)
{
	const struct register_class *class;

	for (class = register_classes; class->name; class ++)
		if (class->needs <= (int)registers_have &&
		    registers_holding(registers, class, secret) != class->count)
			return false;
	return general_holding(registers, secret) == 9;
}

static void compute(void *arg)
{
	struct registers registers;
	volatile uint64_t secret = ~complement;

	in_section = true;
	memset(&registers, 0, sizeof(registers));
	registers_after(signals_spin, (void *)&secret, &registers);
	*(bool *)arg = all_hold(&registers, secret);
	in_section = false;
}

static void start_timers(void)
{
	const struct itimerval interval = { { 0, 1000000 / HZ }, { 0, 1000000 / HZ } };
	const struct itimerspec every = { { 0, 1000000000 / HZ },
					  { 0, 1000000000 / HZ } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGRTMIN };
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	handle(SIGRTMIN, handler, SA_ONSTACK | SA_RESTART);
	handle(SIGALRM, handler, SA_RESTART);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &every, NULL) < 0 ||
	    setitimer(ITIMER_REAL, &interval, NULL) < 0)
		_exit(2);
}

/* With no signal in between, whose handler would look no different. */
static void sample(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	outcome->sampled++;
	outcome->dirty += copies_below() + copies(alternate, alternate + ALTERNATE) > 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static NOINLINE void one(int mode)
{
	struct lethe_report report = { 0 };
	bool right = false;

	if (mode == PLAINLY)
		compute(&right);
	else if (do_flags(mode_flags[mode], compute, &right, &report))
		outcome->failed++;
	outcome->wrong += !right;
	outcome->counted += report.signals;
	if (!(++outcome->sections % SAMPLED))
		sample();
}

static void storm(int mode, long seconds)
{
	struct timespec now, end;
	stack_t before, after;

	set_alternate(alternate, sizeof(alternate), 0);
	touch_below();
	before = get_alternate();
	start_timers();
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	do {
		one(mode);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	after = get_alternate();
	outcome->alternate_same = same_alternate(&before, &after);
	outcome->ended = true;
	_exit(0);
}

static pid_t start(struct outcome *its, int mode, long seconds)
{
	pid_t pid;

	outcome = its;
	new_secret();
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		storm(mode, seconds);
	return pid;
}

static bool waited_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		tap_note("status %#x", status);
	return !status;
}

static void judge(int mode, const struct outcome *its, bool ended, size_t least)
{
	const char *name = mode_name(mode_flags[mode]);
	size_t inside = its->inside[0] + its->inside[1];
	size_t handled = its->handled[0] + its->handled[1];

	tap_ok(ended && its->ended && its->sections > 0 && !its->wrong && !its->failed,
	       "%s: every one of %zu sections had all its registers (%zu wrong)", name,
	       its->sections, its->wrong + its->failed);
	tap_ok(its->handled[0] > 0 && its->handled[1] > 0 && handled > least &&
		       !its->enabled && (mode == BLOCK ? !inside : inside > least / 10),
	       "%s: %zu handlers ran on the alternate stack and %zu did not, %zu and %zu of them in a section",
	       name, its->handled[0], its->handled[1], its->inside[0], its->inside[1]);
	/* Also those that came just before it; not those that lay over another's. */
	tap_ok(its->counted <= handled && (mode == BLOCK || its->counted > 0),
	       "%s: the reports count %zu signals", name, its->counted);
	tap_ok(its->sampled > 0 && !its->dirty && its->alternate_same,
	       "%s: nothing was left after any of the %zu sections that were sampled (%zu), and the alternate stack is as it was",
	       name, its->sampled, its->dirty);
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 10;
	size_t least = seconds < 10 ? LEAST * (size_t)seconds / 10 : LEAST;
	struct outcome *outcomes;
	pid_t pids[MODES];
	bool ended;
	int mode;

	outcomes = mmap(NULL, MODES * sizeof(*outcomes), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	begin_tests(13);
	for (mode = 0; mode < PLAINLY; mode++)
		pids[mode] = start(&outcomes[mode], mode, seconds);
	for (mode = 0; mode < PLAINLY; mode++) {
		ended = waited_for(pids[mode]);
		judge(mode, &outcomes[mode], ended, least);
	}

	ended = waited_for(start(&outcomes[PLAINLY], PLAINLY, 1));
	tap_ok(ended && outcomes[PLAINLY].sampled > 0 &&
		       outcomes[PLAINLY].dirty == outcomes[PLAINLY].sampled,
	       "control: without a section, %zu of %zu that were sampled left something",
	       outcomes[PLAINLY].dirty, outcomes[PLAINLY].sampled);
	return tap_end();
}
