// SPDX-License-Identifier: MIT
/*
 * Wipes that wait in a ring, behind a poll, for a task that is not what it was: its
 * ring closed, itself killed, or another program, or just one thread of it gone. None
 * is done on whoever comes instead. That the module can be unloaded, and the log is
 * clean, is seen by who runs this.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "uring.h"

#define ROUNDS 50
/* The same in a program before and after exec. */
#define PLACE ((void *)(1UL << 40))

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A wipe of a page, which waits until somebody writes to a pipe. */
struct chain {
	struct io_uring ring;
	int ends[2];
	struct lethe_wipe args;
	unsigned char *p;
};

static void must_pipe(int *ends)
{
	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
}

static unsigned char *must_share(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return memset(p, FILL, PAGE);
}

/* Begun by whoever calls this. */
static void chain_begin(struct chain *chain)
{
	struct io_uring_sqe *sqe = must_sqe(&chain->ring);

	io_uring_prep_poll_add(sqe, chain->ends[0], POLLIN);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	chain->args = wipe_of(chain->p, PAGE);
	lethe_prep_wipe(must_sqe(&chain->ring), door, &chain->args);
	must_submit(&chain->ring);
}

static bool chain_init(struct chain *chain, unsigned char *p, unsigned int setup)
{
	if (ring_init(&chain->ring, ENTRIES, setup))
		return false;
	must_pipe(chain->ends);
	chain->p = p;
	return true;
}

