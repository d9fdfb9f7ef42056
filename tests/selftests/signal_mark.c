// SPDX-License-Identifier: MIT
/*
 * Is this the section, or a handler that interrupts it? lethe_enabled() tells, on
 * both kinds of stack, nested, after a jump out of a handler, after code that loses
 * the mark that it goes by. And that mark, which is in the x87 status word, disturbs
 * no arithmetic: a battery of it comes out as it does outside of a section.
 */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include "signals.h"

#define ALTERNATE ((size_t)64 * 1024)
#define DEEPEST 3U

static char alternate[ALTERNATE] __attribute__((aligned(16)));
static volatile unsigned int handled, enabled_in_handler;
static sigjmp_buf back;

static void look(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	enabled_in_handler += lethe_enabled();
	if (++handled < DEEPEST)
		raise(number);
	enabled_in_handler += lethe_enabled();
}

static void look_and_use_mmx(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handled++;
	__asm__ volatile("pxor %%mm0, %%mm0\n\temms" : : : "mm0");
	enabled_in_handler += lethe_enabled();
}

static void jump(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handled++;
	siglongjmp(back, 1);
}

static NOINLINE void use_mmx(void)
{
	__asm__ volatile("pxor %%mm0, %%mm0\n\temms" : : : "mm0");
}

static NOINLINE void use_fninit(void)
{
	__asm__ volatile("fninit");
}

static void in_nested(void *arg)
{
	*(bool *)arg = lethe_enabled();
}

/* A section in the handler is one for as long as it lasts. */
static volatile bool nested_enabled, enabled_before, enabled_after;
static volatile int nested_error;
/* But not on ordinary memory, where LETHE_FAST leaves handlers with SA_ONSTACK. */
static bool nested_is_refused;

static void look_and_nest(int number, siginfo_t *info, void *context)
{
	bool enabled = false;

	(void)number;
	(void)info;
	(void)context;
	handled++;
	enabled_before = lethe_enabled();
	nested_error = lethe_do(in_nested, &enabled);
	nested_enabled = enabled;
	enabled_after = lethe_enabled();
}

/* Each: true if lethe_enabled() was right wherever it was asked. */
static void send_simply(void *arg)
{
	bool before = lethe_enabled();

	raise(SIGUSR1);
	*(bool *)arg = before && lethe_enabled() && handled == DEEPEST &&
		       !enabled_in_handler;
}

static void lose_mark_and_send(void *arg)
{
	bool right;

	use_mmx();
	raise(SIGUSR1);
	right = lethe_enabled() && handled == 1 && !enabled_in_handler;
	use_mmx();
	right &= lethe_enabled();
	use_fninit();
	right &= lethe_enabled();
	use_mmx();
	raise(SIGUSR1);
	*(bool *)arg = right && handled == 2 && !enabled_in_handler && lethe_enabled();
}

static void jump_within(void *arg)
{
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	*(bool *)arg = handled == 1 && lethe_enabled();
}

/* A frame that is never written, over where the handler's was. */
static NOINLINE bool deeper(void)
{
	volatile char over[16384];

	__asm__ volatile("" : : "r"(over) : "memory");
	return lethe_enabled();
}

static void jump_within_then_deeper(void *arg)
{
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	*(bool *)arg = handled == 1 && deeper();
}

static void send_and_nest(void *arg)
{
	raise(SIGUSR1);
	*(bool *)arg = handled == 1 && !enabled_before && !enabled_after &&
		       nested_enabled == !nested_is_refused &&
		       nested_error == (nested_is_refused ? -EBUSY : 0) &&
		       lethe_enabled();
}

struct scenario {
	const char *sentence;
	void (*handler)(int, siginfo_t *, void *);
	void (*section)(void *);
};

static const struct scenario scenarios[] = {
	{ "false in handlers that interrupt each other, true before and after", look,
	  send_simply },
	{ "right where MMX code and fninit lose the mark, in the section and in the handler",
	  look_and_use_mmx, lose_mark_and_send },
	{ "true again after a siglongjmp() from a handler into the section", jump,
	  jump_within },
	{ "true after one also below a frame that covers the handler's", jump,
	  jump_within_then_deeper },
	{ "true in a section in a handler (which on ordinary memory is EBUSY), false before and after it",
	  look_and_nest, send_and_nest },
};

static void test_enabled(const struct scenario *scenario, unsigned int flags, int onstack)
{
	bool right = false;
	int err;

	handle(SIGUSR1, scenario->handler, SA_NODEFER | onstack);
	handled = enabled_in_handler = 0;
	nested_is_refused = flags & LETHE_FAST && onstack;
	err = do_flags(flags, scenario->section, &right, NULL);
	tap_ok(!err && right && !lethe_enabled(),
	       "%s, %s SA_ONSTACK: lethe_enabled() is %s", mode_name(flags),
	       onstack ? "with" : "without", scenario->sentence);
}

/* Whatever the x87 unit can do with its stack of registers and its status word. */
struct battery {
	long double results[48];
	int integers[32];
	uint16_t control[8];
};

static volatile long double one = 1.0L, three = 3.0L, tiny = 1e-4900L;

static long double polynomial(long double x, long double a, long double b, long double c,
			      long double d, long double e, long double f)
{
	return ((((a * x + b) * x + c) * x + d) * x + e) * x + f + a * b * c * d * e * f;
}

