// SPDX-License-Identifier: MIT
/*
 * Everything that a section may do with its stack, for a tool to watch: it is to
 * say nothing. Looks at no dead stack itself. With an argument, one thing alone.
 */
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "tap.h"
#include "under.h"

/* Deeper than a redzone, and read by nobody but its callee. */
static __attribute__((noinline)) unsigned int deep(unsigned int n)
{
	volatile unsigned char frame[512];

	std::memset(const_cast<unsigned char *>(frame), static_cast<int>(n),
		    sizeof(frame));
	if (!n)
		return frame[0];
	return deep(n - 1) + (frame[511] == static_cast<unsigned char>(n));
}

static void go_deep(void *arg)
{
	*static_cast<bool *>(arg) = deep(150) == 150;
}

static bool section_works()
{
	bool good = false;

	return !lethe_do(go_deep, &good) && good && !lethe_enabled();
}

static void nested(void *arg)
{
	*static_cast<bool *>(arg) = !lethe_do(go_deep, arg) && deep(20) == 20;
}

static void test_depth()
{
	struct lethe_options small = {};
	bool good = false, all = true;

	tap_ok(section_works() && section_works(), "deep frames, twice");
	tap_ok(!lethe_do(nested, &good) && good && section_works(), "nested");
	small.size = sizeof(small);
	for (unsigned int flags : { 0U, LETHE_FAST, LETHE_BLOCK_SIGNALS }) {
		struct lethe_report report = {};

		report.size = sizeof(report);
		small.flags = flags;
		small.stack_size = 512 * 1024;
		all &= !lethe_do_with(&small, go_deep, &good, &report) && good &&
		       report.stack_wiped > 150 * 512;
	}
	tap_ok(all && lethe_trim() > 0 && section_works(),
	       "another stack size, each flag, a report; trimmed, and made anew");
}

static __attribute__((noinline)) void throw_from(unsigned int n)
{
	volatile char frame[256];

	frame[0] = static_cast<char>(n);
	if (!n)
		throw std::runtime_error("from inside");
	throw_from(n - 1);
	frame[1] = frame[0];
}

static void throws(void *)
{
	throw_from(40);
}

static void catches(void *arg)
{
	try {
		throw_from(40);
	} catch (const std::runtime_error &) {
		*static_cast<bool *>(arg) = deep(100) == 100;
	}
}

static void test_exceptions()
{
	bool arrived = false, good = false;

	for (int i = 0; i < 50; i++) {
		try {
			arrived = false;
			(void)lethe_do(throws, nullptr);
		} catch (const std::runtime_error &) {
			arrived = section_works();
		}
	}
	tap_ok(arrived && deep(100) == 100, "exceptions out of a section");
	tap_ok(!lethe_do(catches, &good) && good && section_works(),
	       "an exception within one");
}

static jmp_buf way_out;
static volatile int rounds;

static __attribute__((noinline)) void jump(jmp_buf to, unsigned int n)
{
	volatile char frame[256];

	frame[0] = static_cast<char>(n);
	if (n)
		jump(to, n - 1);
	/* Not reached but at the bottom; and so no call above is the last. */
	if (!frame[0])
		longjmp(to, 1);
}

static void jumps_out(void *)
{
	jump(way_out, 40);
}

static void jumps_within(void *arg)
{
	jmp_buf here;

	for (rounds = 0; rounds < 20; rounds = rounds + 1)
		if (!setjmp(here))
			jump(here, 40);
	*static_cast<bool *>(arg) = deep(100) == 100;
}

static void jumps_within_and_out(void *arg)
{
	jumps_within(arg);
	jump(way_out, 10);
}

static bool jumping()
{
	static thread_local bool good;

	good = false;
	if (lethe_do(jumps_within, &good) || !good)
		return false;
	for (rounds = 0; rounds < 20; rounds = rounds + 1)
		if (!setjmp(way_out))
			(void)lethe_do(jumps_out, nullptr);
	if (lethe_wipe_thread() || deep(100) != 100)
		return false;
	if (!setjmp(way_out))
		(void)lethe_do(jumps_within_and_out, &good);
	return section_works() && good;
}

static void test_jumps()
{
	tap_ok(jumping(), "longjmp() within a section, and out of one");
}

