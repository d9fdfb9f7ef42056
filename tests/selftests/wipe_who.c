// SPDX-License-Identifier: MIT
/*
 * Whom LETHE_IOC_WIPE may be asked of: the threads of one's own process, and who
 * one has traced and stopped, in each of the ways to be stopped. Of everybody else
 * it says what it says of nobody. Other users, capabilities and namespaces are
 * wipe_users.c's subject.
 */
#include <sched.h>

#include "who.h"

/* What the call of a target of itself came to. */
static int own_err;
static uint32_t own_flag;
static bool own_number;

static size_t wipe_itself(void)
{
	own_err = wipe_of(own_number ? target->tid : 0, own_flag);
	return 0;
}

static const char *of_itself(uint32_t flag, long by_number)
{
	target_begin();
	shares = true;
	own_flag = flag;
	own_number = by_number;
	target_run(wipe_itself);
	return verdict(own_err, flag);
}

static const char *of_thread(uint32_t flag, long spins)
{
	pthread_t thread = start_thread(spins ? wait_spinning : wait_asleep);
	const char *what;

	shares = true;
	what = verdict(wipe_of_thread(target->tid, flag), flag);
	pthread_join(thread, NULL);
	return what;
}

/* The caller is not the first thread here, which waits. */
static void *call_first(void *flag)
{
	uint32_t bit = (uintptr_t)flag;

	must_await(&target->ready, "the first thread");
	leave(verdict(wipe_of_thread(getpid(), bit), bit));
}

static const char *of_first(uint32_t flag, long arg)
{
	pthread_t thread;

	(void)arg;
	target_begin();
	shares = true;
	if (pthread_create(&thread, NULL, call_first, (void *)(uintptr_t)flag))
		return "pthread_create failed";
	target_run(wait_asleep);
	pause();
	return "the caller is lost";
}

/* A state letter of a thread's, as /proc has it; 0 if there is none. */
static char state_of(pid_t tid)
{
	char name[64], text[256] = "";
	const char *end;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	close(fd);
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static long of_dead;

/* The first thread has gone: of it, or of one that goes on. */
static void *call_without_first(void *at)
{
	uint32_t flag = (uintptr_t)at;

	for (int i = 0; i < PATIENCE && state_of(getpid()) != 'Z'; i++)
		usleep(1000);
	start_thread(wait_asleep);
	leave(verdict(wipe_of_thread(of_dead ? getpid() : target->tid, flag), flag));
}

static const char *without_first(uint32_t flag, long dead)
{
	pthread_t thread;

	shares = true;
	of_dead = dead;
	if (pthread_create(&thread, NULL, call_without_first, (void *)(uintptr_t)flag))
		return "pthread_create failed";
	syscall(SYS_exit, 0);
	return "it goes on";
}

static const char *of_process(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);

	(void)arg;
	return verdict(wipe_of(pid, flag), flag);
}

static int run_sharing(void *unused)
{
	(void)unused;
	target_run(wait_asleep);
	syscall(SYS_exit, 0);
	return 0;
}

/* In a thread of its own, which may have to wait for it. */
static void *clone_sharing(void *flags)
{
	const size_t size = 4 * DEAD_FRAME;

	if (clone(run_sharing, must_map_plain(size) + size,
		  SIGCHLD | CLONE_VM | (int)(intptr_t)flags, NULL) < 0)
		leave(strerrorname_np(errno));
	/* What is the thread's own, its thread-local storage, is the child's too. */
	pause();
	return NULL;
}

static const char *of_sharing(uint32_t flag, long flags)
{
	pthread_t thread;

	target_begin();
	shares = true;
	if (pthread_create(&thread, NULL, clone_sharing, (void *)flags))
		return "pthread_create failed";
	must_await(&target->ready, "a process that shares memory");
	return verdict(wipe_of(target->tid, flag), flag);
}

