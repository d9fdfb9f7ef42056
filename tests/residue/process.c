// SPDX-License-Identifier: MIT
/*
 * The ptrace side: stop every thread, read its registers, let it go.
 *
 * PTRACE_SEIZE, not ATTACH, so that no SIGSTOP can be left behind, and never
 * PTRACE_O_EXITKILL: if the searcher dies, the kernel lets every thread run on.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "process.h"

/* AMX's tiles make an area of 11 KiB; room for what is to come. */
#define REGISTERS_ROOM (64 * 1024)

const char *const where_names[NR_WHERE] = {
	[WHERE_STACK] = "stack",       [WHERE_HEAP] = "heap",
	[WHERE_REGISTER] = "register", [WHERE_LIBRARY] = "library",
	[WHERE_SECRET] = "secret",     [WHERE_ANONYMOUS] = "anonymous",
};

static long read_number(const char *path, const char *key)
{
	size_t length = strlen(key);
	char line[256];
	long value = -1;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, length)) {
			value = strtol(line + length, NULL, 10);
			break;
		}
	}
	fclose(file);
	return value;
}

/* A sentence on why @pid cannot be attached to, and what would help. */
static void explain(pid_t pid, int err, char *why, size_t room)
{
	long tracer, scope = read_number("/proc/sys/kernel/yama/ptrace_scope", "");
	char status[64];

	snprintf(status, sizeof(status), "/proc/%d/status", (int)pid);
	tracer = read_number(status, "TracerPid:");
	if (err == -ESRCH)
		snprintf(why, room, "there is no process %d, or it has ended", (int)pid);
	else if (err == -EPERM && tracer > 0)
		snprintf(
			why, room,
			"process %d is being traced by process %ld: only one can; end that one first",
			(int)pid, tracer);
	else if (err == -EPERM)
		snprintf(why, room,
			 "not allowed to attach to process %d: run as root (sudo)%s",
			 (int)pid,
			 scope > 0 ? ", or set /proc/sys/kernel/yama/ptrace_scope to 0" :
				     ", or as the process's owner");
	else
		snprintf(why, room, "cannot attach to process %d: %s", (int)pid,
			 strerror(-err));
}

/* The stop that we asked for, or one that came first: stopped either way. */
static int wait_stopped(struct thread *thread)
{
	int status;

	while (waitpid(thread->tid, &status, __WALL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFSTOPPED(status))
		return -ESRCH;
	if (status >> 16 == 0)
		thread->signal = WSTOPSIG(status);
	thread->stopped = true;
	return 0;
}

/* To the kernel, attaching to what has ended is not allowed: say which. */
static bool has_ended(pid_t pid, pid_t tid)
{
	char path[64], state = 'X';
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	stat = fopen(path, "re");
	if (!stat)
		return true;
	/* The name before it may hold anything but an end of its own. */
	if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(stat);
	return state == 'Z' || state == 'X';
}

static int stop_thread(struct process *process, pid_t tid)
{
	struct thread *more;

	more = reallocarray(process->threads, process->nr_threads + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	process->threads = more;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
		int err = -errno;

		return err == -EPERM && has_ended(process->pid, tid) ? -ESRCH : err;
	}
	more += process->nr_threads++;
	*more = (struct thread){ .tid = tid };
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return -errno;
	return wait_stopped(more);
}

static bool is_known(const struct process *process, pid_t tid)
{
	for (size_t i = 0; i < process->nr_threads; i++) {
		if (process->threads[i].tid == tid)
			return true;
	}
	return false;
}

/* One pass over the threads: how many were new, or -errno. */
static int stop_new_threads(struct process *process)
{
	struct dirent *entry;
	char path[64];
	int new = 0, err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process->pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || is_known(process, tid))
			continue;
		err = stop_thread(process, tid);
		/* A thread that ended meanwhile is nobody's; the leader is. */
		if (err == -ESRCH && tid != process->pid)
			err = 0;
		else
			new ++;
	}
	closedir(dir);
	return err ?: new;
}

/* Threads make threads until all are stopped: again, until a pass meets none. */
static int stop_all(struct process *process)
{
	int new;

	do {
		new = stop_new_threads(process);
	} while (new > 0);
	return new;
}

/* A register set's length, or -errno. */
static ssize_t read_set(const struct thread *thread, unsigned long type, void *room)
{
	struct iovec set = { .iov_base = room, .iov_len = REGISTERS_ROOM };

	if (ptrace(PTRACE_GETREGSET, thread->tid, type, &set) < 0)
		return -errno;
	return set.iov_len;
}

static int find_stack(struct thread *thread)
{
	union {
		struct user_regs_struct general;
		char room[REGISTERS_ROOM];
	} registers;
	ssize_t length;

	length = read_set(thread, NT_PRSTATUS, &registers);
	if (length == sizeof(registers.general))
		thread->stack_pointer = registers.general.rsp;
	explicit_bzero(&registers, sizeof(registers));
	return length < 0 ? length : 0;
}

int process_stopped(struct process *process)
{
	int err = 0;

	for (size_t i = 0; !err && i < process->nr_threads; i++) {
		if (process->threads[i].stopped)
			err = find_stack(&process->threads[i]);
	}
	return err ?: memory_open(process);
}

int process_attach(struct process *process, pid_t pid, char *why, size_t room)
{
	int err;

	*process = (struct process){ .pid = pid, .memory = -1, .pagemap = -1 };
	err = stop_all(process);
	if (err) {
		explain(pid, err, why, room);
		return err;
	}
	err = process_stopped(process);
	if (err)
		snprintf(why, room, "cannot read the mappings of process %d: %s",
			 (int)pid, strerror(-err));
	return err;
}

void process_detach(struct process *process)
{
	for (size_t i = 0; i < process->nr_threads; i++) {
		struct thread *thread = &process->threads[i];

		if (thread->stopped)
			ptrace(PTRACE_DETACH, thread->tid, NULL,
			       (void *)(long)thread->signal);
	}
	memory_close(process);
	free(process->threads);
	process->threads = NULL;
	process->nr_threads = 0;
}

static int search_set(struct thread *thread, unsigned long type, uint64_t address,
		      struct search *search, void *room)
{
	ssize_t length = read_set(thread, type, room);

	if (length < 0)
		return length;
	search_gap(search);
	search_feed(search, address, room, length);
	search_gap(search);
	return 0;
}

/*
 * The XSAVE area begins with the x87 and SSE registers, so NT_FPREGSET is only
 * for machines without it: reading both would count what is in xmm twice.
 */
static int search_registers(struct process *process, struct search *search)
{
	void *room = malloc(REGISTERS_ROOM);
	uint64_t address = REGISTER_ADDRESS;
	int err = room ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < process->nr_threads; i++) {
		struct thread *thread = &process->threads[i];

		if (!thread->stopped)
			continue;
		err = search_set(thread, NT_PRSTATUS, address, search, room);
		if (err)
			break;
		address += REGISTERS_ROOM;
		err = search_set(thread, NT_X86_XSTATE, address, search, room);
		if (err && err != -ESRCH)
			err = search_set(thread, NT_FPREGSET, address, search, room);
		address += REGISTERS_ROOM;
	}
	if (room)
		explicit_bzero(room, REGISTERS_ROOM);
	free(room);
	return err;
}

int process_search(struct process *process, struct search *search)
{
	return search_registers(process, search) ?: memory_search(process, search);
}

enum where process_where(const struct process *process, uint64_t address)
{
	const struct mapping *mapping;

	mapping = process_mapping(process, address);
	return mapping ? mapping->where : WHERE_REGISTER;
}
