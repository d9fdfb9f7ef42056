// SPDX-License-Identifier: MIT
/*
 * Code that runs in a section without its function's knowing: the dynamic linker at
 * the first call of a library's function, IFUNC resolvers, the vDSO, libc's vector
 * code. Each is looked for in the registers, on the secret stack and on the
 * thread's own stack; the control is the same thing done outside. On whichever
 * backend is in use.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "late.h"
#include "left.h"
#include "lethe.h"
#include "registers.h"
#include "tap.h"

/* As far down as anything here goes. */
#define BELOW (128 * 1024)

/* What is looked at, once plainly and once in a section. */
struct subject {
	const char *name;
	void (*plainly)(void *);
	void (*inside)(void *);
	bool (*happened)(void);
};

static uintptr_t secret_stack;

struct call {
	void (*fn)(void *);
};

static void call_inside(void *arg)
{
	struct call *call = arg;

	secret_stack = (uintptr_t)__builtin_frame_address(0);
	call->fn(NULL);
}

static void in_section(void *arg)
{
	(void)lethe_do(call_inside, arg);
}

static void in_no_section(void *arg)
{
	((struct call *)arg)->fn(NULL);
}

static struct registers registers;

static unsigned int in_registers(void)
{
	const struct register_class *class;
	unsigned int found = general_holding(&registers, pattern);

	for (class = register_classes; class->name; class ++)
		if (class->needs <= (int)registers_have)
			found += registers_holding(&registers, class, pattern);
	return found;
}

static void test(const struct subject *subject)
{
	struct call call = { subject->plainly };
	size_t control, below, on_secret;
	unsigned int control_held, held;
	bool happened;

	pattern_new();
	memset(&registers, 0, sizeof(registers));
	registers_after(in_no_section, &call, &registers);
	control = words_below(BELOW);
	control_held = in_registers();

	pattern_new();
	memset(&registers, 0, sizeof(registers));
	call.fn = subject->inside;
	registers_after(in_section, &call, &registers);
	below = words_below(BELOW);
	on_secret = words_on_secret_stack(secret_stack);
	held = in_registers();
	happened = !subject->happened || subject->happened();
	tap_ok(happened && control + control_held > 0 && !below && !on_secret && !held,
	       "%s: %zu words left on the thread's stack, %zu on the secret one, in %u registers (plainly %zu and %u)",
	       subject->name, below, on_secret, held, control, control_held);
}

/* Every register is full as the call is made; emms, for the callee's x87 code. */
#define WITH_FULL_REGISTERS(call)                        \
	do {                                             \
		registers_fill(&pattern);                \
		__asm__ volatile("emms" : : : "memory"); \
		call;                                    \
	} while (0)

static void bind_plainly(void *arg)
{
	(void)arg;
	WITH_FULL_REGISTERS(late_plainly());
}

static void bind_inside(void *arg)
{
	(void)arg;
	WITH_FULL_REGISTERS(late_inside());
}

static bool both_bound(void)
{
	return late_calls == 2;
}

static void resolve_plainly(void *arg)
{
	(void)arg;
	WITH_FULL_REGISTERS(late_resolved_plainly());
}

static void resolve_inside(void *arg)
{
	(void)arg;
	WITH_FULL_REGISTERS(late_resolved_inside());
}

/* Resolvers that ran when the function was called, and not at the program's start. */
static bool both_resolved(void)
{
	return late_resolved == 2 && late_calls == 4;
}

static void ask_clock(void *arg)
{
	struct timespec now;

	(void)arg;
	WITH_FULL_REGISTERS(clock_gettime(CLOCK_MONOTONIC, &now));
}

/* The secret is what comes out, so it is known only afterwards. */
static void ask_random(void *arg)
{
	volatile uint64_t random[8];

	(void)arg;
	if (getrandom((void *)random, sizeof(random), 0) != sizeof(random))
		abort();
	pattern = random[1];
}

typedef ssize_t (*vgetrandom_fn)(void *, size_t, unsigned int, void *, size_t);

