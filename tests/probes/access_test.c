// SPDX-License-Identifier: MIT
/*
 * Every way to read another process's memory, tried on secret pages of each kind, and,
 * as a control, on an ordinary page of the same process. Each is told once: by whom, on
 * whom, where, and what the kernel answered. Of what is only locked it says what is so:
 * the kernel let them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "access_run.h"

/* More than there is room for until somebody reads. */
#define FLOOD 60000

static long result_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* As the kernel answers, without what libc makes of it. */
static long by_peek(pid_t victim, uint64_t address)
{
	uint64_t word;
	long result;

	if (ptrace(PTRACE_SEIZE, victim, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, victim, NULL, NULL) ||
	    waitpid(victim, NULL, __WALL) != victim)
		return -errno;
	result = result_of(syscall(SYS_ptrace, PTRACE_PEEKDATA, victim, address, &word));
	ptrace(PTRACE_DETACH, victim, NULL, NULL);
	return result;
}

static long by_attach(pid_t victim, uint64_t address)
{
	long result = result_of(ptrace(PTRACE_ATTACH, victim, NULL, NULL));

	(void)address;
	waitpid(victim, NULL, __WALL);
	ptrace(PTRACE_DETACH, victim, NULL, NULL);
	return result;
}

static long by_process_vm(pid_t victim, uint64_t address)
{
	uint64_t word;
	struct iovec to = { &word, WORD }, from = { (void *)address, WORD };

	return result_of(process_vm_readv(victim, &to, 1, &from, 1, 0));
}

static long by_process_vm_write(pid_t victim, uint64_t address)
{
	uint64_t word = 0;
	struct iovec from = { &word, WORD }, to = { (void *)address, WORD };

	return result_of(process_vm_writev(victim, &from, 1, &to, 1, 0));
}

static int open_mem(pid_t victim)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/mem", victim);
	return open(name, O_RDWR | O_CLOEXEC);
}

static long by_mem(pid_t victim, uint64_t address)
{
	uint64_t word;

	return result_of(pread(open_mem(victim), &word, WORD, address));
}

static long by_mem_seek(pid_t victim, uint64_t address)
{
	int fd = open_mem(victim);
	uint64_t word;

	if (lseek(fd, address, SEEK_SET) < 0)
		return -errno;
	return result_of(read(fd, &word, WORD));
}

static long by_mem_vector(pid_t victim, uint64_t address)
{
	uint64_t word;
	struct iovec to = { &word, WORD };

	return result_of(preadv(open_mem(victim), &to, 1, address));
}

static long by_mem_write(pid_t victim, uint64_t address)
{
	uint64_t word = 0;

	return result_of(pwrite(open_mem(victim), &word, WORD, address));
}