/* A mutex orders them; so does the pool of stacks, whose frames they share. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int sections;

static void count(void *arg)
{
	unsigned int mine = 0;

	go_deep(arg);
	pthread_mutex_lock(&lock);
	mine = ++sections;
	pthread_mutex_unlock(&lock);
	if (mine % 7 == 0)
		throw std::runtime_error("the seventh");
}

static void *many_sections(void *arg)
{
	bool *good = static_cast<bool *>(arg), one = false;

	*good = true;
	for (int i = 0; i < 40; i++) {
		try {
			*good &= !lethe_do(count, &one) && one;
		} catch (const std::runtime_error &) {
		}
	}
	return nullptr;
}

static void leaves(void *arg)
{
	go_deep(arg);
	pthread_exit(nullptr);
}

static void *leaves_inside(void *arg)
{
	(void)lethe_do(leaves, arg);
	return nullptr;
}

static void waits(void *arg)
{
	go_deep(arg);
	/* TSan loses sight of mutexes in a thread that is cancelled. */
	while (!under_tsan())
		pause();
}

static void *waits_inside(void *arg)
{
	(void)lethe_do(waits, arg);
	return nullptr;
}

static void *jumps(void *arg)
{
	*static_cast<bool *>(arg) = jumping();
	return nullptr;
}

static void *is_a_section(void *arg)
{
	go_deep(arg);
	return lethe_enabled() ? arg : nullptr;
}

static void test_threads()
{
	bool good[4] = {};
	pthread_t threads[4];
	void *value = nullptr;
	bool all = true;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 4; i++)
			if (pthread_create(&threads[i], nullptr, many_sections, &good[i]))
				tap_bail("no thread");
		for (size_t i = 0; i < 4; i++) {
			pthread_join(threads[i], nullptr);
			all &= good[i];
		}
	}
	tap_ok(all && sections == 2 * 4 * 40,
	       "four threads at a time, and their stacks again");

	good[0] = good[1] = good[2] = good[3] = false;
	if (pthread_create(&threads[0], nullptr, leaves_inside, &good[0]) ||
	    pthread_create(&threads[1], nullptr, waits_inside, &good[1]) ||
	    pthread_create(&threads[2], nullptr, jumps, &good[2]) ||
	    lethe_thread_create(&threads[3], nullptr, is_a_section, &good[3]))
		tap_bail("no thread");
	pthread_cancel(threads[1]);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], i == 3 ? &value : nullptr);
	tap_ok(good[0] && good[2] && good[3] && value == &good[3] && section_works(),
	       "pthread_exit(), pthread_cancel(), longjmp() and a thread that is a section");
}

static volatile sig_atomic_t handled;
static sigjmp_buf from_handler;

static void handler(int number)
{
	handled = handled + 1;
	if (deep(8) != 8)
		abort();
	if (number == SIGUSR2)
		siglongjmp(from_handler, 1);
}

static void is_interrupted(void *arg)
{
	for (rounds = 0; rounds < 10; rounds = rounds + 1) {
		raise(SIGUSR1);
		if (!sigsetjmp(from_handler, 1))
			raise(SIGUSR2);
	}
	go_deep(arg);
}

static void test_signals(int flags, const char *where)
{
	struct sigaction action = {};
	bool good = false;

	action.sa_handler = handler;
	action.sa_flags = flags;
	sigaction(SIGUSR1, &action, nullptr);
	sigaction(SIGUSR2, &action, nullptr);
	handled = 0;
	tap_ok(!lethe_do(is_interrupted, &good) && good && handled == 20 &&
		       section_works(),
	       "handlers that return and that jump, on %s stack", where);
}

struct link {
	void *ordinary;
};

static struct link *kept;

static void keep(void *)
{
	/* Where a pointer lies is what matters: nowhere but in the secret heap. */
	kept = static_cast<struct link *>(lethe_malloc(sizeof(*kept)));
	if (!kept)
		abort();
	kept->ordinary = std::malloc(100);
}

static void ends(void *)
{
	std::exit(0);
}

/* As a leak checker sees it: what is still pointed to at the end is no leak. */
static void exit_inside()
{
	void *volatile on_main_stack = std::malloc(200);

	(void)lethe_do(keep, nullptr);
	*static_cast<volatile char *>(on_main_stack) = 1;
	(void)lethe_do(ends, nullptr);
	std::free(on_main_stack);
}

int main(int argc, char **argv)
{
	static char alternate[64 * 1024];
	stack_t ss = {};

	if (argc == 2 && !std::strcmp(argv[1], "exit"))
		exit_inside();
	tap_plan(10);
	if (!lethe_backend())
		tap_bail("no backend");
	tap_note("backend: %s", lethe_backend());
	test_depth();
	test_exceptions();
	test_jumps();
	test_threads();
	test_signals(0, "the section's");
	ss.ss_sp = alternate;
	ss.ss_size = sizeof(alternate);
	if (sigaltstack(&ss, nullptr))
		tap_bail("no alternate stack");
	test_signals(SA_ONSTACK, "the alternate");
	return tap_end();
}
