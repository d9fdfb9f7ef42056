// SPDX-License-Identifier: MIT
/*
 * A process that the kernel kills for want of memory, in a section and plainly: what is
 * left of its secret in all of RAM, searched by the host. It is in a memory cgroup of its
 * own, which it fills; nothing else is killed. Once it is freed by its own exit; and once
 * another process holds on to its memory meanwhile, so that the kernel's reaper comes and
 * takes from it what it can, which secret pages are not.
 *
 * The kernel says so at length, with a call trace, which in every other test is a
 * failure: of that nothing goes to the console. What the machine would not survive
 * (panic_on_warn) it does not here either.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "job.h"
#include "lethe.h"
#include "ram.h"

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/lethe-oom"
#define MOST_MIB 24
#define FILL_MIB 64
#define ATTEMPTS 5
#define PAGE ((size_t)4096)
#define MOMENT_US 1000
#define REAP_TRIES 200

/* klogctl(): all of the log; what goes to the console; the kernel's own default. */
#define READ_ALL 3
#define LOG_BYTES (1 << 20)
#define CONSOLE_LEVEL 8
#define EMERGENCIES 1
#define ALL_BUT_DEBUG 7

static bool on_mlock;
/* The process waits for this, in memory that it shares. */
static volatile int *go;
static char ordinary[PAGE] __attribute__((aligned(4096)));

static void must_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

static void make_cgroup(void)
{
	char most[32];

	if (access(CGROUPS "/cgroup.procs", F_OK) &&
	    mount("cgroup2", CGROUPS, "cgroup2", 0, NULL))
		tap_bail("cgroup2: %s", strerror(errno));
	must_write(CGROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755))
		tap_bail("%s: %s", CGROUP, strerror(errno));
	snprintf(most, sizeof(most), "%u", MOST_MIB << 20);
	must_write(CGROUP "/memory.max", most);
}

/* How many the kernel has killed there. */
static unsigned long killed(void)
{
	unsigned long n = 0;
	char line[64];
	FILE *file = fopen(CGROUP "/memory.events", "re");
	bool known = false;

	while (file && fgets(line, sizeof(line), file))
		known |= sscanf(line, "oom_kill %lu", &n) == 1;
	if (!known)
		tap_bail("%s: %s", CGROUP "/memory.events", strerror(errno));
	fclose(file);
	return n;
}

/* Once it is told to, until there is no more, which is its end. */
static void tell_and_fill(struct job *job)
{
	char *map = mmap(NULL, FILL_MIB << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		_exit(1);
	ordinary[0] = 1;
	job_tell(job);
	while (!*go)
		usleep(MOMENT_US);
	for (size_t i = 0; i < FILL_MIB << 20; i += PAGE)
		((volatile char *)map)[i] = 1;
	_exit(1);
}

/* In there before the secret is: its pages are charged to it. */
static void plainly(struct job *job)
{
	must_write(CGROUP "/cgroup.procs", "0");
	job_plainly(job);
}

static void in_section(struct job *job)
{
	must_write(CGROUP "/cgroup.procs", "0");
	job_in_section(job);
}

/* Reads from it into a page that never comes, and so keeps its memory from being freed. */
static void read_for_ever(pid_t pid, int ready)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct iovec here = { .iov_len = PAGE }, there = { ordinary, PAGE };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	here.iov_base = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (uintptr_t)here.iov_base;
	range.range.len = PAGE;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    write(ready, "", 1) != 1)
		_exit(1);
	process_vm_readv(pid, &here, 1, &there, 1, 0);
	_exit(1);
}

