// SPDX-License-Identifier: MIT
/*
 * A process that dies in a section, with a core dump: its secret is on its stack, on its
 * heap and in every register, and the core has none of it. The control is the same
 * process, plainly. Writes core files in a folder of its own, where the kernel is set to
 * write them where a process is, and sets nothing of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "full.h"
#include "job.h"
#include "lethe.h"
#include "record.h"
#include "search.h"

#define PATTERN "/proc/sys/kernel/core_pattern"
#define POINTS_EACH 3

struct core {
	uint64_t copies, whole, bytes;
};

/* Just abort(), with whatever is in registers then. */
static void abort_as_it_is(struct job *job)
{
	job_tell(job);
	abort();
}

/* What abort() does, with nothing that changes a register. */
static void abort_full(struct job *job)
{
	uint64_t word;

	job_tell(job);
	memcpy(&word, job->secret, sizeof(word));
	full_call = (struct full_call){ SYS_tgkill, { getpid(), gettid(), SIGABRT } };
	full_in_call(&word);
}

/* A write to where nothing is. */
static void fault_full(struct job *job)
{
	uint64_t word;

	job_tell(job);
	memcpy(&word, job->secret, sizeof(word));
	registers_fill(&word);
	__asm__ volatile("movq %%r8, %%rbx\n\t"
			 "movq %%r8, %%r12\n\t"
			 "movq %%r8, %%r13\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movq %%r8, (%%rax)"
			 :
			 :
			 : "rax", "rbx", "r12", "r13", "memory");
}

/* Where the frame of a signal lies on the section's own stack. */
static void in_fast_section(struct job *job)
{
	job->flags = LETHE_FAST;
	job_in_section(job);
}

static void found(void *arg, const struct search_copy *copy)
{
	struct core *core = arg;

	core->copies++;
	core->whole += copy->whole;
}

/* Of the process that was @pid; it is removed. */
static void search_core(pid_t pid, const struct needle *needle, struct core *core)
{
	struct search *search = search_new(found, core);
	static unsigned char bytes[1 << 16];
	char with_pid[32];
	const char *name = "core";
	ssize_t n;
	int fd;

	*core = (struct core){ 0 };
	snprintf(with_pid, sizeof(with_pid), "core.%d", (int)pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		name = with_pid;
		fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 || !search || search_add(search, needle, NULL))
		tap_bail("no core file to search: %s", strerror(errno));
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		search_feed(search, core->bytes, bytes, n);
		core->bytes += n;
	}
	search_gap(search);
	if (n || !core->bytes)
		tap_bail("the core file cannot be read: %s", strerror(errno));
	close(fd);
	unlink(name);
	search_free(search);
}

static void die(void (*how)(struct job *), void (*inside)(struct job *), int expected,
		struct core *core)
{
	struct needle needle;
	int status;
	pid_t pid = job_start(how, inside, &needle);

	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != expected || !WCOREDUMP(status))
		tap_bail("a child did not end with a core dump and signal %d (%#x)",
			 expected, status);
	search_core(pid, &needle, core);
}

struct row {
	uint64_t control, copies, bytes;
};

static void test(struct row *row, void (*inside)(struct job *), int number,
		 const char *what)
{
	struct core plain, section, fast;

	die(job_plainly, inside, number, &plain);
	die(job_in_section, inside, number, &section);
	die(in_fast_section, inside, number, &fast);
	row->control += plain.copies;
	row->copies += section.copies;
	row->bytes += section.bytes;
	tap_ok(plain.whole >= 2,
	       "%s plainly: the core has the secret of stack and heap whole (%" PRIu64
	       "), of %" PRIu64 " copies",
	       what, plain.whole, plain.copies);
	tap_ok(!section.copies,
	       "%s in a section: it is nowhere in the core's %" PRIu64 " bytes (%" PRIu64
	       ")",
	       what, section.bytes, section.copies);
	tap_ok(!fast.copies, "%s with LETHE_FAST: nor there (%" PRIu64 ")", what,
	       fast.copies);
}

/* Does the kernel write a file named core, or core and the pid, where a process is? */
static bool writes_here(void)
{
	char pattern[128] = "";
	int fd = open(PATTERN, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, pattern, sizeof(pattern) - 1);

	close(fd);
	if (n > 0 && pattern[n - 1] == '\n')
		pattern[n - 1] = 0;
	return n > 0 && (!strcmp(pattern, "core") || !strcmp(pattern, "core.%p"));
}

static void enter_folder(char *folder)
{
	struct rlimit limit;

	if (!mkdtemp(folder) || chdir(folder))
		tap_bail("%s: %s", folder, strerror(errno));
	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max != RLIM_INFINITY || setrlimit(RLIMIT_CORE, &limit))
		tap_skip_all("leave to write core files of any size");
}

int main(void)
{
	char folder[] = "/tmp/lethe-core.XXXXXX";
	struct row row = { 0 };

	if (!writes_here())
		tap_skip_all("a " PATTERN " that writes core files where a process is");
	if (!lethe_backend())
		tap_skip_all("the backend that was asked for");
	registers_look();
	enter_folder(folder);
	tap_note("on %s", lethe_backend());
	tap_plan(3 * POINTS_EACH);
	test(&row, abort_as_it_is, SIGABRT, "abort()");
	test(&row, abort_full, SIGABRT, "SIGABRT with full registers");
	test(&row, fault_full, SIGSEGV, "a fault with full registers");
	residue_record("abort with a core dump", lethe_backend(), row.control, row.copies,
		       row.bytes, "");
	if (chdir("/") || rmdir(folder))
		tap_note("%s is left", folder);
	return tap_end();
}