/* Nobody is there to count anything: the caller's own has to be left alone. */
static const char *of_number(uint32_t flag, long tid)
{
	int err;

	map_range(OWN);
	err = wipe_of(tid, flag);
	if (!all_are(RANGE_AT, OWN, PAGE))
		return "the caller's own memory was wiped";
	return err ? strerrorname_np(-err) : "done";
}

/* None: one that just was there, and was waited for. */
static const char *of_nobody(uint32_t flag, long arg)
{
	pid_t pid = must_fork();

	(void)arg;
	if (!pid)
		_exit(0);
	end_of(pid);
	return of_number(flag, pid);
}

static const char *of_zombie(uint32_t flag, long traced)
{
	siginfo_t info;
	pid_t pid = start_process(wait_asleep);

	if (traced && !seize_and_stop(pid))
		return "SKIP ptrace";
	kill(pid, SIGKILL);
	if (waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		return "waitid failed";
	return of_number(flag, pid);
}

enum stop { RUNNING, ATTACHED, INTERRUPTED, GROUP, LISTENING, SYSCALL, SIGNALLED };

static const char *stop_in(pid_t pid, enum stop how)
{
	if (how == ATTACHED) {
		if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
			return "SKIP ptrace";
		next_stop(pid);
		return NULL;
	}
	if (!seize(pid, PTRACE_O_TRACESYSGOOD))
		return "SKIP ptrace";
	switch (how) {
	case INTERRUPTED:
	case SYSCALL:
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		next_stop(pid);
		if (how == INTERRUPTED)
			return NULL;
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		return WSTOPSIG(next_stop(pid)) == (SIGTRAP | 0x80) ? NULL :
								      "no such stop";
	case GROUP:
	case LISTENING:
		kill(pid, SIGSTOP);
		/* That it was sent, and that it was obeyed. */
		next_stop(pid);
		ptrace(PTRACE_CONT, pid, NULL, SIGSTOP);
		if (next_stop(pid) >> 16 != PTRACE_EVENT_STOP)
			return "no such stop";
		if (how == LISTENING && ptrace(PTRACE_LISTEN, pid, NULL, NULL))
			return "PTRACE_LISTEN failed";
		return NULL;
	case SIGNALLED:
		kill(pid, SIGUSR1);
		return WSTOPSIG(next_stop(pid)) == SIGUSR1 ? NULL : "no such stop";
	default:
		return NULL;
	}
}

static const char *of_tracee(uint32_t flag, long how)
{
	pid_t pid = start_process(how == RUNNING ? wait_spinning : wait_asleep);
	const char *problem = stop_in(pid, how);
	int err;

	if (problem)
		return problem;
	err = wipe_of(pid, flag);
	if (how == RUNNING || how == LISTENING) {
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		next_stop(pid);
	}
	return detach(pid, err, flag);
}

static size_t wait_and_exec(void)
{
	char number[16];

	wait_asleep();
	snprintf(number, sizeof(number), "%d", target_fd);
	target->ready = target->go = 0;
	execl("/proc/self/exe", "wipe_who", "--target", number, NULL);
	_exit(1);
}

/* Its memory is new, and nothing is in it that was wiped: it only has to go on. */
static const char *of_exec(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_and_exec);
	int err;

	(void)arg;
	if (!seize(pid, PTRACE_O_TRACEEXEC))
		return "SKIP ptrace";
	target->go = 1;
	if (next_stop(pid) >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8))
		return "no such stop";
	err = wipe_of(pid, flag);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	must_await(&target->ready, "a program");
	if (strcmp(verdict(0, 0), "done"))
		return "the target is lost";
	return err ? strerrorname_np(-err) : "done";
}

static const char *of_exit(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);
	int err;

	(void)arg;
	if (!seize(pid, PTRACE_O_TRACEEXIT))
		return "SKIP ptrace";
	kill(pid, SIGTERM);
	next_stop(pid);
	ptrace(PTRACE_CONT, pid, NULL, SIGTERM);
	if (next_stop(pid) >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
		return "no such stop";
	err = wipe_of(pid, flag);
	count_of(pid);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return end_of(pid) == -SIGTERM ? compare(err, flag) : "another end";
}

