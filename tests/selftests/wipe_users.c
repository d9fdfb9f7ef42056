// SPDX-License-Identifier: MIT
/*
 * Whom LETHE_IOC_WIPE may be asked of, across users, capabilities and namespaces:
 * no right takes the place of tracing, and a tracee's memory that ptrace(2) does not
 * give to its tracer is not given here.
 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>

#include "who.h"

/* The act begins as root, the target is root's, and the caller is nobody. */
static const char *of_roots(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);

	(void)arg;
	become_nobody_for_good();
	return verdict(wipe_of(pid, flag), flag);
}

static const char *of_untraced(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);

	(void)arg;
	return verdict(wipe_of(pid, flag), flag);
}

/* Nobody's target, and root does not trace it. */
static const char *of_nobodys(uint32_t flag, long arg)
{
	pid_t pid;

	(void)arg;
	target_begin();
	map_range(OWN);
	pid = must_fork();
	if (!pid) {
		become_nobody_for_good();
		target_run(wait_asleep);
		_exit(0);
	}
	must_await(&target->ready, "a target");
	return verdict(wipe_of(pid, flag), flag);
}

static bool only_may_trace(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	data[0].effective = data[0].permitted = 1U << CAP_SYS_PTRACE;
	return !prctl(PR_SET_KEEPCAPS, 1) && become_nobody() &&
	       !syscall(SYS_capset, &header, data);
}

static const char *with_capability(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);

	(void)arg;
	if (!only_may_trace())
		return "SKIP CAP_SYS_PTRACE";
	return verdict(wipe_of(pid, flag), flag);
}

/* A copy of this program that becomes root, open for reading and already unlinked. */
static int setuid_program(void)
{
	char name[] = "/tmp/lethe-setuid-XXXXXX";
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = mkostemp(name, O_CLOEXEC), fd;
	char bytes[4096];
	bool whole = true;
	ssize_t got;

	while ((got = read(from, bytes, sizeof(bytes))) > 0)
		whole &= write(to, bytes, got) == got;
	close(from);
	whole &= !got && !fchmod(to, 04755);
	fd = whole ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	/* A program that is open for writing is not begun. */
	close(to);
	unlink(name);
	return fd;
}

static pid_t start_program(int fd, const char *how)
{
	char number[16], option[16], *words[] = { option, option, number, NULL };
	pid_t pid;

	target_begin();
	map_range(OWN);
	snprintf(option, sizeof(option), "%s", how);
	snprintf(number, sizeof(number), "%d", target_fd);
	pid = must_fork();
	if (!pid) {
		fexecve(fd, words, environ);
		_exit(1);
	}
	must_await(&target->ready, "a program");
	return pid;
}

static const char *of_setuid(uint32_t flag, long arg)
{
	int fd = setuid_program();
	pid_t pid;

	(void)arg;
	if (fd < 0)
		return "SKIP a setuid file in /tmp";
	become_nobody_for_good();
	pid = start_program(fd, "--target");
	if (target->user) {
		target->go = 1;
		return "SKIP setuid programs in /tmp";
	}
	return verdict(wipe_of(pid, flag), flag);
}

static size_t wait_undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	target->changed = 1;
	return wait_asleep();
}

static const char *of_undumpable(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_undumpable);

	(void)arg;
	must_await(&target->changed, "a change");
	return verdict(wipe_of(pid, flag), flag);
}

/* One that is traced by then cannot hide from being so, but its memory is its own. */
static size_t wait_traced_undumpable(void)
{
	wait_asleep();
	target->go = 0;
	return wait_undumpable();
}

static const char *of_undumpable_tracee(uint32_t flag, long enter_userns)
{
	pid_t pid = start_process(wait_traced_undumpable);
	int err;

	if (!seize(pid, 0))
		return "SKIP ptrace";
	if (enter_userns && unshare(CLONE_NEWUSER))
		return "SKIP user namespaces";
	target->go = 1;
	must_await(&target->changed, "a change");
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return "PTRACE_INTERRUPT failed";
	next_stop(pid);
	err = wipe_of(pid, flag);
	return detach(pid, err, flag);
}

/* A program that was started in the namespace belongs to it. */
static const char *of_inner_undumpable(uint32_t flag, long arg)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	pid_t pid;
	int err;

	(void)arg;
	if (unshare(CLONE_NEWUSER))
		return "SKIP user namespaces";
	pid = start_program(self, "--undumpable");
	must_await(&target->changed, "a change");
	if (!seize_and_stop(pid))
		return "SKIP ptrace";
	err = wipe_of(pid, flag);
	return detach(pid, err, flag);
}

/* All rights in a namespace of its own are none over what is outside, or inside. */
static const char *from_userns(uint32_t flag, long arg)
{
	pid_t pid = start_process(wait_asleep);

	(void)arg;
	if (unshare(CLONE_NEWUSER))
		return "SKIP user namespaces";
	return verdict(wipe_of(pid, flag), flag);
}

static size_t wait_in_userns(void)
{
	target->changed = unshare(CLONE_NEWUSER) ? -1 : 1;
	return wait_asleep();
}

