// SPDX-License-Identifier: MIT
/*
 * fork() and what is made of it, inside a section and outside. A child has none of
 * its parent's secret pages: so inside a section fork() is an error, of the child's
 * or of the call; what runs another program at once is none. On whichever backend is
 * in use.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "left.h"
#include "lethe.h"
#include "tap.h"

struct forked {
	pid_t pid;
	int status, error;
	bool came_back, unharmed;
	uintptr_t frame;
};

/* What a child should never come to, told to its parent. */
static volatile bool *child_ran;

static int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void fork_inside(void *arg)
{
	struct forked *forked = arg;

	forked->frame = fill_frame();
	errno = 0;
	forked->pid = fork();
	forked->error = errno;
	if (!forked->pid) {
		*child_ran = true;
		_exit(1);
	}
	if (forked->pid > 0)
		forked->status = wait_for(forked->pid);
	forked->unharmed = lethe_enabled() && words_at(forked->frame) > 0;
}

static bool is_over(const struct forked *forked)
{
	return forked->unharmed && !lethe_enabled() &&
	       !words_on_secret_stack(forked->frame);
}

static void nested_fork(void *arg)
{
	(void)lethe_do(fork_inside, arg);
}

static int fork_in_child(void *arg)
{
	void (*fn)(void *) = *(void (**)(void *))arg;
	struct forked forked = { 0 };

	if (lethe_do(fn, &forked) || !is_over(&forked))
		return 1;
	if (forked.pid <= 0 || !WIFSIGNALED(forked.status) ||
	    WTERMSIG(forked.status) != SIGABRT)
		return 2;
	/* And once more: nothing of the first one hangs about. */
	if (lethe_do(fn, &forked) || !is_over(&forked))
		return 3;
	return 0;
}

static void test_abort(void)
{
	void (*fn)(void *) = fork_inside;
	struct ended ended;

	*child_ran = false;
	run_child(fork_in_child, &fn, &ended);
	tap_ok(exited_with(&ended, 0) && !*child_ran,
	       "fork() inside a section: the parent goes on, the child is aborted (%s)",
	       how_ended(&ended));
	tap_ok(lines_with(&ended, "lethe:") == 2 && lines_with(&ended, "fork") == 2,
	       "each such child says one line, which names fork(): \"%.*s\"",
	       (int)strcspn(ended.said, "\n"), ended.said);
	fn = nested_fork;
	run_child(fork_in_child, &fn, &ended);
	tap_ok(exited_with(&ended, 0) && !*child_ran && lines_with(&ended, "fork") == 2,
	       "in a nested section likewise (%s)", how_ended(&ended));
}

static void test_refusal(void)
{
	struct lethe_options options = { .size = sizeof(options),
					 .flags = LETHE_REFUSE_FORK };
	struct forked forked = { 0 };
	int err;

	err = lethe_do_with(&options, fork_inside, &forked, NULL);
	tap_ok(!err && forked.pid == -1 && forked.error == EPERM && is_over(&forked) &&
		       waitpid(-1, NULL, WNOHANG) < 0,
	       "with LETHE_REFUSE_FORK fork() is EPERM, there is no child, the section goes on");
	forked = (struct forked){ 0 };
	err = lethe_do_with(&options, nested_fork, &forked, NULL);
	tap_ok(!err && forked.pid == -1 && forked.error == EPERM && is_over(&forked),
	       "in a section nested in it too");
	forked.pid = fork();
	if (!forked.pid)
		_exit(5);
	tap_ok(forked.pid > 0 && WEXITSTATUS(wait_for(forked.pid)) == 5,
	       "and fork() works again after it");
}

struct programs {
	int vforked, spawned, system, popened;
	char line[16];
	bool unharmed;
};

static void run_programs(void *arg)
{
	char *exit_3[] = { (char *)"sh", (char *)"-c", (char *)"exit 3", NULL };
	char *none[] = { NULL };
	struct programs *programs = arg;
	uintptr_t frame = fill_frame();
	FILE *pipe;
	pid_t pid;

	pid = vfork();
	if (!pid) {
		execve("/bin/sh", exit_3, none);
		_exit(99);
	}
	programs->vforked = pid > 0 ? wait_for(pid) : -1;
	if (!posix_spawn(&pid, "/bin/sh", NULL, NULL, exit_3, none))
		programs->spawned = wait_for(pid);
	programs->system = system("exit 3");
	pipe = popen("echo from afar; exit 3", "r");
	if (pipe && !fgets(programs->line, sizeof(programs->line), pipe))
		programs->line[0] = 0;
	programs->popened = pipe ? pclose(pipe) : -1;
	programs->unharmed = lethe_enabled() && words_at(frame) > 0;
}

