// SPDX-License-Identifier: MIT
/*
 * The registers of a thread of another process, searched from outside: a word that
 * was in them is found while it waits in a system call and while it is preempted, in
 * the XSAVE area, in the registers of the last entry, and dead on its kernel stack;
 * and is found no more once it was overwritten there, or wiped by LETHE_IOC_WIPE.
 * (That what is in its initial state is not overwritten, QEMU does not model:
 * kernel_copies_test has it, natively.)
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "../../bpf/registers.h"
#include "../selftests/tap.h"
#include "searched.h"

/* Of xmm0 to xmm15, in words; and general registers that are filled. */
#define VECTOR_WORDS 32
#define GENERAL_WORDS 2
/* sizeof(struct pt_regs), and the words that some kernels leave above it. */
#define ENTRY_SIZE (21 * 8 + 16)
/* Calls; and as many as it takes to overwrite every place where these were. */
#define SOME 50
#define ALL 2000
#define REPEATS 20
#define TRIES 1000
#define FIRST_PID_NAMESPACE 0xeffffffcUL

static struct registers_probe *probe;
static uint64_t word, junk, mask;
static pid_t pid;

/* Where it is found, in words. */
struct found {
	unsigned int area, entry, dead;
	bool running;
};

static unsigned int count(const unsigned long long *bits, unsigned int from,
			  unsigned int to)
{
	unsigned int nr = 0;

	for (unsigned int i = from / 8; i < to / 8; i++)
		nr += bits[i / REGISTERS_BITS] >> (i % REGISTERS_BITS) & 1;
	return nr;
}

static int ask(pid_t tid, unsigned int any, struct found *found)
{
	static struct registers_answer answer;
	struct registers_question question = {
		.mask = mask, .masked = word ^ mask, .tid = tid, .any = any
	};
	int err = registers_probe_ask(probe, &question, &answer);
	unsigned int entry;

	if (err || answer.stack_size < ENTRY_SIZE)
		return err;
	entry = answer.stack_size - ENTRY_SIZE;
	*found = (struct found){
		.area = count(answer.area, 0, answer.area_size),
		.entry = count(answer.stack, entry, answer.stack_size),
		.dead = count(answer.stack, 0, entry),
		.running = answer.running,
	};
	return 0;
}

static struct found look(const char *when)
{
	struct found found = { 0 };
	int err = ask(pid, 1, &found);

	if (err)
		tap_bail("%s: the probe: %s", when, strerror(-err));
	tap_note("%s: %u words in the XSAVE area, %u of the entry, %u dead%s", when,
		 found.area, found.entry, found.dead, found.running ? ", running" : "");
	return found;
}

static bool is_none(struct found found)
{
	return !found.area && !found.entry && !found.dead;
}

static bool is_there(struct found found)
{
	return found.area >= VECTOR_WORDS && found.entry >= GENERAL_WORDS;
}

static void tell(enum searched_order order, uint64_t in_registers)
{
	searched_tell(order, &(struct searched_words){ .word = in_registers });
}

/* What it waits with is junk. */
static void tell_poll(uint64_t argument, unsigned int times)
{
	searched_tell(SEARCHED_POLL, &(struct searched_words){ .word = junk,
							       .argument = argument,
							       .times = times });
}

/* Until the wait, which may begin further up, has not lain over all of it. */
static bool leaves_dead(const char *when)
{
	for (int i = 0; i < REPEATS; i++) {
		tell_poll(word, SOME);
		if (look(when).dead)
			return true;
	}
	return false;
}

static void test_waiting(void)
{
	struct found found;

	tell(SEARCHED_WAIT, word);
	found = look("waiting");
	tap_ok(is_there(found) && !found.running,
	       "a word in the registers of another process that waits is found");
	tell(SEARCHED_WAIT, junk);
	tap_ok(is_none(look("overwritten")), "once it is overwritten, nowhere");
}

