// SPDX-License-Identifier: MIT
/*
 * A signal at every instruction of a section, from before lethe_do_with() to after
 * it: the processor's trap flag makes one. Wherever it comes, no register of the
 * section reaches ordinary memory (or none is left there after the end, with
 * LETHE_FAST and SA_ONSTACK), and the section, its alternate stack and the mask are
 * none the worse for it. Nor if there is a section in the handler.
 *
 * The control: the same function, called without a section, leaves some at each.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "signals.h"

/* Room for the largest frame and a handler, and quickly looked through. */
#define ALTERNATE ((size_t)16 * 1024)
#define TRAP_FLAG ((size_t)0x100)
/* As much as an empty section has, and far less than any of these. */
#define FEWEST 500

struct way {
	const char *name;
	unsigned int flags;
	int action_flags;
	bool section_in_handler;
	bool plainly;
};

/* What a child has seen. */
struct seen {
	/* Traps; of those with frames on ordinary memory, those with the secret. */
	size_t traps, ordinary, leaks;
	uintptr_t first_leak, last;
	/* lethe_do() in the handler: run, refused, and the memory of those run. */
	size_t ran, busy, other, not_enabled, plainly_run;
	size_t left_below, left_in_alternate;
	bool result, alternate_same, mask_same;
};

static struct seen *seen;
static const struct way *way;
static char alternate[ALTERNATE] __attribute__((aligned(4096)));

/* In the registers that the kernel saved: between them lies what was there before. */
static size_t copies_in_frame(const ucontext_t *context)
{
	const char *state = (const char *)context->uc_mcontext.fpregs;
	const struct register_class *class;
	size_t found;

	found = copies(context->uc_mcontext.gregs, context->uc_mcontext.gregs + REG_CR2);
	for (class = register_classes; class->name; class ++)
		if (class->needs <= (int)registers_have)
			found += copies(state + class->offset,
					state + class->offset +
						class->count * class->stride);
	return found;
}

static void in_handlers_section(void *arg)
{
	char here;

	(void)arg;
	seen->ran++;
	seen->not_enabled += !lethe_enabled();
	seen->plainly_run += lethe_level_of(&here) == LETHE_LEVEL_NONE;
}

static void section_in_handler(void)
{
	int err = lethe_do(in_handlers_section, NULL);

	seen->busy += err == -EBUSY;
	seen->other += err && err != -EBUSY;
}

static void trap(int number, siginfo_t *info, void *arg)
{
	const ucontext_t *context = arg;

	(void)number;
	(void)info;
	seen->traps++;
	seen->last = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	if (lethe_level_of(context) == LETHE_LEVEL_NONE) {
		seen->ordinary++;
		if (copies_in_frame(context) && !seen->leaks++)
			seen->first_leak = seen->last;
	}
	if (way->section_in_handler)
		section_in_handler();
}

static void compute(void *arg)
{
	volatile uint64_t secret = ~complement;
	volatile uint64_t frame[64];
	bool *result = arg;
	size_t i;

	for (i = 0; i < 64; i++)
		frame[i] = secret;
	*result = lethe_enabled() == !way->plainly;
	for (i = 0; i < 64; i++)
		*result &= frame[i] == secret;
	signals_fill((void *)&secret);
}

static NOINLINE int run(bool *result)
{
	const struct lethe_options options = { .size = sizeof(options),
					       .flags = way->flags,
					       .stack_size = 16384 };

	if (way->plainly) {
		compute(result);
		return 0;
	}
	return lethe_do_with(&options, compute, result, NULL);
}

static inline void set_trap_flag(void)
{
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
}

static inline void clear_trap_flag(void)
{
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~TRAP_FLAG);
}

static void child(void)
{
	sigset_t mask_before, mask_after;
	stack_t before, after;
	bool result = false;
	int err;

	touch_below();
	set_alternate(alternate, sizeof(alternate), 0);
	handle(SIGTRAP, trap, way->action_flags);
	/* What is made once is made now. */
	if (run(&result))
		_exit(2);
	touch_below();
	result = false;
	before = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_before);

	set_trap_flag();
	err = run(&result);
	clear_trap_flag();

	seen->left_below = copies_below();
	seen->left_in_alternate = copies(alternate, alternate + sizeof(alternate));
	after = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_after);
	seen->result = !err && result;
	seen->alternate_same = same_alternate(&before, &after);
	/* The kernel's has 64 signals. */
	seen->mask_same = !memcmp(&mask_before, &mask_after, 8);
	_exit(0);
}

