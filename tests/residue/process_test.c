// SPDX-License-Identifier: MIT
/*
 * Another process's secret is found wherever it lies, and called what it is;
 * and the process runs on, whatever becomes of the searcher.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "needle.h"
#include "plants.h"
#include "process.h"
#include "search.h"

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void wait_ready(void)
{
	for (int i = 0; i < 10000 && !shared->ready; i++)
		sleep_ms(1);
	if (!shared->ready)
		tap_bail("a child does not get ready");
}

static pid_t start(void (*child)(void))
{
	pid_t pid;

	shared->ready = 0;
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		child();
		_exit(1);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct process process;
static unsigned int counts[NR_WHERE], whole;

static void found(void *arg, const struct search_copy *copy)
{
	(void)arg;
	counts[process_where(&process, copy->address)]++;
	whole += copy->whole;
}

/* The bytes of pages that refused, or -1 if there was no search. */
static long search_child(pid_t pid, const struct needle *needle)
{
	struct search *search = search_new(found, NULL);
	long refused = -1;
	char why[256];

	memset(counts, 0, sizeof(counts));
	whole = 0;
	if (!search || search_add(search, needle, NULL))
		tap_bail("a search cannot be set up");
	if (process_attach(&process, pid, why, sizeof(why)))
		tap_note("%s", why);
	else if (!process_search(&process, search))
		refused = 0;
	for (size_t i = 0; refused >= 0 && i < process.nr_mappings; i++) {
		if (process.mappings[i].where == WHERE_SECRET)
			refused += process.mappings[i].refused;
	}
	process_detach(&process);
	search_free(search);
	return refused;
}

static bool only(enum where where)
{
	unsigned int all = 0;

	for (int i = 0; i < NR_WHERE; i++)
		all += counts[i];
	if (all != 1 || counts[where] != 1 || whole != 1)
		tap_note("%u copies, %u whole, %u of them %s", all, whole, counts[where],
			 where_names[where]);
	return all == 1 && counts[where] == 1 && whole == 1;
}

static void test_place(void (*child)(void), enum where where, const char *guarantee)
{
	struct needle needle;
	pid_t pid = start(child);
	bool searched;

	if (needle_read(pipe_ends[0], &needle) != 1)
		tap_bail("a child did not tell its needle");
	wait_ready();
	searched = search_child(pid, &needle) >= 0;
	tap_ok(searched && only(where), "%s", guarantee);
	end(pid);
}

static void test_secret_pages(void)
{
	static const char guarantee[] =
		"secret pages, which refuse, are counted as unreadable and not as clean";
	int fd = syscall(SYS_memfd_secret, 0);
	struct needle needle;
	long refused;
	pid_t pid;

	if (fd < 0) {
		tap_skip("memfd_secret", "%s", guarantee);
		return;
	}
	close(fd);
	pid = start(plant_in_secret_pages);
	if (needle_read(pipe_ends[0], &needle) != 1)
		tap_bail("a child did not tell its needle");
	wait_ready();
	refused = search_child(pid, &needle);
	tap_ok(refused == 4096 && !whole, "%s (%ld bytes)", guarantee, refused);
	end(pid);
}

static void test_absent(void)
{
	uint8_t secret[PLANT_SIZE];
	struct needle needle, other;
	pid_t pid = start(plant_on_heap);
	bool searched;

	if (needle_read(pipe_ends[0], &other) != 1)
		tap_bail("a child did not tell its needle");
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		tap_bail("getrandom");
	needle_make(&needle, "never", secret, sizeof(secret));
	/* Made after the fork: the child has never seen it. */
	wait_ready();
	searched = search_child(pid, &needle) >= 0;
	whole = 0;
	for (int i = 0; i < NR_WHERE; i++)
		whole += counts[i];
	tap_ok(searched && !whole,
	       "a secret that a process never had is not found in it");
	end(pid);
}

static bool counts_on(void)
{
	uint64_t before = shared->steps;

	for (int i = 0; i < 2000 && shared->steps == before; i++)
		sleep_ms(1);
	return shared->steps != before;
}

static bool stands_still(void)
{
	uint64_t before = shared->steps;

	sleep_ms(50);
	return shared->steps == before;
}

static void test_stop(void)
{
	pid_t pid = start(plant_with_threads_counting);
	bool still, all;
	char why[256];

	wait_ready();
	if (process_attach(&process, pid, why, sizeof(why)))
		tap_bail("%s", why);
	still = stands_still();
	all = process.nr_threads == PLANT_THREADS + 1;
	kill(pid, SIGUSR1);
	sleep_ms(20);
	tap_ok(still && all,
	       "every thread of a process stands still while it is searched");
	tap_ok(!shared->signals, "a signal that comes meanwhile waits");
	process_detach(&process);
	tap_ok(counts_on(), "afterwards it runs on");
	for (int i = 0; i < 2000 && !shared->signals; i++)
		sleep_ms(1);
	tap_ok(shared->signals == 1, "and takes its signal");
	end(pid);
}

static void test_killed_searcher(void)
{
	pid_t pid = start(plant_with_threads_counting), searcher;
	char why[256];
	bool still;

	wait_ready();
	shared->ready = 0;
	searcher = fork();
	if (!searcher) {
		if (process_attach(&process, pid, why, sizeof(why)))
			_exit(1);
		plant_rest();
	}
	wait_ready();
	still = stands_still();
	end(searcher);
	tap_ok(still && counts_on(), "a process whose searcher is killed runs on");
	end(pid);
}

static void test_errors(void)
{
	char why[256] = "";
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	tap_ok(process_attach(&process, pid, why, sizeof(why)) == -ESRCH &&
		       strstr(why, "no process"),
	       "a process that is not there is an error: %s", why);
	process_detach(&process);

	pid = fork();
	if (!pid)
		_exit(0);
	waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	tap_ok(process_attach(&process, pid, why, sizeof(why)) == -ESRCH,
	       "so is one that has ended and is only waited for");
	process_detach(&process);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || pipe(pipe_ends))
		tap_bail("%s", strerror(errno));
	tap_plan(19);
	test_place(plant_on_stack, WHERE_STACK, "a secret on the stack is found there");
	test_place(plant_on_dead_stack, WHERE_STACK, "so is one on dead stack");
	test_place(plant_on_thread_stack, WHERE_STACK, "so is one on a thread's stack");
	test_place(plant_on_heap, WHERE_HEAP, "a secret on the heap is found there");
	test_place(plant_in_library_bss, WHERE_LIBRARY,
		   "a secret in .bss is found as library data");
	test_place(plant_in_library_data, WHERE_LIBRARY, "so is one in .data");
	test_place(
		plant_in_closed_pages, WHERE_ANONYMOUS,
		"a secret in pages that are closed to their own process is found, over a page's end");
	test_place(plant_in_locked_pages, WHERE_SECRET, "one in locked pages, as such");
	test_place(plant_in_vector_register, WHERE_REGISTER,
		   "a secret only in xmm9 is found in a register");
	test_place(plant_in_general_register, WHERE_REGISTER, "so is one only in r12");
	test_secret_pages();
	test_absent();
	test_stop();
	test_killed_searcher();
	test_errors();
	return tap_end();
}
