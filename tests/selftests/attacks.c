// SPDX-License-Identifier: MIT
/*
 * Who gets what of a process that is in a section, on the backend in use: another user,
 * another process of the same user, root without code in the kernel, and a thread of its
 * own. What is on secret pages, and what is in registers; by the ways of a debugger, by
 * descriptors, by sampling, and by making the process itself tell. SECURITY.md names
 * these points, those where the secret is got as well.
 *
 * The control of each way is ordinary memory of the same process, at the same moment.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacked.h"
#include "lethe.h"
#include "tap.h"

#define DESCRIPTORS 64
#define SEARCH_AT_MOST ((size_t)1 << 20)

static const char *const places[PLACES] = { "ordinary memory", "its stack", "its heap",
					    "a guarded buffer" };

static bool unmapped;

static const char *failed(void)
{
	return strerrorname_np(errno);
}

static const char *seen(uint64_t word)
{
	return word == ~shared->masked[0] ? "the secret" : "something else";
}

static bool has_secret(const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i + BYTES <= length; i += sizeof(uint64_t)) {
		const uint64_t *word = (const uint64_t *)(bytes + i);
		int same = 0;

		while (same < WORDS && word[same] == ~shared->masked[same])
			same++;
		if (same == WORDS)
			return true;
	}
	return false;
}

typedef const char *attack_fn(uint64_t *at);

/* What came of @attack, in a process of @user's. */
static const char *attack_as(uid_t user, attack_fn *attack, uint64_t *at)
{
	static char what[sizeof(shared->outcome)];
	pid_t pid;

	strcpy(shared->outcome, "no answer");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(SECONDS_AT_MOST);
		become(user);
		snprintf(shared->outcome, sizeof(shared->outcome), "%s", attack(at));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	memcpy(what, shared->outcome, sizeof(what));
	return what;
}

static const char *by_readv(uint64_t *at)
{
	uint64_t word = 0;
	struct iovec here = { &word, sizeof(word) }, there = { at, sizeof(word) };

	return process_vm_readv(victim, &here, 1, &there, 1, 0) < 0 ? failed() :
								      seen(word);
}

static const char *by_mem(uint64_t *at)
{
	uint64_t word = 0;
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/mem", victim);
	fd = open(name, O_RDONLY);
	if (fd < 0 || pread(fd, &word, sizeof(word), (off_t)at) < 0)
		return failed();
	return seen(word);
}

static bool attached(void)
{
	return !ptrace(PTRACE_ATTACH, victim, NULL, NULL) &&
	       waitpid(victim, NULL, 0) == victim;
}

static const char *by_peek(uint64_t *at)
{
	uint64_t word;

	if (!attached())
		return failed();
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, victim, at, NULL);
	return errno ? failed() : seen(word);
}

static const char *by_registers(uint64_t *at)
{
	struct user_regs_struct registers;

	(void)at;
	if (!attached() || ptrace(PTRACE_GETREGS, victim, NULL, &registers))
		return failed();
	return seen(registers.r12);
}

/* It is in a system call: that instruction, once more, with a call of our own. */
static const char *by_its_own_write(uint64_t *at)
{
	struct user_regs_struct registers;
	uint64_t word = 0;

	if (!attached() || ptrace(PTRACE_GETREGS, victim, NULL, &registers))
		return failed();
	registers.rip -= 2;
	registers.orig_rax = -1UL;
	registers.rax = SYS_write;
	registers.rdi = shared->told[1];
	registers.rsi = (uintptr_t)at;
	registers.rdx = sizeof(word);
	fcntl(shared->told[0], F_SETFL, O_NONBLOCK);
	if (ptrace(PTRACE_SETREGS, victim, NULL, &registers) ||
	    ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) ||
	    waitpid(victim, NULL, 0) != victim ||
	    read(shared->told[0], &word, sizeof(word)) != sizeof(word))
		return failed();
	return seen(word);
}

/* Is the secret in what the descriptor is of? It is closed. */
static bool found_in(int fd)
{
	struct stat is;
	size_t length = PAGE;
	unsigned char *map;
	bool found;

	if (fd < 0)
		return false;
	if (!fstat(fd, &is) && is.st_size)
		length = (size_t)is.st_size < SEARCH_AT_MOST ? (size_t)is.st_size :
							       SEARCH_AT_MOST;
	map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	found = has_secret(map, length);
	munmap(map, length);
	return found;
}

static const char *how_often(int found)
{
	return found == 1 ? "the control" : found ? "more than the control" : "nothing";
}