static void run_programs_with(unsigned int flags, const char *what)
{
	struct lethe_options options = { .size = sizeof(options), .flags = flags };
	struct programs programs = { 0 };
	int err;

	err = lethe_do_with(&options, run_programs, &programs, NULL);
	tap_ok(!err && programs.unharmed && programs.vforked == 3 << 8 &&
		       programs.spawned == 3 << 8 && programs.system == 3 << 8 &&
		       programs.popened == 3 << 8 &&
		       !strcmp(programs.line, "from afar\n"),
	       "vfork() and exec(), posix_spawn(), system() and popen() work inside%s",
	       what);
}

static int read_byte(void *arg)
{
	return *(volatile char *)arg != 0;
}

static int own_section(void *arg)
{
	uintptr_t frame = 0;

	/* The parent's is nowhere, and not where ours is either. */
	if (lethe_level_of(*(void **)arg) != LETHE_LEVEL_NONE || secret_bytes())
		return 1;
	if (lethe_do(fill_frame_at, &frame) || !frame)
		return 2;
	if (secret_around(frame).start == secret_around(*(uintptr_t *)arg).start)
		return 3;
	return words_on_secret_stack(frame) ? 4 : 0;
}

static void test_outside(void)
{
	static char ordinary;
	uintptr_t frame = 0;
	struct ended ended;
	pid_t pid;
	int status;

	(void)lethe_do(fill_frame_at, &frame);
	run_child(read_byte, &ordinary, &ended);
	tap_ok(exited_with(&ended, 0), "a fork's child reads an ordinary byte (control)");
	run_child(read_byte, (void *)frame, &ended);
	tap_ok(killed_by(&ended, SIGSEGV),
	       "it has no mapping of its parent's secret stack");
	/* Past the library's back: what the kernel itself keeps from the child. */
	pid = (pid_t)syscall(SYS_fork);
	if (!pid) {
		child_begins();
		_exit(read_byte((void *)frame));
	}
	status = wait_for(pid);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	       "neither has the child of a bare fork system call");
	run_child(own_section, &frame, &ended);
	tap_ok(exited_with(&ended, 0),
	       "a fork's child makes a stack of its own for its sections (%s)",
	       how_ended(&ended));
	tap_ok(!lethe_do(fill_frame_at, &frame) && !words_on_secret_stack(frame),
	       "and the parent's sections go on");
}

static atomic_bool other_inside, other_may_end;

static void stay_inside(void *arg)
{
	uintptr_t *frame = arg;

	*frame = fill_frame();
	other_inside = true;
	while (!other_may_end)
		usleep(100);
	if (!words_at(*frame) || !lethe_enabled())
		*frame = 0;
}

static void *other_thread(void *arg)
{
	(void)lethe_do(stay_inside, arg);
	return NULL;
}

static void test_beside_another(void)
{
	uintptr_t others = 0;
	struct ended ended;
	pthread_t thread;
	int i, good = 0;

	if (pthread_create(&thread, NULL, other_thread, &others))
		tap_bail("no thread");
	while (!other_inside)
		usleep(100);
	for (i = 0; i < 20; i++) {
		run_child(own_section, &others, &ended);
		good += exited_with(&ended, 0) && !ended.said[0];
	}
	other_may_end = true;
	pthread_join(thread, NULL);
	tap_ok(good == 20,
	       "fork() in one thread while another is in a section: children run sections of their own");
	tap_ok(others && !words_on_secret_stack(others),
	       "and the other thread's goes on unharmed, and ends erased");
}

/* Twenty forks while four threads begin sections as fast as they can. */
static atomic_bool stop;

static void *busy_thread(void *arg)
{
	uintptr_t frame;

	while (!stop)
		if (lethe_do(fill_frame_at, &frame))
			atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void test_busy(void)
{
	atomic_bool failed = false;
	pthread_t threads[4];
	struct ended ended;
	uintptr_t frame = 0;
	int i, good = 0;

	(void)lethe_do(fill_frame_at, &frame);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, busy_thread, &failed);
	for (i = 0; i < 50; i++) {
		run_child(own_section, &frame, &ended);
		good += exited_with(&ended, 0);
	}
	stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	tap_ok(good == 50 && !failed,
	       "50 forks while four threads run sections: each child can, no lock is held");
}

static void count_left(void *arg)
{
	*(size_t *)arg = words_on_secret_stack((uintptr_t)__builtin_frame_address(0));
}

int main(void)
{
	size_t left = 1;

	tap_plan(18);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	child_ran = mmap(NULL, sizeof(*child_ran), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child_ran == MAP_FAILED)
		tap_bail("no shared memory");
	pattern_new();
	test_abort();
	test_refusal();
	run_programs_with(0, "");
	run_programs_with(LETHE_REFUSE_FORK, " with LETHE_REFUSE_FORK");
	run_programs_with(LETHE_BLOCK_SIGNALS, " with LETHE_BLOCK_SIGNALS");
	test_outside();
	test_beside_another();
	test_busy();
	tap_ok(!lethe_do(count_left, &left) && !left,
	       "and after all that this thread's stack is clean");
	return tap_end();
}