static const struct way {
	const char *name;
	enum access_way how;
	attack_fn *fn;
	size_t events; /* that it makes: to peek, one attaches first */
} ways[] = {
	{ "ptrace(PTRACE_PEEKDATA)", ACCESS_PTRACE, by_peek, 2 },
	{ "process_vm_readv", ACCESS_PROCESS_VM, by_process_vm, 1 },
	{ "process_vm_writev", ACCESS_PROCESS_VM, by_process_vm_write, 1 },
	{ "pread of /proc/pid/mem", ACCESS_PROC_MEM, by_mem, 1 },
	{ "lseek and read of /proc/pid/mem", ACCESS_PROC_MEM, by_mem_seek, 1 },
	{ "preadv of /proc/pid/mem", ACCESS_PROC_MEM, by_mem_vector, 1 },
	{ "pwrite of /proc/pid/mem", ACCESS_PROC_MEM, by_mem_write, 1 },
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Ended, refused or let, as @kind has it, and so counted. */
static bool answered(enum kind kind, enum access_way how,
		     const struct access_counts *before)
{
	struct access_counts after = access_now();
	bool let = kind == ORDINARY || kind == LOCKED;

	return after.tried[how] > before->tried[how] &&
	       (let ? access_run->result >= 0 :
		      access_run->result < 0 &&
				after.refused[how] > before->refused[how]);
}

static bool told_right(pid_t attacker, pid_t victim, const struct way *way,
		       enum kind kind, uint64_t address)
{
	struct event event;

	return access_told(attacker) == way->events &&
	       access_told_one(attacker, way->how, &event) && event.target == victim &&
	       event.tid == attacker && event.kind == kind_bits[kind] &&
	       event.address == address && event.length == WORD &&
	       event.result == access_run->result &&
	       !strcmp(event.command, "access_test");
}

static void test_way(const struct way *way, enum kind kind, pid_t victim)
{
	uint64_t address = kind == ORDINARY ? access_run->ordinary : access_run->secret;
	struct access_counts before = access_now();
	pid_t attacker = attack(way->fn, victim, address);
	bool ok = answered(kind, way->how, &before) &&
		  told_right(attacker, victim, way, kind, address);

	tap_ok(ok, "%s on %s memory is %s, and told once", way->name, kind_names[kind],
	       kind == ORDINARY || kind == LOCKED ? "let" : "refused");
	if (!ok)
		tap_note("result %ld, %zu events", access_run->result,
			 access_told(attacker));
}

static void test_attach(pid_t victim)
{
	pid_t attacker = attack(by_attach, victim, 0);
	struct event event;

	tap_ok(access_told(attacker) == 1 &&
		       access_told_one(attacker, ACCESS_ATTACH, &event) &&
		       event.target == victim && event.result == access_run->result,
	       "who attaches to a process with secret pages is told once");
}

static long by_thread(pid_t victim, uint64_t address)
{
	(void)victim;
	return by_process_vm(access_run->thread, address);
}

static void test_thread(pid_t victim)
{
	pid_t attacker = attack(by_thread, victim, access_run->secret);
	struct event event;

	tap_ok(access_told_one(attacker, ACCESS_PROCESS_VM, &event) &&
		       event.target == victim,
	       "a thread that is attacked is told as its process");
}

/* An ordinary page, and the secret one behind it. */
static long by_both(pid_t victim, uint64_t address)
{
	static char word[2 * PAGE];
	struct iovec to = { word, 2 * PAGE }, from = { (void *)address, 2 * PAGE };

	return result_of(process_vm_readv(victim, &to, 1, &from, 1, 0));
}

static void test_part(enum kind kind, pid_t victim)
{
	struct access_counts before = access_now();
	pid_t attacker = attack(by_both, victim, access_run->ordinary);
	struct event event;
	bool ok = access_told_one(attacker, ACCESS_PROCESS_VM, &event) &&
		  event.kind == kind_bits[kind] && event.length == 2 * PAGE &&
		  event.address == access_run->secret &&
		  event.result == access_run->result;

	if (kind != LOCKED)
		ok = ok && access_run->result == (long)PAGE &&
		     access_now().refused[ACCESS_PROCESS_VM] >
			     before.refused[ACCESS_PROCESS_VM];
	tap_ok(ok, "a read across into %s memory is told with where that begins",
	       kind_names[kind]);
}

static void test_none(void)
{
	pid_t victim = victim_start(ORDINARY), attacker;
	struct access_counts before = access_now();

	attacker = attack(by_process_vm, victim, access_run->ordinary);
	tap_ok(access_run->result == (long)WORD && !access_told(attacker) &&
		       access_now().tried[ACCESS_PROCESS_VM] >
			       before.tried[ACCESS_PROCESS_VM],
	       "on a process without secret pages it is counted, and not told");
	victim_end(victim);
}

/* Of @kind; in a pid namespace of their own, where they are 1, 2 and 3. */
static int say_who(int fd)
{
	return write(fd, "w", 1) == 1 ? 0 : -1;
}

static pid_t hear_who(int fd)
{
	char byte, room[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec vector = { &byte, 1 };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = room,
				  .msg_controllen = sizeof(room) };
	struct ucred *who;

	if (recvmsg(fd, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	who = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message));
	return who->pid;
}

static void be_namespace(int fd)
{
	pid_t victim, attacker;

	victim = fork();
	if (!victim) {
		say_who(fd);
		victim_be(LOCKED);
	}
	while (!access_run->ready)
		usleep(1000);
	attacker = fork();
	if (!attacker) {
		say_who(fd);
		access_run->result = by_process_vm(victim, access_run->secret);
		_exit(0);
	}
	waitpid(attacker, NULL, 0);
	kill(victim, SIGKILL);
	_exit(0);
}

static void test_namespace(void)
{
	pid_t child, victim, attacker;
	struct event event;
	int ends[2], on = 1;

	gather_begin();
	memset(access_run, 0, sizeof(*access_run));
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) ||
	    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		tap_bail("socketpair: %s", strerror(errno));
	child = fork();
	if (!child) {
		if (unshare(CLONE_NEWPID))
			_exit(1);
		child = fork();
		if (!child)
			be_namespace(ends[1]);
		waitpid(child, NULL, 0);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	victim = hear_who(ends[0]);
	attacker = hear_who(ends[0]);
	gather();
	tap_ok(access_run->result == (long)WORD &&
		       access_told_one(attacker, ACCESS_PROCESS_VM, &event) &&
		       event.target == victim && event.kind == kind_bits[LOCKED],
	       "by the numbers of another pid namespace it is told who is meant");
}

static long by_flood(pid_t victim, uint64_t address)
{
	for (int i = 0; i < FLOOD; i++) {
		if (by_process_vm(victim, address) != (long)WORD)
			return -1;
	}
	return 0;
}

static void test_flood(pid_t victim)
{
	struct access_counts before = access_now();
	unsigned long long lost;

	attack(by_flood, victim, access_run->secret);
	lost = access_now().lost - before.lost;
	tap_note("%zu told, %llu lost", gather(), lost);
	tap_ok(!access_run->result && lost && gather() && gather() + lost >= FLOOD,
	       "events for which there is no room are counted as lost");
}

int main(void)
{
	access_begin();
	tap_plan(WAYS * KINDS + KINDS - 1 + 5);
	for (enum kind kind = KMOD; kind < KINDS; kind++) {
		bool possible = kind_possible(kind);
		pid_t victim = possible ? victim_start(kind) : 0;

		for (size_t i = 0; i < WAYS; i++) {
			if (possible)
				test_way(&ways[i], kind, victim);
			else
				tap_skip(kind_names[kind], "%s", ways[i].name);
		}
		if (possible)
			test_part(kind, victim);
		else
			tap_skip(kind_names[kind], "a read across");
		if (kind == LOCKED) {
			for (size_t i = 0; i < WAYS; i++)
				test_way(&ways[i], ORDINARY, victim);
			test_attach(victim);
			test_thread(victim);
			test_flood(victim);
		}
		if (possible)
			victim_end(victim);
	}
	test_none();
	test_namespace();
	access_end();
	return tap_end();
}
