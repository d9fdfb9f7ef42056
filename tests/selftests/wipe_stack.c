// SPDX-License-Identifier: MIT
/*
 * lethe_wipe_stack() on every kind of stack: what a function left on the dead part is
 * found before it and not after it, and nothing that is alive is touched. On whichever
 * backend is in use; by the module where that is loaded, else from user space.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "left.h"
#include "lethe.h"
#include "tap.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define NOINLINE __attribute__((noinline))
#define KIB ((size_t)1024)
#define PAGE ((size_t)4096)
#define CANARY 0x5ca1ab1e0ddba115ULL
#define LIVE_FRAMES 8
#define LIVE_WORDS 128
/* How deep the dead frames reach; a secret stack has room for it. */
#define DEPTH (96 * KIB)
#define STACK (512 * KIB)

static uint64_t features(void)
{
	struct lethe_query query = { .size = sizeof(query) };
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0)
		return 0;
	if (ioctl(device, LETHE_IOC_QUERY, &query))
		query.features = 0;
	close(device);
	return query.features;
}

/* What one try came to. */
struct tried {
	int (*wipe)(void);
	size_t before, after, near;
	unsigned int broken;
	int err;
};

static int wipe_dead(void)
{
	return lethe_wipe_stack(0, NULL, 0);
}

/* Frames that are full of the secret, so far down and right below the caller. */
static NOINLINE uintptr_t leave_deep(size_t depth)
{
	volatile char frame[depth];

	frame[0] = 0;
	return fill_frame() + frame[0];
}

/* What calls the library has frames too, with gaps in them: these are alive then. */
static NOINLINE void clear_nearest(void)
{
	volatile char frame[256];
	size_t i;

	for (i = 0; i < sizeof(frame); i++)
		frame[i] = 0;
}

static NOINLINE void leave_and_wipe(struct tried *tried)
{
	uintptr_t deep = leave_deep(DEPTH), middle = leave_deep(DEPTH / 3);

	fill_frame();
	clear_nearest();
	tried->before = words_at(deep) + words_at(middle);
	tried->err = tried->wipe();
	tried->near = words_below(16 * KIB);
	tried->after = words_at(deep) + words_at(middle);
}

/* With live frames above, each of which holds what must be there afterwards. */
static NOINLINE void live(struct tried *tried, unsigned int frames)
{
	volatile uint64_t words[LIVE_WORDS];
	size_t i;

	for (i = 0; i < LIVE_WORDS; i++)
		words[i] = CANARY ^ frames;
	if (frames)
		live(tried, frames - 1);
	else
		leave_and_wipe(tried);
	for (i = 0; i < LIVE_WORDS; i++)
		tried->broken += words[i] != (CANARY ^ frames);
}

static void try_here(void *arg)
{
	live(arg, LIVE_FRAMES);
}

static struct tried new_try(void)
{
	pattern_new();
	return (struct tried){ .wipe = wipe_dead };
}

static bool is_good(const struct tried *tried)
{
	return !tried->err && tried->before >= FRAME_WORDS && !tried->after &&
	       !tried->near && !tried->broken;
}

static void say(const struct tried *tried, const char *where)
{
	tap_ok(is_good(tried),
	       "%s: %zu words before, %zu after, %zu right below, %u live ones broken (%d)",
	       where, tried->before, tried->after, tried->near, tried->broken,
	       tried->err);
}

static void test_main(void)
{
	struct tried tried = new_try();

	try_here(&tried);
	say(&tried, "the first thread's stack");
}

static void *thread(void *arg)
{
	try_here(arg);
	return NULL;
}

static void run_thread(struct tried *tried, const pthread_attr_t *attributes)
{
	pthread_t made;

	if (pthread_create(&made, attributes, thread, tried))
		tap_bail("no thread");
	pthread_join(made, NULL);
}

static char *map(size_t length)
{
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return p;
}

static bool all_are(const char *p, char byte, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void test_threads(void)
{
	struct tried tried = new_try();
	pthread_attr_t attributes;
	char *mapping;

	run_thread(&tried, NULL);
	say(&tried, "a thread's stack");

	/* Something else of the program's lies below it. */
	mapping = map(2 * STACK);
	memset(mapping, 'b', STACK);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, mapping + STACK, STACK);
	tried = new_try();
	run_thread(&tried, &attributes);
	pthread_attr_destroy(&attributes);
	say(&tried, "a stack that the program gave to a thread");
	tap_ok(all_are(mapping, 'b', STACK), "and what lies below it is as it was");
	munmap(mapping, 2 * STACK);
}

static void test_secret(void)
{
	struct tried tried = new_try();
	int err = lethe_do(try_here, &tried);

	if (err)
		tap_bail("no section: %s", strerror(-err));
	say(&tried, "a secret stack");
}

static struct tried *handled;

static void handle(int number)
{
	(void)number;
	try_here(handled);
}