static uint16_t control_word(void)
{
	uint16_t control;

	__asm__ volatile("fnstcw %0" : "=m"(control));
	return control;
}

/* All eight registers at once. */
static NOINLINE long double eight_deep(void)
{
	long double sum;

	__asm__ volatile("fld1\n\tfldpi\n\tfldl2e\n\tfldln2\n\t"
			 "fldlg2\n\tfldl2t\n\tfld1\n\tfldpi\n\t"
			 "faddp\n\tfaddp\n\tfmulp\n\tfaddp\n\t"
			 "fsubp\n\tfmulp\n\tfaddp"
			 : "=t"(sum)
			 :
			 : "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
	return sum;
}

static void arithmetic(struct battery *b, size_t *n)
{
	long double x;
	int i;

	for (i = 1; i <= 3; i++) {
		x = one / (three * i);
		b->results[(*n)++] = sinl(x);
		b->results[(*n)++] = powl(x, three);
		b->results[(*n)++] = expl(-x);
		b->results[(*n)++] = fmodl(x * 100, x + one);
		b->results[(*n)++] = polynomial(x, one, x, three, x * x, -x, one);
	}
	b->results[(*n)++] = eight_deep();
}

static void in_each_rounding(struct battery *b, size_t *n)
{
	static const int roundings[] = { FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO,
					 FE_TONEAREST };
	size_t i;

	for (i = 0; i < 4; i++) {
		b->integers[i] = fesetround(roundings[i]);
		b->integers[i + 4] = fegetround();
		b->control[i] = control_word();
		b->results[(*n)++] = one / three;
		b->results[(*n)++] = rintl(-2.5L * one);
		b->integers[i + 8] = (int)lrintl(2.5L * one);
	}
}

static void environment(struct battery *b, size_t *n)
{
	fenv_t saved, other;

	feclearexcept(FE_ALL_EXCEPT);
	b->results[(*n)++] = one / three;
	b->integers[12] = fetestexcept(FE_ALL_EXCEPT);
	b->integers[13] = feholdexcept(&saved);
	b->integers[14] = fetestexcept(FE_ALL_EXCEPT);
	b->results[(*n)++] = tiny * tiny;
	b->integers[15] = fetestexcept(FE_ALL_EXCEPT);
	b->integers[16] = feupdateenv(&saved);
	b->integers[17] = fetestexcept(FE_ALL_EXCEPT);
	b->integers[18] = fegetenv(&other);
	b->integers[19] = fesetenv(FE_DFL_ENV);
	b->integers[20] = fetestexcept(FE_ALL_EXCEPT);
	b->integers[21] = fesetenv(&other);
	b->integers[22] = fetestexcept(FE_ALL_EXCEPT);
	b->integers[23] = feraiseexcept(FE_INVALID | FE_OVERFLOW);
	b->integers[24] = fetestexcept(FE_ALL_EXCEPT);
	b->control[4] = control_word();
	feclearexcept(FE_ALL_EXCEPT);
}

struct computed {
	struct battery first, second;
	bool enabled;
};

static void battery(struct battery *b)
{
	size_t n = 0;

	arithmetic(b, &n);
	in_each_rounding(b, &n);
	environment(b, &n);
}

static void compute(void *arg)
{
	struct computed *computed = arg;

	battery(&computed->first);
	computed->enabled = lethe_enabled();
	/* What holds in between: a signal, and the mark set anew. */
	raise(SIGUSR1);
	use_mmx();
	computed->enabled &= lethe_enabled();
	battery(&computed->second);
	computed->enabled &= lethe_enabled();
}

static void test_arithmetic(unsigned int flags)
{
	static struct computed outside, inside;
	fenv_t before, after;
	int err;

	handle(SIGUSR1, look, SA_NODEFER);
	handled = 0;
	compute(&outside);
	handled = enabled_in_handler = 0;
	fegetenv(&before);
	err = do_flags(flags, compute, &inside, NULL);
	fegetenv(&after);
	tap_ok(!err && inside.enabled &&
		       !memcmp(&outside.first, &inside.first, sizeof(inside.first)) &&
		       !memcmp(&outside.second, &inside.second, sizeof(inside.second)) &&
		       outside.first.integers[15] & FE_UNDERFLOW &&
		       outside.first.control[0] != outside.first.control[1],
	       "%s: long double, rounding, exceptions and the environment are in a section as outside",
	       mode_name(flags));
	tap_ok(!err && before.__control_word == after.__control_word &&
		       before.__mxcsr == after.__mxcsr,
	       "%s: and the environment after it is the caller's", mode_name(flags));
}

int main(void)
{
	static const unsigned int modes[] = { 0, LETHE_FAST };
	const size_t n = sizeof(scenarios) / sizeof(scenarios[0]);
	size_t i, mode;

	begin_tests((unsigned int)(2 * (2 * n + 2)));
	set_alternate(alternate, sizeof(alternate), 0);
	for (mode = 0; mode < 2; mode++) {
		for (i = 0; i < n; i++) {
			test_enabled(&scenarios[i], modes[mode], 0);
			test_enabled(&scenarios[i], modes[mode], SA_ONSTACK);
		}
		test_arithmetic(modes[mode]);
	}
	return tap_end();
}
