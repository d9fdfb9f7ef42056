// SPDX-License-Identifier: MIT
/*
 * What lethe_do() promises at its plainest: the function runs on secret pages,
 * and neither a register nor a byte of its stack is left of it. On whichever
 * backend is in use. Each search has its control: the same function, called
 * without lethe_do(), is found.
 */
#include <errno.h>
#include <execinfo.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "registers.h"
#include "tap.h"

#define STACK_BYTES (256 * 1024)

static uint64_t pattern;

static void fill_registers(void *arg)
{
	registers_fill(arg);
}

static void fill_registers_in_section(void *arg)
{
	/* The tail of lethe_do() is what is looked at, so nothing comes after. */
	(void)lethe_do(fill_registers, arg);
}

static void test_registers(void)
{
	static struct registers plain, erased;
	const struct register_class *class;
	unsigned int control, left;

	registers_after(fill_registers, &pattern, &plain);
	registers_after(fill_registers_in_section, &pattern, &erased);

	control = general_holding(&plain, pattern);
	left = general_holding(&erased, pattern);
	tap_ok(control == 9 && !left,
	       "no general register holds the secret after a section (%u of 9, plainly %u)",
	       left, control);
	for (class = register_classes; class->name; class ++) {
		if (class->needs > (int)registers_have) {
			tap_skip("a processor that has them", "%s", class->name);
			continue;
		}
		control = registers_holding(&plain, class, pattern);
		left = registers_holding(&erased, class, pattern);
		tap_ok(control == class->count && !left,
		       "%s hold nothing of the secret after a section (%u of %u, plainly %u)",
		       class->name, left, class->count, control);
	}
}

static void change_control_words(void *arg)
{
	uint32_t mxcsr = 0x9fc0 | 0x3f; /* flush to zero, every sticky flag */
	uint16_t x87 = 0x0c7f;          /* round towards zero */

	(void)arg;
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
}

static void section_that_changes_control_words(void *arg)
{
	(void)lethe_do(change_control_words, arg);
}

static void test_control_words(void)
{
	static struct registers before, after;

	registers_after((void (*)(void *))registers_fill, &pattern, &before);
	registers_after(section_that_changes_control_words, NULL, &after);
	tap_ok(after.mxcsr == before.mxcsr && after.x87_control == before.x87_control,
	       "MXCSR (%#x) and the x87 control word (%#x) are the caller's after a section",
	       after.mxcsr, after.x87_control);
}

struct place {
	const volatile uint64_t *address;
	bool enabled;
	enum lethe_level level, guard_level;
	int nested_error;
	bool nested_same_stack, inner_alive;
};

/* A frame full of the secret, a page and a half below where it was called. */
static __attribute__((noinline)) void fill_stack(void *arg)
{
	volatile uint64_t frame[768];
	struct place *place = arg;
	size_t i;

	for (i = 0; i < sizeof(frame) / sizeof(frame[0]); i++)
		frame[i] = pattern;
	place->address = frame;
	place->enabled = lethe_enabled();
	place->level = lethe_level_of((const void *)frame);
}

/* Words of the secret where the frame was; the frame itself is long dead. */
static __attribute__((noinline)) size_t words_at(const volatile uint64_t *frame)
{
	size_t i, found = 0;

	/* From below up: what this very function stacks lies at the top. */
	for (i = 0; i < 512; i++)
		found += frame[i] == pattern;
	return found;
}

static void test_stack(void)
{
	struct place plain = { 0 }, erased = { 0 };
	size_t control, left, i, dirty = 0;
	const volatile uint64_t *word;
	int err;

	fill_stack(&plain);
	control = words_at(plain.address);
	err = lethe_do(fill_stack, &erased);
	left = words_at(erased.address);

	tap_ok(!err && erased.enabled && !plain.enabled && !lethe_enabled(),
	       "lethe_enabled() is true inside a section and false outside");
	tap_ok(plain.level == LETHE_LEVEL_NONE &&
		       erased.level == (strcmp(lethe_backend(), "mlock") ?
						LETHE_LEVEL_UNMAPPED :
						LETHE_LEVEL_LOCKED),
	       "the section's stack is at the level that %s promises", lethe_backend());
	tap_ok(control == 512 && !left,
	       "the section's stack holds nothing of the secret after it (%zu words, plainly %zu)",
	       left, control);

	/* The whole of it, not only where the frame was. */
	word = (const uint64_t *)((uintptr_t)erased.address & ~(uintptr_t)0xffff);
	while (lethe_level_of((const char *)word - 1) != LETHE_LEVEL_NONE)
		word -= 4096 / sizeof(*word);
	for (i = 0; i < STACK_BYTES / sizeof(*word); i++)
		dirty += word[i] != 0;
	tap_ok(!dirty,
	       "all of the secret stack is zero after a section (%zu words are not)",
	       dirty);
	tap_ok(lethe_level_of((const char *)word - 1) == LETHE_LEVEL_NONE &&
		       lethe_level_of((const char *)word + STACK_BYTES) ==
			       LETHE_LEVEL_NONE,
	       "what lies below and above the secret stack is no secret memory");
}

