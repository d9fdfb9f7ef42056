// SPDX-License-Identifier: MIT
/*
 * A signal comes when every register of a section is full of a secret: what is left
 * of it after the end, on each kind of alternate stack that a program can have, with
 * and without SA_ONSTACK, in each of the three modes. And that stack is the
 * program's again.
 *
 * The control: the same signal outside of a section leaves the secret on each.
 */
#include <stdlib.h>

#include "signals.h"

#define ALTERNATE ((size_t)32 * 1024)

enum kind { STATIC, MAPPED, MALLOCED, OWN_STACK, AUTODISARM, NONE, KINDS };

static const char *const kind_names[KINDS] = {
	[STATIC] = "a static alternate stack",
	[MAPPED] = "one of mmap()",
	[MALLOCED] = "one of malloc()",
	[OWN_STACK] = "one on the thread's own stack",
	[AUTODISARM] = "one with SS_AUTODISARM",
	[NONE] = "no alternate stack",
};

static char static_alternate[ALTERNATE] __attribute__((aligned(16)));

/* What the handler saw, and where it was. */
static struct {
	unsigned int handled;
	enum lethe_level level;
	bool enabled;
	struct extent extent;
	size_t copies;
} seen;

static void handler(int number, siginfo_t *info, void *arg)
{
	const ucontext_t *context = arg;

	(void)number;
	(void)info;
	seen.handled++;
	seen.level = lethe_level_of(context);
	seen.enabled = lethe_enabled();
	seen.extent = extent_of(context);
	seen.copies = copies(context->uc_mcontext.gregs,
			     context->uc_mcontext.gregs + REG_CR2);
}

struct inside {
	struct extent stack;
	unsigned int handled;
	bool blocked;
};

static void section(void *arg)
{
	struct inside *inside = arg;
	sigset_t mask;

	inside->stack = extent_of(__builtin_frame_address(0));
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	inside->blocked = sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGALRM) &&
			  !sigismember(&mask, SIGSEGV);
	fill_and_send(SIGUSR1);
	inside->handled = seen.handled;
}

static NOINLINE size_t outside(const char *alternate)
{
	size_t found;

	new_secret();
	fill_and_send(SIGUSR1);
	found = copies_below();
	if (alternate)
		found += copies(alternate, alternate + ALTERNATE);
	return found;
}

/* Where the handler is to have run, and what the report is to say. */
static bool went_as_it_should(unsigned int flags, bool on_alternate,
			      const struct inside *inside,
			      const struct lethe_report *report)
{
	bool put_aside = flags & LETHE_FAST ? false : get_alternate().ss_sp != NULL;
	enum lethe_level least = report->level;

	if (seen.handled != 1 || seen.enabled)
		return false;
	if (flags & LETHE_BLOCK_SIGNALS)
		return inside->blocked && !inside->handled && !seen.copies &&
		       !report->signals && seen.level == LETHE_LEVEL_NONE;
	if (flags & LETHE_FAST && on_alternate)
		least = LETHE_LEVEL_NONE;
	return inside->handled == 1 && !inside->blocked && seen.copies > 0 &&
	       seen.level == least && report->signals == 1 &&
	       !(report->done & LETHE_DONE_SIGNAL_STACK) == !put_aside;
}

static NOINLINE void test(enum kind kind, unsigned int flags, int action_flags,
			  char *alternate)
{
	struct inside inside = { 0 };
	struct lethe_report report;
	sigset_t mask_before, mask_after;
	stack_t before, after;
	size_t control, left;
	int err;

	touch_below();
	if (alternate)
		memset(alternate, 0, ALTERNATE);
	handle(SIGUSR1, handler, action_flags);
	before = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_before);
	new_secret();
	memset(&seen, 0, sizeof(seen));
	err = do_flags(flags, section, &inside, &report);
	left = copies_below() + copies_in(inside.stack) + copies_in(seen.extent);
	if (alternate)
		left += copies(alternate, alternate + ALTERNATE);
	after = get_alternate();
	pthread_sigmask(SIG_BLOCK, NULL, &mask_after);

	if (!tap_ok(!err && !left &&
			    went_as_it_should(flags,
					      alternate && action_flags & SA_ONSTACK,
					      &inside, &report) &&
			    same_alternate(&before, &after) &&
			    !memcmp(&mask_before, &mask_after, 8),
		    "%s, %s, %s SA_ONSTACK: a handler is where it should be, and nothing is left (%zu words)",
		    mode_name(flags), kind_names[kind],
		    action_flags & SA_ONSTACK ? "with" : "without", left))
		tap_note(
			"error %d, handled %u (inside %u), level %d, enabled %d, %zu copies, %u signals, done %#x, alternate %p then %p",
			err, seen.handled, inside.handled, seen.level, seen.enabled,
			seen.copies, report.signals, report.done, before.ss_sp,
			after.ss_sp);
	control = outside(alternate);
	tap_ok(control > 0, "control: outside of a section, it leaves %zu words",
	       control);
}

static NOINLINE void test_kind(enum kind kind)
{
	static const unsigned int modes[] = { 0, LETHE_FAST, LETHE_BLOCK_SIGNALS };
	char on_own_stack[ALTERNATE] __attribute__((aligned(16)));
	static const stack_t none = { .ss_flags = SS_DISABLE };
	char *alternate = NULL;
	size_t i;

	switch (kind) {
	case STATIC:
	case AUTODISARM:
		alternate = static_alternate;
		break;
	case MAPPED:
		alternate = mmap(NULL, ALTERNATE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case MALLOCED:
		alternate = malloc(ALTERNATE);
		break;
	case OWN_STACK:
		alternate = on_own_stack;
		break;
	default:
		break;
	}
	if (alternate)
		set_alternate(alternate, ALTERNATE,
			      kind == AUTODISARM ? SS_AUTODISARM : 0);
	else
		sigaltstack(&none, NULL);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		test(kind, modes[i], SA_ONSTACK, alternate);
		test(kind, modes[i], 0, alternate);
	}
	sigaltstack(&none, NULL);
	if (kind == MAPPED)
		munmap(alternate, ALTERNATE);
	if (kind == MALLOCED)
		free(alternate);
}

int main(void)
{
	int kind;

	begin_tests(KINDS * 12);
	/* What is made once is made now. */
	if (lethe_do(nothing, NULL))
		tap_bail("no section");
	for (kind = 0; kind < KINDS; kind++)
		test_kind((enum kind)kind);
	return tap_end();
}