static void raise_one(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static void test_alternate(void)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_ONSTACK }, old;
	char *mapping = map(2 * STACK);
	stack_t ss = { .ss_sp = mapping + STACK, .ss_size = STACK }, before;
	struct tried tried = new_try();

	memset(mapping, 'b', STACK);
	sigaltstack(&ss, &before);
	sigaction(SIGUSR1, &action, &old);
	handled = &tried;
	raise(SIGUSR1);
	say(&tried, "an alternate signal stack");
	tap_ok(all_are(mapping, 'b', STACK), "and what lies below it is as it was");

	/* One that interrupts a section. */
	tried = new_try();
	if (lethe_do(raise_one, NULL))
		tap_bail("no section");
	say(&tried, "the secret stack that stands in for it");
	action.sa_flags = 0;
	sigaction(SIGUSR1, &action, NULL);
	tried = new_try();
	raise(SIGUSR1);
	say(&tried, "the thread's stack, in a handler");
	sigaction(SIGUSR1, &old, NULL);
	sigaltstack(&before, NULL);
	munmap(mapping, 2 * STACK);
}

static ucontext_t caller, context;

static void run_context(unsigned int low, unsigned int high)
{
	try_here((void *)((uintptr_t)high << 32 | low));
}

static void on_context(struct tried *tried, char *stack)
{
	uintptr_t arg = (uintptr_t)tried;

	getcontext(&context);
	context.uc_stack.ss_sp = stack;
	context.uc_stack.ss_size = STACK;
	context.uc_link = &caller;
	makecontext(&context, (void (*)(void))run_context, 2, (unsigned int)arg,
		    (unsigned int)(arg >> 32));
	swapcontext(&caller, &context);
}

static void test_context(void)
{
	char *mapping = map(2 * STACK);
	struct tried tried = new_try();

	memset(mapping, 'b', STACK);
	mprotect(mapping + STACK - PAGE, PAGE, PROT_NONE);
	on_context(&tried, mapping + STACK);
	say(&tried, "a context's stack");
	tap_ok(all_are(mapping, 'b', STACK - PAGE),
	       "and what lies below its guard page is as it was");
	munmap(mapping, 2 * STACK);

	mapping = map(2 * STACK);
	memset(mapping, 'b', STACK);
	if (madvise(mapping + STACK - PAGE, PAGE, MADV_GUARD_INSTALL)) {
		tap_skip("MADV_GUARD_INSTALL",
			 "a context's stack with a guard in the mapping");
		tap_skip("MADV_GUARD_INSTALL", "and what lies below that is as it was");
	} else {
		tried = new_try();
		on_context(&tried, mapping + STACK);
		say(&tried, "a context's stack with a guard in the mapping");
		tap_ok(all_are(mapping, 'b', STACK - PAGE),
		       "and what lies below that is as it was");
	}
	munmap(mapping, 2 * STACK);
}

static void test_wipe_thread(void)
{
	char *mapping = map(2 * STACK);
	struct tried tried = new_try();

	tried.wipe = lethe_wipe_thread;
	try_here(&tried);
	say(&tried, "by lethe_wipe_thread()");
	run_thread(&tried, NULL);
	say(&tried, "by lethe_wipe_thread() in a thread that had no section");

	/* Of which nobody knows where it ends: nothing is between it and what is below. */
	memset(mapping, 'b', STACK);
	on_context(&tried, mapping + STACK);
	tap_ok(!tried.err && !tried.broken && tried.after && all_are(mapping, 'b', STACK),
	       "lethe_wipe_thread() on a context's stack leaves that alone (%d, %zu words of %zu, %u)",
	       tried.err, tried.after, tried.before, tried.broken);
	munmap(mapping, 2 * STACK);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Not in a frame, whose gaps nobody wipes. */
static struct lethe_options options = { .size = sizeof(options) };
static struct lethe_report report;

static int section_with(unsigned int flags)
{
	options.flags = flags;
	report.size = sizeof(report);
	return lethe_do_with(&options, nothing, NULL, &report);
}

static int section(void)
{
	return section_with(0);
}

static int section_below(void)
{
	return section_with(LETHE_WIPE_BELOW);
}

static int section_below_fast(void)
{
	return section_with(LETHE_WIPE_BELOW | LETHE_FAST);
}

static void leave_thread(void *arg)
{
	pthread_exit(arg);
}

static int section_left(void)
{
	options.flags = LETHE_WIPE_BELOW;
	report.size = sizeof(report);
	return lethe_do_with(&options, leave_thread, NULL, &report);
}

static uintptr_t left_in_thread;

/* The section ends, and wipes, while the thread does. */
static void *end_in_section(void *arg)
{
	left_in_thread = leave_deep(DEPTH);
	section_left();
	return arg;
}

static void test_ending(void)
{
	pthread_attr_t attributes;
	char *stack = map(STACK);
	pthread_t made;
	void *result;

	pattern_new();
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, stack, STACK);
	if (pthread_create(&made, &attributes, end_in_section, stack) ||
	    pthread_join(made, &result))
		tap_bail("no thread");
	pthread_attr_destroy(&attributes);
	tap_ok(!result && !words_at(left_in_thread),
	       "by LETHE_WIPE_BELOW of a section that pthread_exit() ends (%zu words)",
	       words_at(left_in_thread));
	munmap(stack, STACK);
}