static void chain_release(struct chain *chain)
{
	if (write(chain->ends[1], "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
}

/* The wipe's res, once both have ended. */
static int chain_end(struct chain *chain)
{
	next_res(&chain->ring, NULL);
	return next_res(&chain->ring, NULL);
}

static void chain_close(struct chain *chain)
{
	close(chain->ends[0]);
	close(chain->ends[1]);
}

/* Time for whoever wants to do something wrong, on any CPU, and a few calls. */
static void let_pass(void)
{
	for (int i = 0; i < 20; i++)
		usleep(10 * 1000);
}

static void test_kept(unsigned int setup, const char *what)
{
	unsigned char *p = filled(1);
	struct chain chain;
	bool early;

	if (!chain_init(&chain, p, setup)) {
		tap_skip("such a ring", "what waits in %s is done in the end", what);
		return;
	}
	chain_begin(&chain);
	let_pass();
	early = !all_are(p, FILL, PAGE);
	chain_release(&chain);
	tap_ok(!early && !chain_end(&chain) && all_are(p, 0, PAGE),
	       "what waits in %s is done when that ends, and not before", what);
	io_uring_queue_exit(&chain.ring);
	chain_close(&chain);
	munmap(p, PAGE);
}

static void test_closed(unsigned int setup, const char *what)
{
	unsigned char *p = filled(1);
	struct chain chain;

	if (!chain_init(&chain, p, setup)) {
		tap_skip("such a ring", "what waits in %s that is closed is not", what);
		return;
	}
	chain_begin(&chain);
	io_uring_queue_exit(&chain.ring);
	chain_release(&chain);
	let_pass();
	tap_ok(all_are(p, FILL, PAGE), "what waits in %s that is closed is not done",
	       what);
	chain_close(&chain);
	munmap(p, PAGE);
}

/* A child with a chain for shared memory; ready once a byte comes. */
static pid_t child_with_chain(struct chain *chain, unsigned int setup)
{
	int ready[2];
	char byte;
	pid_t pid;

	must_pipe(ready);
	pid = must_fork();
	if (!pid) {
		if (ring_init(&chain->ring, ENTRIES, setup))
			_exit(9);
		/* Shared memory has no entry in a child before a touch. */
		memset(chain->p, FILL, PAGE);
		chain_begin(chain);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		_exit(chain_end(chain) ? 1 : 0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		kill(pid, SIGKILL);
	close(ready[0]);
	return pid;
}

static void test_killed(unsigned int setup, const char *what)
{
	unsigned char *p = must_share();
	struct chain chain = { .p = p };
	pid_t pid;
	int end;

	must_pipe(chain.ends);
	pid = child_with_chain(&chain, setup);
	chain_release(&chain);
	end = end_of(pid);
	if (end == 9) {
		tap_skip("such a ring", "what a child waits for in %s", what);
		tap_skip("such a ring", "and if it is killed");
		return;
	}
	tap_ok(!end && all_are(p, 0, PAGE), "a child's wipe that waits in %s is done",
	       what);
	chain_close(&chain);

	memset(p, FILL, PAGE);
	must_pipe(chain.ends);
	pid = child_with_chain(&chain, setup);
	kill(pid, SIGKILL);
	end = end_of(pid);
	chain_release(&chain);
	let_pass();
	tap_ok(end == -SIGKILL && all_are(p, FILL, PAGE),
	       "and if the child is killed meanwhile, it is not");
	chain_close(&chain);
	munmap(p, PAGE);
}

/* Killed as the wipe becomes due: all of it is done or none. */
static void test_killed_at_once(void)
{
	unsigned char *p = must_share();
	struct chain chain = { .p = p };
	int whole = 0, done = 0;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid;

		memset(p, FILL, PAGE);
		must_pipe(chain.ends);
		pid = child_with_chain(&chain, 0);
		chain_release(&chain);
		for (int wait = i % 7; wait > 0; wait--)
			sched_yield();
		kill(pid, SIGKILL);
		end_of(pid);
		chain_close(&chain);
		done += p[0] == 0;
		whole += all_are(p, p[0], PAGE) && (!p[0] || p[0] == FILL);
	}
	tap_ok(whole == ROUNDS, "killed as it is due, it is done or not (%d of %d)", done,
	       ROUNDS);
	munmap(p, PAGE);
}

static unsigned char *must_place(void)
{
	void *p = mmap(PLACE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != PLACE)
		tap_bail("mmap: %s", strerror(errno));
	return memset(p, FILL, PAGE);
}

/* The program after exec: its page is where the other's was. */
static int after_exec(int ready)
{
	unsigned char *p = must_place();

	if (write(ready, "", 1) != 1)
		return 2;
	let_pass();
	return all_are(p, FILL, PAGE) ? 0 : 1;
}

/* In a child: a chain, and then a program that has the ring open, and no other. */
static void exec_with_chain(struct chain *chain, int ready)
{
	char number[16];

	chain->p = must_place();
	must_ring(&chain->ring, ENTRIES);
	if (fcntl(chain->ring.ring_fd, F_SETFD, 0))
		_exit(3);
	chain_begin(chain);
	snprintf(number, sizeof(number), "%d", ready);
	execl("/proc/self/exe", "uring_ends", number, NULL);
	_exit(4);
}

static void test_exec(void)
{
	struct chain chain;
	int ready[2];
	char byte;
	pid_t pid;
	bool came;

	must_pipe(ready);
	must_pipe(chain.ends);
	pid = must_fork();
	if (!pid)
		exec_with_chain(&chain, ready[1]);
	close(ready[1]);
	came = read(ready[0], &byte, 1) == 1;
	chain_release(&chain);
	tap_ok(!end_of(pid) && came,
	       "what waits as a task execs is not done in the new program");
	close(ready[0]);
	chain_close(&chain);
}

static void *begin_and_end(void *chain)
{
	chain_begin(chain);
	return NULL;
}

static void test_thread_gone(void)
{
	unsigned char *p = filled(1);
	struct chain chain;
	pthread_t thread;
	int res;

	if (!chain_init(&chain, p, 0))
		tap_bail("no ring");
	if (pthread_create(&thread, NULL, begin_and_end, &chain))
		tap_bail("pthread_create");
	pthread_join(thread, NULL);
	chain_release(&chain);
	res = chain_end(&chain);
	let_pass();
	tap_ok(res == -ECANCELED && all_are(p, FILL, PAGE),
	       "what a thread waits for that ends is ECANCELED, and not done (%d)", res);
	io_uring_queue_exit(&chain.ring);
	chain_close(&chain);
	munmap(p, PAGE);
}

/* Who wakes it does not do it. */
static void test_woken(void)
{
	unsigned char *p = filled(1);
	struct chain chain;
	pid_t pid;

	if (!chain_init(&chain, p, 0))
		tap_bail("no ring");
	chain_begin(&chain);
	pid = must_fork();
	if (!pid) {
		chain_release(&chain);
		let_pass();
		_exit(all_are(p, FILL, PAGE) ? 0 : 1);
	}
	tap_ok(!chain_end(&chain) && all_are(p, 0, PAGE) && !end_of(pid),
	       "woken by a child, it is done here, and not in the child");
	io_uring_queue_exit(&chain.ring);
	chain_close(&chain);
	munmap(p, PAGE);
}

int main(int argc, char **argv)
{
	static const unsigned int deferred = IORING_SETUP_SINGLE_ISSUER |
					     IORING_SETUP_DEFER_TASKRUN;

	if (argc == 2)
		return after_exec(atoi(argv[1]));
	door_open();
	tap_plan(12);
	test_kept(0, "a ring");
	test_kept(deferred, "one with DEFER_TASKRUN");
	test_closed(0, "a ring");
	test_closed(deferred, "one with DEFER_TASKRUN");
	test_killed(0, "a ring");
	test_killed(deferred, "one with DEFER_TASKRUN");
	test_killed_at_once();
	test_exec();
	test_thread_gone();
	test_woken();
	return tap_end();
}