static vgetrandom_fn vgetrandom;
static void *vgetrandom_state;
static struct {
	uint32_t size, prot, flags, reserved[13];
} vgetrandom_params;

/* Where it exists (Linux 6.11): libc calls it from 2.41 on. */
static bool find_vgetrandom(void)
{
	void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
	void *found = vdso ? dlsym(vdso, "__vdso_getrandom") : NULL;

	if (!found)
		return false;
	memcpy(&vgetrandom, &found, sizeof(found));
	if (vgetrandom(NULL, 0, 0, &vgetrandom_params, ~(size_t)0))
		return false;
	vgetrandom_state = mmap(NULL, 4096, (int)vgetrandom_params.prot,
				(int)vgetrandom_params.flags, -1, 0);
	return vgetrandom_state != MAP_FAILED && vgetrandom_params.size <= 4096;
}

static void ask_vdso_random(void *arg)
{
	volatile uint64_t random[8];

	(void)arg;
	if (vgetrandom((void *)random, sizeof(random), 0, vgetrandom_state,
		       vgetrandom_params.size) != sizeof(random))
		abort();
	pattern = random[1];
}

static bool state_is_clean(void)
{
	return !words_in((uintptr_t)vgetrandom_state, (uintptr_t)vgetrandom_state + 4096);
}

/* Copies of each size that libc has a way of its own for. */
static void copy(void *arg)
{
	static const size_t words[] = { 1, 3, 6, 12, 24, 40, 100, 400 };
	static uint64_t from[400];
	uint64_t to[400];
	size_t i;

	(void)arg;
	for (i = 0; i < 400; i++)
		from[i] = pattern;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		memcpy(to, from, words[i] * sizeof(*to));
		__asm__ volatile("" : : "r"(to) : "memory");
		memmove(to + 1, to, (words[i] - 1) * sizeof(*to));
		__asm__ volatile("" : : "r"(to) : "memory");
	}
}

/* Strings of the secret; its bytes are no zeroes here. */
static void search_strings(void *arg)
{
	uint64_t a[40], b[40];
	volatile size_t sink;
	size_t i;

	(void)arg;
	pattern |= 0x0101010101010101;
	for (i = 0; i < 40; i++)
		a[i] = b[i] = pattern;
	a[39] = b[39] = 0;
	__asm__ volatile("" : : "r"(a), "r"(b) : "memory");
	sink = strlen((char *)a);
	sink += (size_t)strcmp((char *)a, (char *)b);
	sink += (size_t)memcmp(a, b, sizeof(a));
	sink += strnlen((char *)b, sizeof(b));
	sink += memchr(a, 0, sizeof(a)) != NULL;
	__asm__ volatile("" : : "r"(sink), "r"(a), "r"(b) : "memory");
}

static const struct subject subjects[] = {
	{ "the first call of a library's function, bound lazily", bind_plainly,
	  bind_inside, both_bound },
	{ "the first call of one that an IFUNC resolver chooses", resolve_plainly,
	  resolve_inside, both_resolved },
	{ "clock_gettime() in the vDSO", ask_clock, ask_clock, NULL },
	{ "getrandom() by libc", ask_random, ask_random, NULL },
	{ "memcpy() and memmove()", copy, copy, NULL },
	{ "strlen(), strcmp(), memcmp(), strnlen() and memchr()", search_strings,
	  search_strings, NULL },
};

int main(void)
{
	const struct subject vdso = { "getrandom() in the vDSO", ask_vdso_random,
				      ask_vdso_random, state_is_clean };
	size_t i;

	registers_look();
	tap_plan(sizeof(subjects) / sizeof(subjects[0]) + 1);
	if (!lethe_backend())
		tap_bail("no backend: %s", strerror(errno));
	tap_note("backend: %s", lethe_backend());
	for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		test(&subjects[i]);
	if (find_vgetrandom())
		test(&vdso);
	else
		tap_skip("a vDSO with getrandom()", "%s", vdso.name);
	return tap_end();
}