/* Asks from a pid namespace of its own, where it is 1 and sees nobody else. */
static void test_namespace(void)
{
	pid_t asker;
	int status;

	tell(SEARCHED_WAIT, word);
	fflush(stdout);
	asker = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (asker < 0)
		tap_bail("clone: %s", strerror(errno));
	if (!asker) {
		struct found found;

		if (ask(pid, 1, &found) || !is_there(found))
			_exit(1);
		_exit(ask(getpid(), 0, &found) ? 2 : 0);
	}
	if (waitpid(asker, &status, 0) != asker)
		tap_bail("waitpid: %s", strerror(errno));
	tap_ok(!status,
	       "so it is by who asks from another pid namespace, and he himself");
	tell(SEARCHED_WAIT, junk);
}

static void test_dead_stack(void)
{
	tap_ok(leaves_dead("a call's argument"),
	       "what a call left dead on the kernel stack is found");
	tell_poll(junk, ALL);
	tap_ok(is_none(look("another in its place")),
	       "once others have overwritten it, nowhere");
}

static void test_wipe(int device)
{
	if (device < 0) {
		tap_skip("no " LETHE_DEVICE, "once the module has wiped it, nowhere");
		return;
	}
	if (!leaves_dead("before"))
		tap_bail("there is nothing to wipe");
	tell(SEARCHED_WIPE, junk);
	tap_ok(is_none(look("wiped")), "once the module has wiped it, nowhere");
}

static void pin(pid_t who, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(who, sizeof(set), &set))
		tap_bail("sched_setaffinity: %s", strerror(errno));
}

static int next_cpu(const cpu_set_t *set, int cpu)
{
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

static void test_spinning(void)
{
	struct found found;
	cpu_set_t set;
	int cpu, other;

	if (sched_getaffinity(0, sizeof(set), &set))
		tap_bail("sched_getaffinity: %s", strerror(errno));
	cpu = next_cpu(&set, 0);
	other = next_cpu(&set, cpu + 1);
	/* Who looks is on its processor, so it is not. */
	pin(0, cpu);
	pin(pid, cpu);
	tell(SEARCHED_SPIN, word);
	found = look("preempted");
	tap_ok(is_there(found) && !found.running,
	       "a word in the registers of one that is preempted is found");
	if (other == CPU_SETSIZE) {
		tap_skip("one processor", "one that runs just then is told apart");
	} else {
		pin(pid, other);
		for (int i = 0; i < TRIES && !found.running; i++) {
			usleep(1000);
			if (ask(pid, 1, &found))
				tap_bail("the probe does not find it");
		}
		tap_ok(found.running, "one that runs just then is told apart");
	}
	searched_rest();
	sched_setaffinity(0, sizeof(set), &set);
}

/* It has no arguments. */
static bool is_kernel_thread(pid_t who)
{
	char path[64], byte;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", who);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, &byte, 1);
	close(fd);
	return !length;
}

static void test_nobody(void)
{
	struct found found;

	tap_ok(ask(pid, 0, &found) == -ESRCH,
	       "another process's thread is none of the process that asks");
	tap_ok(ask(0, 1, &found) == -ESRCH && ask(0x3ffffff, 1, &found) == -ESRCH &&
		       ask(-1, 1, &found) == -ESRCH,
	       "there is no thread whose number is nobody's");
	if (is_kernel_thread(2))
		tap_ok(ask(2, 1, &found) == -ESRCH, "a kernel thread is none");
	else
		tap_skip("2 is no kernel thread", "a kernel thread is none");
	searched_kill();
	tap_ok(ask(pid, 1, &found) == -ESRCH, "one that has ended is none");
	if (waitpid(pid, NULL, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	tap_ok(ask(pid, 1, &found) == -ESRCH, "nor when it is gone");
}

int main(void)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC), err;
	struct stat namespace;

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	if (stat("/proc/self/ns/pid", &namespace) ||
	    namespace.st_ino != FIRST_PID_NAMESPACE)
		tap_skip_all("not the first pid namespace");
	err = registers_probe_open(&probe);
	if (err)
		tap_bail("the probe cannot be loaded: %s", strerror(-err));
	word = searched_new_word();
	junk = searched_new_word();
	mask = searched_new_word();
	tap_plan(13);
	pid = searched_start(device);
	test_waiting();
	test_namespace();
	test_dead_stack();
	test_wipe(device);
	test_spinning();
	test_nobody();
	registers_probe_close(probe);
	return tap_end();
}
