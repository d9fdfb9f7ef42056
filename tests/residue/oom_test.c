// SPDX-License-Identifier: MIT
/*
 * A process that the kernel kills for want of memory, in a section and plainly: what is
 * left of its secret in all of RAM, searched by the host. It is in a memory cgroup of its
 * own, which it fills; nothing else is killed.
 *
 * The kernel says so at length, with a call trace, which in every other test is a
 * failure: of that nothing goes to the console. What the machine would not survive
 * (panic_on_warn) it does not here either.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

/* klogctl(): what goes to the console, and what the kernel's own default is. */
#define CONSOLE_LEVEL 8
#define EMERGENCIES 1
#define ALL_BUT_DEBUG 7

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

/* Until there is no more, which is its end. */
static void tell_and_fill(struct job *job)
{
	char *map = mmap(NULL, FILL_MIB << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		_exit(1);
	job_tell(job);
	for (size_t i = 0; i < FILL_MIB << 20; i += 4096)
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

static bool end(void (*how)(struct job *), const char *label,
		struct hostlink_found *found)
{
	unsigned long before = killed();
	struct needle needle;
	int status;
	pid_t pid;

	klogctl(CONSOLE_LEVEL, NULL, EMERGENCIES);
	pid = job_start(how, tell_and_fill, &needle);
	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	klogctl(CONSOLE_LEVEL, NULL, ALL_BUT_DEBUG);
	ram_search(label, &needle, found);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
	       killed() == before + 1;
}

int main(void)
{
	struct hostlink_found control = { .copies = 0 }, after;
	bool good = true, on_mlock;

	if (hostlink_open())
		tap_skip_all("a virtual machine whose host can search it");
	if (!lethe_backend())
		tap_skip_all("the backend that was asked for");
	on_mlock = !strcmp(lethe_backend(), "mlock");
	registers_look();
	make_cgroup();
	tap_note("on %s", lethe_backend());
	tap_plan(2 + !on_mlock);
	for (int i = 0; i < ATTEMPTS && !control.copies; i++)
		good &= end(plainly, "plainly, out of memory", &control);
	good &= end(in_section, "in a section, out of memory", &after);
	ram_record("OOM kill", &control, &after,
		   on_mlock ? "the kernel frees locked pages unwiped" :
			      "the kernel frees its copy of a task's registers unwiped");
	rmdir(CGROUP);

	tap_ok(good, "each was killed by the kernel, for want of memory");
	tap_ok(control.whole > 0,
	       "plainly, its secret is in free memory after that (%llu)",
	       (unsigned long long)control.copies);
	/* Of registers no copy is as long as that of the pages is. */
	if (!on_mlock)
		tap_ok(ram_on_module() ? !after.copies : !after.whole,
		       "of one in a section it is nowhere in RAM (%llu%s)",
		       (unsigned long long)after.copies,
		       after.copies ? ", of registers" : "");
	return tap_end();
}
