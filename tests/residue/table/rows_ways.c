// SPDX-License-Identifier: MIT
/*
 * Rows: ways out of a section other than its function's return.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fill.h"
#include "ways.h"

#define ALTERNATE (64 * 1024)

static sigjmp_buf way_out;

/* What a longjmp() left is erased where a program would say so: where it arrives. */
static void arrive(const struct row *row)
{
	if (!sigsetjmp(way_out, 1))
		row_run(row);
	else if (row_protected && lethe_wipe_thread())
		row_die("lethe_wipe_thread()");
}

static void jump(uint8_t *secret)
{
	fill_deep_frame(secret);
	longjmp(way_out, 1);
}

static void jump_on(int number)
{
	(void)number;
	siglongjmp(way_out, 1);
}

static void handle_faults(void)
{
	struct sigaction action = { .sa_handler = jump_on, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = ALTERNATE };

	stack.ss_sp = mmap(NULL, ALTERNATE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) ||
	    sigaction(SIGSEGV, &action, NULL))
		row_die("no handler");
}

static void fault(uint8_t *secret)
{
	fill_frame(secret);
	fault_full(secret);
}

static sem_t ready;

static void *in_thread(void *row)
{
	row_run(row);
	return NULL;
}

static pthread_t begin_thread(const struct row *row)
{
	pthread_t thread;

	if (sem_init(&ready, 0, 0) ||
	    pthread_create(&thread, NULL, in_thread, (void *)row))
		row_die("no thread");
	return thread;
}

/* libc keeps its stack for the next, the part of it that was used last with its contents. */
static void await_thread(const struct row *row)
{
	pthread_join(begin_thread(row), NULL);
}

static void cancel_thread(const struct row *row)
{
	pthread_t thread = begin_thread(row);

	while (sem_wait(&ready))
		;
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

/* In a frame of its own too: what unwinds it runs below, and overwrites what is there. */
static void end_thread(uint8_t *secret)
{
	uint8_t frame[1024];

	fill_memory(frame, sizeof(frame), secret);
	fill_frame(secret);
	pthread_exit(NULL);
}

static void wait_for_cancel(uint8_t *secret)
{
	uint8_t frame[1024];

	fill_memory(frame, sizeof(frame), secret);
	fill_frame(secret);
	sem_post(&ready);
	for (;;)
		pause();
}

static void exit_inside(uint8_t *secret)
{
	fill_deep_frame(secret);
	exit(0);
}

static void exec_inside(uint8_t *secret)
{
	char program[] = "/proc/self/exe", option[] = "--rows";
	char *argv[] = { program, option, NULL }, *environment[] = { NULL };

	fill_deep_frame(secret);
	execve(program, argv, environment);
	row_die("execve");
}

/* The section is open, and its stack and its heap are in use, as another thread forks. */
static void stay_inside(uint8_t *secret)
{
	uint8_t frame[256], *block = malloc(256);

	if (!block)
		row_die("malloc");
	fill_memory(frame, sizeof(frame), secret);
	fill_memory(block, 256, secret);
	sem_post(&ready);
	for (;;)
		pause();
}

static void fork_beside(const struct row *row)
{
	pid_t child;

	begin_thread(row);
	while (sem_wait(&ready))
		;
	/* Past libc and the library: what the kernel itself keeps from a child. */
	child = (pid_t)syscall(SYS_fork);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		row_stop();
	}
	if (child < 0)
		row_die("fork");
	row_child(child);
}

#define DEAD "memory the stack, its dead part"
#define STILL_OPEN "the section is open, and who may ptrace reads locked pages"

const struct row rows_ways[] = {
	{ .name = "SIGSEGV handler with siglongjmp",
	  .where = "memory anonymous memory",
	  .before = handle_faults,
	  .around = arrive,
	  .inside = fault },
	{ .name = "longjmp out", .where = DEAD, .around = arrive, .inside = jump },
	{ .name = "C++ exception",
	  .where = DEAD,
	  .around = ways_catch,
	  .inside = ways_throw },
	{ .name = "pthread_exit",
	  .where = "memory anonymous memory",
	  .around = await_thread,
	  .inside = end_thread },
	{ .name = "pthread_cancel",
	  .where = "memory anonymous memory",
	  .around = cancel_thread,
	  .inside = wait_for_cancel },
	{ .name = "exit inside",
	  .where = "memory the stack",
	  .inside = exit_inside,
	  .seen = ROW_EXIT,
	  .clause = ROW_ON_MLOCK(STILL_OPEN) },
	{ .name = "exec inside",
	  .where = "memory the stack",
	  .inside = exec_inside,
	  .seen = ROW_EXEC,
	  .clause = ROW_ON_MLOCK(STILL_OPEN) },
	{ .name = "fork child",
	  .where = "memory anonymous memory",
	  .around = fork_beside,
	  .inside = stay_inside,
	  .seen = ROW_CHILD },
	{ .name = NULL },
};