static const char *by_descriptors(uint64_t *at)
{
	int pidfd = syscall(SYS_pidfd_open, victim, 0), found = 0;

	(void)at;
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		found += found_in(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	return how_often(found);
}

static const char *by_map_files(uint64_t *at)
{
	char name[320], folder[64];
	struct dirent *entry;
	int found = 0;
	DIR *files;

	(void)at;
	snprintf(folder, sizeof(folder), "/proc/%d/map_files", victim);
	files = opendir(folder);
	while (files && (entry = readdir(files))) {
		snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
		found += entry->d_name[0] != '.' && found_in(open(name, O_RDONLY));
	}
	return how_often(found);
}

/* What perf takes of the user's stack as the victim goes to sleep. */
static const char *by_samples(uint64_t *at)
{
	const size_t size = 17 * PAGE;
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_STACK_USER,
		.sample_stack_user = 1024,
	};
	unsigned char *ring;
	int fd = syscall(SYS_perf_event_open, &attributes, victim, -1, -1, 0);

	(void)at;
	if (fd < 0)
		return "SKIP perf_event_open";
	ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		return "SKIP perf's buffer";
	usleep(50 * 1000);
	return has_secret(ring + PAGE, size - PAGE) ? "the secret" : "nothing";
}

static attack_fn *const ways[] = { by_peek, by_mem, by_readv };

#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define REFUSED "EPERM, EACCES, EPERM"
#define UNREADABLE "EIO, EIO, EFAULT"
#define READABLE "the secret, the secret, the secret"

/* The text begins with the backend, ends in what came of it. */
static void point(bool ok, const char *who, const char *how, const char *what)
{
	if (!strncmp(what, "SKIP ", 5))
		tap_skip(what + 5, "%s: %s, %s", lethe_backend(), who, how);
	else
		tap_ok(ok, "%s: %s, %s: %s", lethe_backend(), who, how, what);
}

/* What came of each way, for one place. */
static void read_place(uid_t user, enum place place, char *all, size_t room)
{
	*all = 0;
	for (size_t i = 0; i < WAYS; i++)
		snprintf(all + strlen(all), room - strlen(all), "%s%s", i ? ", " : "",
			 attack_as(user, ways[i], shared->at[place]));
}

static void test_reads(uid_t user, const char *who, enum place first, enum place last,
		       const char *of)
{
	const char *expect = user == OTHER                 ? REFUSED :
			     unmapped && first != ORDINARY ? UNREADABLE :
							     READABLE;
	char how[64], all[256];
	bool good = true;

	for (enum place place = first; place <= last && good; place++) {
		read_place(user, place, all, sizeof(all));
		good = !strcmp(all, expect);
		if (!good)
			tap_note("%s: expected: %s", places[place], expect);
	}
	snprintf(how, sizeof(how), "ptrace, /proc/pid/mem, process_vm_readv of %s", of);
	point(good, who, how, all);
}

static void test_way(uid_t user, const char *who, const char *how, attack_fn *attack,
		     enum place place, const char *expect)
{
	const char *what = attack_as(user, attack, shared->at[place]);

	point(!strcmp(what, expect), who, how, what);
}

static void test_user(uid_t user, const char *who)
{
	test_reads(user, who, ORDINARY, ORDINARY, "ordinary memory");
	test_reads(user, who, STACK, BUFFER, "its secret pages");
	test_way(user, who, "registers by ptrace", by_registers, ORDINARY,
		 user == OTHER ? "EPERM" : "the secret");
}

static void test_same_user(void)
{
	static const char who[] = "the same user", stack[] = "a write of its stack";

	test_user(VICTIM, who);
	test_way(VICTIM, who, "descriptors by pidfd_getfd", by_descriptors, ORDINARY,
		 "the control");
	test_way(VICTIM, who, "a write of its stack that the process is made to do",
		 by_its_own_write, STACK, "the secret");
	victim_end();
	victim_start(false);
	test_way(VICTIM, "not dumpable", "registers by ptrace", by_registers, ORDINARY,
		 "EPERM");
	test_way(VICTIM, "not dumpable", stack, by_its_own_write, STACK, "EPERM");
	victim_end();
}

static void test_root(void)
{
	test_user(ROOT, "root");
	test_way(ROOT, "root", "/proc/pid/map_files", by_map_files, ORDINARY,
		 "the control");
	test_way(ROOT, "root", "samples of its stack by perf", by_samples, STACK,
		 "the secret");
}

int main(void)
{
	attacked_open();
	if (geteuid())
		tap_skip_all("root, to be more than one user");
	if (!lethe_backend())
		tap_skip_all("the backend that was asked for");
	unmapped = strcmp(lethe_backend(), "mlock") != 0;
	tap_plan(1 + 3 * 3 + 2 + 2 + 2);

	victim_start(true);
	point(shared->thread_reads, "another thread of the process",
	      "its stack, its heap and a guarded buffer",
	      shared->thread_reads ? "the secret" : "something else");
	test_user(OTHER, "another user");
	test_root();
	test_same_user();
	return tap_end();
}