static bool run_child(const struct way *its)
{
	int status = 0;
	pid_t pid;

	way = its;
	new_secret();
	memset(seen, 0, sizeof(*seen));
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		child();
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	tap_note("status %#x after %zu traps, the last at %#zx", status, seen->traps,
		 seen->last);
	return false;
}

static const char *kind(const struct way *its)
{
	return its->action_flags & SA_ONSTACK ? "with SA_ONSTACK" : "without SA_ONSTACK";
}

static void test_control(int action_flags)
{
	const struct way plainly = { "plainly", 0, action_flags, false, true };
	bool ended = run_child(&plainly);

	tap_ok(ended && seen->result && seen->leaks == seen->traps &&
		       seen->traps > FEWEST &&
		       seen->left_below + seen->left_in_alternate > 0,
	       "control: plainly, %s, %zu of %zu signals leave the secret in ordinary memory, %zu words of it after the end",
	       kind(&plainly), seen->leaks, seen->traps,
	       seen->left_below + seen->left_in_alternate);
}

static void test(const struct way *its)
{
	/* There the frames lie in ordinary memory until the end. */
	bool until_end = its->flags & LETHE_FAST && its->action_flags & SA_ONSTACK;
	bool ended = run_child(its);

	if (!tap_ok(ended && seen->traps > FEWEST && (until_end || !seen->leaks) &&
			    !seen->left_below && !seen->left_in_alternate,
		    "%s, %s: none of %zu signals, one at each instruction, leaves a register in ordinary memory (%zu %s, %zu words after the end)",
		    its->name, kind(its), seen->traps, seen->leaks,
		    until_end ? "until the end" : "do",
		    seen->left_below + seen->left_in_alternate))
		tap_note("the first that does at %#zx", seen->first_leak);
	tap_ok(ended && seen->result && seen->alternate_same && seen->mask_same,
	       "%s, %s: and the section's result, the alternate stack and the mask are right",
	       its->name, kind(its));
}

static void test_section_in_handler(const struct way *its)
{
	bool ended = run_child(its);

	tap_ok(ended && seen->result && seen->alternate_same && !seen->other &&
		       seen->ran > 0 && seen->ran + seen->busy == seen->traps &&
		       !seen->not_enabled && !seen->plainly_run && !seen->left_below &&
		       !seen->left_in_alternate,
	       "%s, %s: lethe_do() in a handler at each instruction runs in secret memory (%zu) or is EBUSY (%zu), and does the section no harm",
	       its->name, kind(its), seen->ran, seen->busy);
}

int main(void)
{
	static const struct way ways[] = {
		{ "default", 0, 0, false, false },
		{ "default", 0, SA_ONSTACK, false, false },
		{ "LETHE_FAST", LETHE_FAST, 0, false, false },
		{ "LETHE_FAST", LETHE_FAST, SA_ONSTACK, false, false },
		{ "LETHE_BLOCK_SIGNALS", LETHE_BLOCK_SIGNALS, 0, false, false },
		{ "LETHE_BLOCK_SIGNALS", LETHE_BLOCK_SIGNALS, SA_ONSTACK, false, false },
	};
	static const struct way with_sections[] = {
		{ "default", 0, 0, true, false },
		{ "default", 0, SA_ONSTACK, true, false },
		{ "LETHE_FAST", LETHE_FAST, 0, true, false },
		{ "LETHE_FAST", LETHE_FAST, SA_ONSTACK, true, false },
	};
	size_t i;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	begin_tests(18);
	test_control(0);
	test_control(SA_ONSTACK);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		test(&ways[i]);
	for (i = 0; i < sizeof(with_sections) / sizeof(with_sections[0]); i++)
		test_section_in_handler(&with_sections[i]);
	return tap_end();
}
