// SPDX-License-Identifier: MIT
/*
 * Another process's secret is found wherever it lies, and called what it is. What a search
 * does to a process otherwise, which is nothing, is the test of lethectl scan.
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
#include "ask.h"
#include "needle.h"
#include "plants.h"

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

static struct answer answer;

/* False if there was no search. */
static bool search_child(pid_t pid, const struct needle *needle)
{
	char why[320];

	if (!ask_searcher(pid, needle, 1, &answer, why, sizeof(why)))
		return true;
	tap_note("%s", why);
	return false;
}

static unsigned int all_copies(void)
{
	unsigned int all = 0;

	for (int i = 0; i < NR_WHERE; i++)
		all += answer.copies[0][i];
	return all;
}

static bool only(enum where where)
{
	unsigned int all = all_copies(), whole = answer.whole[0];

	if (all == 1 && answer.copies[0][where] == 1 && whole == 1)
		return true;
	tap_note("%u copies, %u whole, %u of them %s", all, whole,
		 (unsigned int)answer.copies[0][where], where_names[where]);
	return false;
}

static void test_place(void (*child)(void), enum where where, const char *guarantee)
{
	struct needle needle;
	pid_t pid = start(child);
	bool searched;

	if (needle_read(pipe_ends[0], &needle) != 1)
		tap_bail("a child did not tell its needle");
	wait_ready();
	searched = search_child(pid, &needle);
	tap_ok(searched && only(where), "%s", guarantee);
	end(pid);
}

static void test_secret_pages(void)
{
	static const char guarantee[] =
		"secret pages, which refuse, are counted as unreadable and not as clean";
	int fd = syscall(SYS_memfd_secret, 0);
	struct needle needle;
	uint64_t refused = 0;
	bool searched;
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
	searched = search_child(pid, &needle);
	for (unsigned int i = 0; i < answer.nr_unreadable; i++)
		if (!strcmp(answer.unreadable[i].name, "/secretmem"))
			refused += answer.unreadable[i].bytes;
	tap_ok(searched && refused == 4096 && !all_copies(), "%s (%u bytes)", guarantee,
	       (unsigned int)refused);
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
	searched = search_child(pid, &needle);
	tap_ok(searched && !all_copies(),
	       "a secret that a process never had is not found in it");
	end(pid);
}

static void test_many(void)
{
	struct needle needles[3];
	char why[320];
	pid_t pid = start(plant_on_heap);

	if (needle_read(pipe_ends[0], &needles[1]) != 1)
		tap_bail("a child did not tell its needle");
	wait_ready();
	for (int i = 0; i < 3; i += 2) {
		uint8_t secret[PLANT_SIZE];

		if (getrandom(secret, sizeof(secret), 0) != sizeof(secret) ||
		    needle_make(&needles[i], i ? "last" : "first", secret,
				sizeof(secret)))
			tap_bail("no secret");
	}
	tap_ok(!ask_searcher(pid, needles, 3, &answer, why, sizeof(why)) &&
		       answer.copies[1][WHERE_HEAP] == 1 && answer.whole[1] == 1 &&
		       !answer.whole[0] && !answer.whole[2],
	       "of three secrets, that one is found which is there");
	end(pid);
	tap_ok(ask_searcher(pid, needles, 3, &answer, why, sizeof(why)) < 0,
	       "a process that is not there is an error: %s", why);
}

static void test_not_stopped(void)
{
	struct needle needle;
	char why[320] = "";
	pid_t pid = start(plant_behind_vfork);
	int err;

	if (needle_read(pipe_ends[0], &needle) != 1)
		tap_bail("a child did not tell its needle");
	wait_ready();
	err = ask_searcher(pid, &needle, 1, &answer, why, sizeof(why));
	tap_ok(err < 0, "so is one whose thread cannot be stopped, for its registers: %s",
	       why);
	end(pid);
}

int main(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || pipe(pipe_ends))
		tap_bail("%s", strerror(errno));
	tap_plan(16);
	test_place(plant_on_stack, WHERE_STACK, "a secret on the stack is found there");
	test_place(plant_on_dead_stack, WHERE_STACK, "so is one on dead stack");
	test_place(plant_on_thread_stack, WHERE_STACK, "so is one on a thread's stack");
	test_place(plant_on_heap, WHERE_HEAP, "a secret on the heap is found there");
	test_place(plant_line_on_heap, WHERE_HEAP,
		   "so is one of eight bytes of which the last is a newline");
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
	test_many();
	test_not_stopped();
	return tap_end();
}