static void test_below(void)
{
	char *mapping = map(2 * STACK);
	struct tried tried = new_try();

	tried.wipe = section;
	try_here(&tried);
	tap_ok(!tried.err && tried.after && !(report.done & LETHE_DONE_BELOW),
	       "a section wipes only what is its own");
	tried = new_try();
	tried.wipe = section_below;
	try_here(&tried);
	say(&tried, "by LETHE_WIPE_BELOW");
	tap_ok(report.done & LETHE_DONE_BELOW, "its report says so");
	tried = new_try();
	tried.wipe = section_below_fast;
	try_here(&tried);
	say(&tried, "by LETHE_WIPE_BELOW and LETHE_FAST");
	run_thread(&tried, NULL);
	say(&tried, "by both in a thread");

	memset(mapping, 'b', STACK);
	tried.wipe = section_below;
	on_context(&tried, mapping + STACK);
	tap_ok(!tried.err && !tried.broken && tried.after &&
		       all_are(mapping, 'b', STACK) && !(report.done & LETHE_DONE_BELOW),
	       "on a context's stack it is not done, and the report says that");
	munmap(mapping, 2 * STACK);
}

/* A thread that has left something, and waits. */
struct other {
	pthread_t thread;
	pid_t tid;
	int ready[2], go[2];
	struct tried tried;
};

static NOINLINE void leave_and_wait(struct other *other)
{
	uintptr_t deep = leave_deep(DEPTH);
	char byte = 0;

	other->tid = (pid_t)syscall(SYS_gettid);
	other->tried.before = words_at(deep);
	if (write(other->ready[1], &byte, 1) != 1 || read(other->go[0], &byte, 1) != 1)
		tap_bail("a pipe");
	other->tried.after = words_at(deep);
}

static int wait_as_wipe(void)
{
	return 0;
}

static void *other_thread(void *arg)
{
	struct other *other = arg;
	volatile uint64_t words[LIVE_WORDS];
	size_t i;

	for (i = 0; i < LIVE_WORDS; i++)
		words[i] = CANARY;
	leave_and_wait(other);
	for (i = 0; i < LIVE_WORDS; i++)
		other->tried.broken += words[i] != CANARY;
	return NULL;
}

static void test_other(void)
{
	bool can = features() & LETHE_FEATURE_WIPE_OTHERS;
	struct other other = { .tid = 0 };
	char byte = 0;
	char *page = map(PAGE);
	int err, err_range;

	pattern_new();
	other.tried.wipe = wait_as_wipe;
	if (pipe(other.ready) || pipe(other.go) ||
	    pthread_create(&other.thread, NULL, other_thread, &other))
		tap_bail("no thread");
	if (read(other.ready[0], &byte, 1) != 1)
		tap_bail("a pipe");
	memset(page, 'b', PAGE);
	err_range = lethe_wipe_stack(other.tid, page + 1, PAGE - 2);
	err = lethe_wipe_stack(other.tid, NULL, 0);
	if (write(other.go[1], &byte, 1) != 1)
		tap_bail("a pipe");
	pthread_join(other.thread, NULL);
	/* It is joined a little before it has ended. */
	while (!syscall(SYS_tgkill, getpid(), other.tid, 0))
		usleep(1000);
	tap_ok(!err_range && page[0] == 'b' && all_are(page + 1, 0, PAGE - 2) &&
		       page[PAGE - 1] == 'b',
	       "a range of another thread's memory is wiped (%d)", err_range);
	if (can)
		say(&other.tried, "another thread's stack");
	else
		tap_ok(err == -EOPNOTSUPP && other.tried.after && !other.tried.broken,
		       "another thread's stack is EOPNOTSUPP, and left alone (%d)", err);
	tap_ok(lethe_wipe_stack(other.tid, NULL, 0) == -ESRCH &&
		       lethe_wipe_stack(other.tid, page, PAGE) == -ESRCH &&
		       lethe_wipe_stack(-1, page, PAGE) == -ESRCH,
	       "a thread that has ended is ESRCH, and so is none");
	munmap(page, PAGE);
}

static void test_errors(void)
{
	char *page = map(PAGE);

	*page = 'b';
	tap_ok(lethe_wipe_stack(0, page, 0) == -EINVAL &&
		       lethe_wipe_stack(0, page, -(uintptr_t)page) == -EINVAL &&
		       lethe_wipe_stack(0, page, SIZE_MAX) == -EINVAL,
	       "a range without a length, and one that wraps round, are EINVAL");
	tap_ok(lethe_wipe_stack(0, (void *)(1UL << 63), PAGE) == -EFAULT &&
		       lethe_wipe_stack(0, page, SIZE_MAX - (uintptr_t)page) == -EFAULT,
	       "one past user space is EFAULT");
	tap_ok(*page == 'b', "and none of that wiped anything");
	munmap(page, PAGE);
}

int main(void)
{
	tap_plan(29);
	test_main();
	test_threads();
	test_secret();
	test_alternate();
	test_context();
	test_wipe_thread();
	test_below();
	test_ending();
	test_other();
	test_errors();
	return tap_end();
}
