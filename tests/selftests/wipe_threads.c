// SPDX-License-Identifier: MIT
/*
 * LETHE_IOC_WIPE of another thread of the process, which does it itself: awake or
 * asleep. What it sleeps in goes on as if nothing had been. One that does not come
 * is wipe_absent.c's subject, and who wipes whom at the same time wipe_storm.c's.
 */
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#include "other.h"

#define NR ((size_t)64)

static int pipe_ends[2];

static const char *in_nanosleep(void)
{
	struct timespec length = { .tv_nsec = 400 * 1000 * 1000 }, from, to;
	int64_t took;

	clock_gettime(CLOCK_MONOTONIC, &from);
	if (nanosleep(&length, NULL))
		return strerrorname_np(errno);
	clock_gettime(CLOCK_MONOTONIC, &to);
	took = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
	return took >= length.tv_nsec ? "done" : "too short";
}

static const char *in_read(void)
{
	char byte = 0;

	return done_if(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x');
}

static const char *in_poll(void)
{
	struct pollfd poller = { .fd = pipe_ends[0], .events = POLLIN };

	return done_if(poll(&poller, 1, 20000) == 1);
}

static const char *in_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	const char *what;

	epoll_ctl(fd, EPOLL_CTL_ADD, pipe_ends[0], &event);
	what = done_if(epoll_wait(fd, &event, 1, 20000) == 1);
	close(fd);
	while (!other.go)
		usleep(1000);
	return what;
}

static const char *in_futex(void)
{
	return done_if(
		!syscall(SYS_futex, &other.go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) ||
		errno == EAGAIN);
}

static const char *in_sigwait(void)
{
	sigset_t set;
	int number = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return done_if(!sigwait(&set, &number) && number == SIGUSR2);
}

static void test_one(const char *where, sleep_fn *sleep, const char *states,
		     const char *expect)
{
	pthread_t thread = start(sleep, states);
	int err = wipe_other(ALL), again = wipe_other(ALL);
	struct lethe_wipe twice = last;
	uint64_t counted;

	/* Woken, however it sleeps. */
	other.go = 1;
	syscall(SYS_futex, &other.go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	if (write(pipe_ends[1], "x", 1) != 1)
		tap_bail("write: %s", strerror(errno));
	pthread_kill(thread, SIGUSR2);
	pthread_join(thread, NULL);
	counted = twice.wiped;
	tap_ok(!err && !again && !other.dead && !other.alternate &&
		       counted >= DEAD + ALTERNATE && !twice.skipped,
	       "%s: it wipes its dead and its alternate stack, twice (%s, %s)", where,
	       err ? strerrorname_np(-err) : "0", again ? strerrorname_np(-again) : "0");
	tap_ok(!strcmp(other.result, expect), "%s: and it goes on: %s", where,
	       other.result);
	/* What was written to wake it is not for the next one. */
	while (poll(&(struct pollfd){ pipe_ends[0], POLLIN, 0 }, 1, 0) == 1)
		if (read(pipe_ends[0], &(char){ 0 }, 1) != 1)
			break;
}

static struct below below;
static volatile int there, go;
static unsigned char *own_stack;

static void *run_below(void *unused)
{
	other.tid = syscall(SYS_gettid);
	spin_below(&there, &go, &below);
	return unused;
}

static int wipe_exactly(uint32_t flags, unsigned char **low)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	there = go = 0;
	own_stack = must_map_pages(NR);
	own_stack[3 * PAGE + 1] = FILL;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, own_stack, NR * PAGE);
	if (pthread_create(&thread, &attr, run_below, NULL))
		tap_bail("pthread_create failed");
	while (!there)
		sched_yield();
	*low = lowest_resident(own_stack + 4 * PAGE, own_stack + NR * PAGE);
	err = flags ? wipe_other(flags) : 0;
	go = 1;
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

static void test_exact(void)
{
	unsigned char *low;

	wipe_exactly(0, &low);
	tap_ok(red_zone_kept(&below, FILL) && own_stack[3 * PAGE + 1] == FILL,
	       "without the call all that is below a thread's stack pointer stays (control)");
	munmap(own_stack, NR * PAGE);
	tap_ok(!wipe_exactly(LETHE_WIPE_DEAD_STACK, &low) && red_zone_kept(&below, 0),
	       "the 128 bytes below it survive, and the 129th does not");
	tap_ok(!own_stack[3 * PAGE + 1] && resident_pages(own_stack, low) == 1,
	       "a page far down is wiped, and those between stay untouched");
	tap_ok(last.wiped == PAGE + below.sp - RED_ZONE - (uintptr_t)low &&
		       !last.dropped && !last.skipped,
	       "and the bytes wiped are counted, no others");
	munmap(own_stack, NR * PAGE);
}

int main(void)
{
	sigset_t set;

	door_open();
	if (pipe(pipe_ends))
		tap_bail("pipe: %s", strerror(errno));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tap_plan(18);
	test_exact();
	test_one("spinning", spin, "R", "done");
	test_one("in nanosleep", in_nanosleep, "S", "done");
	test_one("in a read of a pipe", in_read, "S", "done");
	test_one("in poll", in_poll, "S", "done");
	test_one("in a futex", in_futex, "S", "done");
	test_one("in sigwait", in_sigwait, "S", "done");
	test_one("in epoll_wait", in_epoll, "S", "EINTR");
	return tap_end();
}
