// SPDX-License-Identifier: MIT
/*
 * The registers of a thread of another process, searched from outside: a word that
 * was in them is found while it waits in a system call and while it is preempted, in
 * the XSAVE area, in the registers of the last entry, and dead on its kernel stack;
 * and is found no more once it was overwritten there, or wiped by LETHE_IOC_WIPE. The
 * process is the first of a pid namespace of its own. (That what is in its initial
 * state is not overwritten, QEMU does not model: kernel_copies_test has it.)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "../../bpf/registers.h"
#include "../selftests/tap.h"

/* Of xmm0 to xmm15, in words. */
#define VECTOR_WORDS 32
/* sizeof(struct pt_regs), and the words that some kernels leave above it. */
#define ENTRY_SIZE (21 * 8 + 16)
/* As many as poll() copies to the kernel's stack, and not to its heap. */
#define FDS 29
/* Calls; as many as it takes to overwrite every place where these were. */
#define SOME 50
#define ALL 2000
#define REPEATS 20
#define TRIES 1000
#define FIRST_PID_NAMESPACE 0xeffffffcUL

enum order { WAIT, SPIN, POLL, WIPE };

/* Shared with the process that is searched: it has the word from here alone. */
static struct {
	uint64_t word, argument;
	enum order order;
	unsigned int given, begun, times;
	volatile int spin;
} * shared;

static struct registers_probe *probe;
static uint64_t word, mask;
static int wake[2];