static const char *of_userns(uint32_t flag, long stopped)
{
	pid_t pid = start_process(wait_in_userns);
	int err;

	must_await(&target->changed, "a change");
	if (target->changed < 0)
		return "SKIP user namespaces";
	if (stopped && !seize_and_stop(pid))
		return "SKIP ptrace";
	err = wipe_of(pid, flag);
	return stopped ? detach(pid, err, flag) : verdict(err, flag);
}

static bool enter_pidns(void)
{
	return !unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWPID : CLONE_NEWPID);
}

/* By the number that the caller sees, or by the one that it has inside. */
static const char *of_pidns(uint32_t flag, long inside)
{
	pid_t pid;
	int err;

	if (!enter_pidns())
		return "SKIP pid namespaces";
	pid = start_process(wait_asleep);
	if (!seize_and_stop(pid))
		return "SKIP ptrace";
	err = wipe_of(inside ? target->tid : pid, flag);
	return detach(pid, err, flag);
}

static const char *traced_inside(uint32_t flag, bool outer)
{
	char name[32] = "";
	pid_t pid = start_process(wait_asleep);
	int err;

	/* As /proc has it: of the namespace outside, where that is mounted. */
	if (outer) {
		snprintf(name, sizeof(name), "%d", pid);
		if (readlink("/proc/self", name, sizeof(name) - 1) < 0)
			return "SKIP /proc of the namespace outside";
	}
	if (!seize_and_stop(pid))
		return "SKIP ptrace";
	/* Nobody in here has the number that this process has outside. */
	err = wipe_of(outer ? atoi(name) : pid, flag);
	return detach(pid, err, flag);
}

static const char *from_pidns(uint32_t flag, long outer)
{
	pid_t pid;

	if (!enter_pidns())
		return "SKIP pid namespaces";
	pid = must_fork();
	if (!pid)
		leave(traced_inside(flag, outer));
	end_of(pid);
	/* It has left what came of it. */
	_exit(0);
}

static volatile int thread_tid;

static void *end_at_once(void *unused)
{
	thread_tid = syscall(SYS_gettid);
	return unused;
}

/* A process that has the number of a thread that was. */
static pid_t fork_as(pid_t tid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&tid,
		.set_tid_size = 1,
	};
	pid_t pid = -1;

	/* Until the last of the thread is gone. */
	for (int i = 0; i < 100 && pid < 0; i++) {
		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid < 0)
			usleep(10 * 1000);
	}
	return pid;
}

static const char *of_reused(uint32_t flag, long arg)
{
	pthread_t thread;
	pid_t pid;

	(void)arg;
	if (pthread_create(&thread, NULL, end_at_once, NULL) ||
	    pthread_join(thread, NULL))
		return "no thread";
	target_begin();
	map_range(OWN);
	pid = fork_as(thread_tid);
	if (!pid) {
		target_run(wait_asleep);
		_exit(0);
	}
	if (pid != thread_tid)
		return "SKIP clone3() with a tid that is chosen";
	must_await(&target->ready, "a target");
	return verdict(wipe_of(pid, flag), flag);
}

static const struct who rows[] = {
	WHO("a process of root's", of_roots, "ESRCH", .root = true),
	WHO("a setuid program that it started", of_setuid, "ESRCH", .root = true),
	WHO("root: a process of root's", of_untraced, "ESRCH", .root = true),
	WHO("root: a process of another user's", of_nobodys, "ESRCH", .root = true),
	WHO("with CAP_SYS_PTRACE alone: any process", with_capability, "ESRCH",
	    .root = true),
	WHO("a process that is not dumpable", of_undumpable, "ESRCH"),
	WHO("a tracee that is not dumpable", of_undumpable_tracee, "ESRCH"),
	WHO("root: a tracee that is not dumpable", of_undumpable_tracee, "done",
	    .root = true),
	WHO("with all rights in a user namespace: a tracee outside that is not dumpable",
	    of_undumpable_tracee, "ESRCH", .arg = true),
	WHO("with all rights in a user namespace: a tracee in it that is not dumpable",
	    of_inner_undumpable, "done"),
	WHO("with all rights in a user namespace: a process outside", from_userns,
	    "ESRCH"),
	WHO("a process in a user namespace below", of_userns, "ESRCH"),
	WHO("a tracee in a user namespace below", of_userns, "done", .arg = true),
	WHO("a tracee in a pid namespace below, as the caller sees it", of_pidns, "done"),
	WHO("a tracee in a pid namespace below, as it sees itself", of_pidns, "ESRCH",
	    .arg = true),
	WHO("in a pid namespace: a tracee, as the caller sees it", from_pidns, "done"),
	WHO("in a pid namespace: itself, as who is outside sees it", from_pidns, "ESRCH",
	    .arg = true),
	WHO("a process with the number that a thread had", of_reused, "ESRCH",
	    .root = true),
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--undumpable")) {
		alarm(60);
		target_open(atoi(argv[2]));
		target_run(wait_undumpable);
		return TAP_PASS;
	}
	return who_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