static volatile int traced;

static void *trace_thread(void *pid)
{
	traced = seize_and_stop((pid_t)(intptr_t)pid) ? 1 : -1;
	pause();
	return NULL;
}

static const char *of_threads_tracee(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);
	pthread_t thread;
	int err;

	(void)arg;
	if (pthread_create(&thread, NULL, trace_thread, (void *)(intptr_t)pid) ||
	    !await(&traced) || traced < 0)
		return "SKIP ptrace";
	err = wipe_of(pid, flag);
	count_of(pid);
	kill(pid, SIGKILL);
	return compare(err, flag);
}

static const char *of_others_tracee(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep), tracer;
	int ends[2];
	char byte;
	int err;

	(void)arg;
	if (pipe(ends))
		return "pipe failed";
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	tracer = must_fork();
	if (!tracer) {
		byte = seize_and_stop(pid);
		if (write(ends[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	if (read(ends[0], &byte, 1) != 1 || !byte)
		return "SKIP leave to trace a sibling";
	err = wipe_of(pid, flag);
	/* Its end lets the tracee go on. */
	kill(tracer, SIGKILL);
	return verdict(err, flag);
}

static const struct who rows[] = {
	WHO("the caller", of_itself, "done"),
	WHO("the caller, by its number", of_itself, "done", .arg = true),
	WHO("a thread of its process, which spins", of_thread, "done", .arg = true),
	WHO("a thread of its process, which sleeps", of_thread, "done"),
	WHO("the first thread of its process", of_first, "done"),
	WHO("a thread beside a first one that has ended", without_first, "done"),
	WHO_EACH("a first thread that has ended", without_first, "done", "ESRCH", "ESRCH",
		 "ESRCH", .arg = true),
	WHO("a process of the same user", of_process, "ESRCH"),
	WHO("a process that shares its memory, and is no thread", of_sharing, "ESRCH"),
	WHO("a `vfork` child of another thread", of_sharing, "ESRCH", .arg = CLONE_VFORK),
	WHO("a child that has ended", of_zombie, "ESRCH"),
	WHO("a tracee that has ended", of_zombie, "ESRCH", .arg = true),
	WHO("nobody", of_nobody, "ESRCH"),
	WHO("process 1", of_number, "ESRCH", .arg = 1),
	WHO("a kernel thread", of_number, "ESRCH", .arg = 2),
	WHO("a number below 0", of_number, "ESRCH", .arg = -1),
	WHO("the lowest number", of_number, "ESRCH", .arg = INT32_MIN),
	WHO("the highest number", of_number, "ESRCH", .arg = INT32_MAX),
	WHO("a tracee that runs", of_tracee, "EAGAIN", .arg = RUNNING),
	WHO("a tracee after PTRACE_ATTACH", of_tracee, "done", .arg = ATTACHED),
	WHO("a tracee after PTRACE_INTERRUPT", of_tracee, "done", .arg = INTERRUPTED),
	WHO("a tracee with a signal", of_tracee, "done", .arg = SIGNALLED),
	WHO("a tracee at a system call", of_tracee, "done", .arg = SYSCALL),
	WHO("a tracee in a group stop", of_tracee, "done", .arg = GROUP),
	WHO("a tracee in a group stop, after PTRACE_LISTEN", of_tracee, "EAGAIN",
	    .arg = LISTENING),
	WHO("a tracee at PTRACE_EVENT_EXEC", of_exec, "done"),
	WHO("a tracee at PTRACE_EVENT_EXIT", of_exit, "done"),
	WHO("a tracee of another thread of its process", of_threads_tracee, "ESRCH"),
	WHO("a tracee of another process", of_others_tracee, "ESRCH"),
};

WHO_MAIN(rows)