static pid_t hold(pid_t pid)
{
	int ends[2];
	pid_t holder;
	char byte;

	if (pipe2(ends, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	holder = fork();
	if (!holder)
		read_for_ever(pid, ends[1]);
	close(ends[1]);
	if (holder < 0 || read(ends[0], &byte, 1) != 1)
		tap_bail("nobody holds its memory");
	close(ends[0]);
	job_wait_asleep(holder);
	return holder;
}

/* Has the reaper been there? It comes some seconds after, where memory is not freed. */
static bool is_reaped(pid_t pid)
{
	char *log = calloc(1, LOG_BYTES + 1), words[64];
	bool found = false;

	snprintf(words, sizeof(words), "oom_reaper: reaped process %d ", (int)pid);
	for (int i = 0; log && !found && i < REAP_TRIES; i++) {
		usleep(100 * MOMENT_US);
		found = klogctl(READ_ALL, log, LOG_BYTES) > 0 && strstr(log, words);
	}
	free(log);
	return found;
}

static bool wait_killed(pid_t pid, unsigned long before)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
	       killed() == before + 1;
}

/* One such end: was it one, and what is left after it. @during: while it is held. */
static bool end(void (*how)(struct job *), bool held, struct hostlink_found *during,
		struct hostlink_found *after)
{
	unsigned long before = killed();
	pid_t pid, holder = 0;
	struct needle needle;
	bool good;

	klogctl(CONSOLE_LEVEL, NULL, EMERGENCIES);
	*go = !held;
	pid = job_start(how, tell_and_fill, &needle);
	if (held)
		holder = hold(pid);
	*go = 1;
	good = wait_killed(pid, before);
	if (held) {
		good &= is_reaped(pid);
		ram_search("killed, and held", &needle, during);
		job_kill(holder);
	}
	klogctl(CONSOLE_LEVEL, NULL, ALL_BUT_DEBUG);
	ram_search("killed, for want of memory", &needle, after);
	return good;
}

/* What of a process in a section it is about, and the same plainly. */
struct ends {
	bool good;
	struct hostlink_found control, during, after;
};

static void test(bool held, struct ends *ends)
{
	*ends = (struct ends){ .good = true };
	for (int i = 0; i < ATTEMPTS && !ends->control.copies; i++)
		ends->good &= end(plainly, held, &ends->during, &ends->control);
	ends->good &= end(in_section, held, &ends->during, &ends->after);

	tap_ok(ends->good, "each was killed by the kernel, for want of memory%s",
	       held ? ", and reaped while another held on to it" : "");
	tap_ok(ends->control.whole > 0,
	       "plainly, its secret is in free memory after that (%llu)",
	       (unsigned long long)ends->control.copies);
	if (held && ram_on_module())
		tap_ok(ends->during.in_frames && !ends->during.elsewhere,
		       "of one in a section it stays in secret pages (%llu) while it is held, and in no other (%llu)",
		       (unsigned long long)ends->during.in_frames,
		       (unsigned long long)ends->during.elsewhere);
	/* Of registers no copy is as long as that of the pages is. */
	if (!on_mlock)
		tap_ok(ram_on_module() ? !ends->after.copies : !ends->after.whole,
		       "of one in a section it is nowhere in RAM after that (%llu%s)",
		       (unsigned long long)ends->after.copies,
		       ends->after.copies && !ends->after.whole ? ", of registers" : "");
}

int main(void)
{
	struct ends ends, reaped;

	if (hostlink_open())
		tap_skip_all("a virtual machine whose host can search it");
	if (!lethe_backend())
		tap_skip_all("the backend that was asked for");
	on_mlock = !strcmp(lethe_backend(), "mlock");
	go = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (go == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	registers_look();
	make_cgroup();
	tap_note("on %s", lethe_backend());
	tap_plan(2 * (2 + !on_mlock) + ram_on_module());
	test(false, &ends);
	test(true, &reaped);
	ends.control.copies += reaped.control.copies;
	ends.after.copies += reaped.after.copies;
	ram_record("OOM kill", &ends.control, &ends.after,
		   on_mlock ? "the kernel frees locked pages unwiped" :
			      "the kernel frees its copy of a task's registers unwiped");
	rmdir(CGROUP);
	return tap_end();
}