/* Puts the word into registers, and reads a byte: for as long as none comes. */
static void wait_with_word(void)
{
	char byte;
	long result = SYS_read;

	asm volatile("mov (%[at]), %%rbx\n"
		     "mov %%rbx, %%r12\n"
		     "movq (%[at]), %%xmm0\n"
		     "punpcklqdq %%xmm0, %%xmm0\n"
		     ".irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
		     "movdqa %%xmm0, %%xmm\\i\n"
		     ".endr\n"
		     "syscall"
		     : "+a"(result)
		     : [at] "r"(&shared->word), "D"((long)wake[0]), "S"(&byte), "d"(1L)
		     : "rbx", "r12", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2",
		       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
		       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	if (result != 1)
		_exit(2);
}

/* The same, and asks the kernel for nothing. */
static void spin_with_word(void)
{
	asm volatile("mov (%[at]), %%rbx\n"
		     "mov %%rbx, %%r12\n"
		     "movq (%[at]), %%xmm0\n"
		     "punpcklqdq %%xmm0, %%xmm0\n"
		     ".irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
		     "movdqa %%xmm0, %%xmm\\i\n"
		     ".endr\n"
		     "1: pause\n"
		     "cmpl $0, (%[spin])\n"
		     "jne 1b"
		     :
		     : [at] "r"(&shared->word), [spin] "r"(&shared->spin)
		     : "rbx", "r12", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3",
		       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		       "xmm12", "xmm13", "xmm14", "xmm15");
}

/*
 * poll() leaves its array on the kernel's stack; no descriptor in it is one. Often, as
 * the kernel may begin each call a little further down (randomize_kstack_offset).
 */
static void poll_with_word(void)
{
	struct pollfd fds[FDS];

	for (int i = 0; i < FDS; i++)
		memcpy(&fds[i], &shared->argument, sizeof(fds[i]));
	for (unsigned int i = 0; i < shared->times; i++) {
		if (poll(fds, FDS, 0))
			_exit(2);
	}
}

static void wipe_own(int device)
{
	struct lethe_wipe wipe = { .size = sizeof(wipe), .flags = LETHE_WIPE_REGISTERS };

	if (ioctl(device, LETHE_IOC_WIPE, &wipe))
		_exit(3);
}

/* Does as it is told, and then waits with what the word is then. */
__attribute__((noreturn)) static void be_searched(int device)
{
	for (;;) {
		switch (shared->order) {
		case SPIN:
			__atomic_store_n(&shared->begun, shared->given, __ATOMIC_SEQ_CST);
			spin_with_word();
			break;
		case POLL:
			poll_with_word();
			break;
		case WIPE:
			wipe_own(device);
			break;
		case WAIT:
			break;
		}
		__atomic_store_n(&shared->begun, shared->given, __ATOMIC_SEQ_CST);
		wait_with_word();
	}
}

static char state_of(pid_t pid)
{
	char path[64], text[256], *end, state = 0;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	end = strrchr(text, ')');
	if (end)
		state = end[2];
	return state;
}

/* Until it is in @state, past what it was told. */
static void await(pid_t pid, char state)
{
	for (int i = 0; i < TRIES * 10; i++) {
		bool begun = __atomic_load_n(&shared->begun, __ATOMIC_SEQ_CST) ==
			     shared->given;

		if (begun && state_of(pid) == state)
			return;
		usleep(1000);
	}
	tap_bail("the process that is searched is not where it should be");
}

static void tell(pid_t pid, enum order order, uint64_t with, char state)
{
	shared->word = with;
	shared->order = order;
	shared->spin = order == SPIN;
	shared->given++;
	if (write(wake[1], "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
	await(pid, state);
}

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

	if (err)
		return err;
	*found = (struct found){
		.area = count(answer.area, 0, answer.area_size),
		.entry = count(answer.stack, answer.stack_size - ENTRY_SIZE,
			       answer.stack_size),
		.dead = count(answer.stack, 0, answer.stack_size - ENTRY_SIZE),
		.running = answer.running,
	};
	return 0;
}

static struct found look(pid_t pid, const char *when)
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

static void test_waiting(pid_t pid, uint64_t junk)
{
	struct found found;

	tell(pid, WAIT, word, 'S');
	found = look(pid, "waiting");
	tap_ok(found.area >= VECTOR_WORDS && found.entry >= 2 && !found.running,
	       "a word in the registers of another process that waits is found");
	tell(pid, WAIT, junk, 'S');
	tap_ok(is_none(look(pid, "overwritten")), "once it is overwritten, nowhere");
}

/* Calls with @argument, and waits with junk in its registers. */
static void tell_poll(pid_t pid, uint64_t argument, uint64_t junk)
{
	shared->times = argument == junk ? ALL : SOME;
	shared->argument = argument;
	tell(pid, POLL, junk, 'S');
}

/* Until the wait, which may begin further up, has not lain over all of it. */
static bool leaves_dead(pid_t pid, uint64_t junk, const char *when)
{
	for (int i = 0; i < REPEATS; i++) {
		tell_poll(pid, word, junk);
		if (look(pid, when).dead)
			return true;
	}
	return false;
}

static void test_dead_stack(pid_t pid, uint64_t junk)
{
	tap_ok(leaves_dead(pid, junk, "a call's argument"),
	       "what a call left dead on the kernel stack is found");
	tell_poll(pid, junk, junk);
	tap_ok(is_none(look(pid, "another in its place")),
	       "once the next has overwritten it, nowhere");
}

static void test_wipe(pid_t pid, int device, uint64_t junk)
{
	if (device < 0) {
		tap_skip("no " LETHE_DEVICE, "once the module has wiped it, nowhere");
		return;
	}
	if (!leaves_dead(pid, junk, "before"))
		tap_bail("there is nothing to wipe");
	tell(pid, WIPE, junk, 'S');
	tap_ok(is_none(look(pid, "wiped")), "once the module has wiped it, nowhere");
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		tap_bail("sched_setaffinity: %s", strerror(errno));
}

static void test_spinning(pid_t pid)
{
	cpu_set_t set;
	int cpu = 0, other;
	struct found found;

	if (sched_getaffinity(0, sizeof(set), &set))
		tap_bail("sched_getaffinity: %s", strerror(errno));
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	for (other = cpu + 1; other < CPU_SETSIZE && !CPU_ISSET(other, &set);)
		other++;
	/* Who looks is on its processor, so it is not. */
	pin(0, cpu);
	pin(pid, cpu);
	tell(pid, SPIN, word, 'R');
	found = look(pid, "preempted");
	tap_ok(found.area >= VECTOR_WORDS && found.entry >= 2 && !found.running,
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
	shared->spin = 0;
	await(pid, 'S');
	sched_setaffinity(0, sizeof(set), &set);
}

static bool is_kernel_thread(pid_t pid)
{
	char path[64];
	char byte;
	int fd;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, &byte, 1);
	close(fd);
	return !length;
}

static void test_nobody(pid_t pid)
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
	if (kill(pid, SIGKILL))
		tap_bail("kill: %s", strerror(errno));
	await(pid, 'Z');
	tap_ok(ask(pid, 1, &found) == -ESRCH, "one that has ended is none");
	if (waitpid(pid, NULL, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	tap_ok(ask(pid, 1, &found) == -ESRCH, "nor when it is gone");
}

static pid_t start(int device)
{
	pid_t pid;

	fflush(stdout);
	/* In a namespace of its own it is 1, and asked for by its number here. */
	pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		tap_bail("clone: %s", strerror(errno));
	if (!pid) {
		if (getpid() != 1)
			_exit(4);
		be_searched(device);
	}
	await(pid, 'S');
	return pid;
}

/* As poll() takes them: no descriptor, and nothing returned. */
static uint64_t new_word(void)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		tap_bail("getrandom: %s", strerror(errno));
	return (random | 1ULL << 31) & ~(0xffffULL << 48);
}

int main(void)
{
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC), err;
	uint64_t junk = new_word();
	struct stat stat_of;
	pid_t pid;

	if (geteuid())
		tap_skip_all("no right to load a BPF program");
	if (stat("/proc/self/ns/pid", &stat_of) || stat_of.st_ino != FIRST_PID_NAMESPACE)
		tap_skip_all("not the first pid namespace");
	err = registers_probe_open(&probe);
	if (err)
		tap_bail("the probe cannot be loaded: %s", strerror(-err));
	word = new_word();
	mask = new_word();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(wake, O_CLOEXEC))
		tap_bail("%s", strerror(errno));
	tap_plan(12);
	pid = start(device);
	test_waiting(pid, junk);
	test_dead_stack(pid, junk);
	test_wipe(pid, device, junk);
	test_spinning(pid);
	test_nobody(pid);
	registers_probe_close(probe);
	return tap_end();
}