static volatile sig_atomic_t never;

static __attribute__((noinline)) unsigned int recurse(unsigned int depth)
{
	volatile char frame[1024];

	frame[0] = (char)depth;
	if (never)
		return 0;
	return recurse(depth + 1) + (unsigned int)frame[0];
}

static void overflow(void *arg)
{
	(void)arg;
	recurse(0);
}

/* The status that a child ends with. */
static int status_of(void (*fn)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		fn();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void overflow_in_section(void)
{
	(void)lethe_do(overflow, NULL);
}

static void test_overflow(void)
{
	int status = status_of(overflow_in_section);

	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
	       "a stack that overflows is a SIGSEGV, at its guard page");
}

static void inner(void *arg)
{
	fill_stack(arg);
}

static void outer(void *arg)
{
	struct place *place = arg;
	char here;

	place->nested_error = lethe_do(inner, place);
	place->inner_alive = words_at(place->address) > 0;
	place->nested_same_stack = (uintptr_t)&here - (uintptr_t)place->address <
				   STACK_BYTES;
	place->enabled = lethe_enabled();
}

static void test_nested(void)
{
	struct place place = { 0 };
	int err = lethe_do(outer, &place);

	tap_ok(!err && !place.nested_error && place.nested_same_stack && place.enabled,
	       "a section in a section runs on the same stack and leaves the outer one open");
	tap_ok(place.inner_alive && !words_at(place.address),
	       "the outermost section's end erases the inner one's stack too");
}

static bool ran;

static void run_it(void *arg)
{
	(void)arg;
	ran = true;
}

static void test_arguments(void)
{
	ran = false;
	tap_ok(lethe_do(NULL, NULL) == -EINVAL, "a NULL function is EINVAL");
	tap_ok(!lethe_do(run_it, NULL) && ran, "and the next section runs");
}

struct walk {
	void *frames[64];
	int n;
};

static void walk_up(void *arg)
{
	struct walk *walk = arg;

	walk->n = backtrace(walk->frames, 64);
}

static __attribute__((noinline)) void test_backtrace(void *caller)
{
	struct walk walk = { 0 };
	bool found = false;
	int i;

	(void)lethe_do(walk_up, &walk);
	for (i = 0; i < walk.n; i++)
		found |= walk.frames[i] == caller;
	tap_ok(found, "backtrace() walks from inside a section to its caller's caller");
}

/* Not a tail call, and a return address to look for. */
static __attribute__((noinline)) void backtrace_from_here(void)
{
	test_backtrace(__builtin_return_address(0));
	__asm__ volatile("");
}

static ssize_t read_self(const volatile void *address, void *into, size_t length)
{
	struct iovec local = { into, length }, remote = { (void *)address, length };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

struct peek {
	ssize_t secret, ordinary;
	int error;
	bool same;
};

static void peek_at_stack(void *arg)
{
	struct peek *peek = arg;
	uint64_t here = pattern, there;

	peek->ordinary = read_self(&pattern, &there, sizeof(there));
	peek->secret = read_self(&here, &there, sizeof(there));
	peek->error = errno;
	peek->same = there == here;
}

static void test_refuses_readers(void)
{
	struct peek peek = { 0 };

	(void)lethe_do(peek_at_stack, &peek);
	if (!strcmp(lethe_backend(), "mlock"))
		tap_ok(peek.ordinary == 8 && peek.secret == 8 && peek.same,
		       "process_vm_readv can read a locked stack, as its level says");
	else
		tap_ok(peek.ordinary == 8 && peek.secret < 0 && peek.error == EFAULT,
		       "process_vm_readv cannot read an unmapped stack, but can its neighbour");
}

int main(void)
{
	if (getrandom(&pattern, sizeof(pattern), 0) != sizeof(pattern))
		tap_bail("no random numbers");
	registers_look();

	tap_plan(20);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	test_registers();
	test_control_words();
	test_stack();
	test_overflow();
	test_nested();
	test_arguments();
	backtrace_from_here();
	test_refuses_readers();
	return tap_end();
}
