// SPDX-License-Identifier: MIT
/*
 * A C++ exception out of a section: it arrives at the caller of lethe_do(), and
 * the section is erased by then. On whichever backend is in use.
 */
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <sys/random.h>

#include "lethe.h"
#include "tap.h"

static uint64_t pattern;
static const volatile uint64_t *frame_of_thrower;

struct Noticed {
	bool *destroyed;
	~Noticed()
	{
		*destroyed = true;
	}
};

static bool local_destroyed;

static __attribute__((noinline)) void fill_and_throw(void *)
{
	volatile uint64_t frame[512];
	Noticed noticed{ &local_destroyed };

	for (auto &word : frame)
		word = pattern;
	frame_of_thrower = frame;
	throw std::runtime_error("from inside");
}

static size_t words_left()
{
	size_t left = 0;

	for (size_t i = 0; i < 512; i++)
		left += frame_of_thrower[i] == pattern;
	return left;
}

/* What is found where the frame was, as the handler sees it. */
template <typename Call> static size_t catch_from(Call call, bool *arrived)
{
	*arrived = local_destroyed = false;
	try {
		call();
	} catch (const std::runtime_error &error) {
		*arrived = !std::strcmp(error.what(), "from inside");
	}
	return words_left();
}

static void nested(void *arg)
{
	bool arrived;
	size_t left = catch_from([] { (void)lethe_do(fill_and_throw, nullptr); },
				 &arrived);

	/* The outer section is open, so what is on its stack stays. */
	*static_cast<bool *>(arg) = arrived && left > 0 && lethe_enabled();
}

static void nothing(void *)
{
}

int main()
{
	bool arrived, inside = false;
	size_t left, control;

	if (getrandom(&pattern, sizeof(pattern), 0) != sizeof(pattern))
		tap_bail("no random numbers");
	tap_plan(4);
	if (!lethe_backend())
		tap_bail("no backend: %s", std::strerror(errno));
	tap_note("backend: %s", lethe_backend());

	/* Unwinding overwrites a part of the dead frame; the rest is the control. */
	control = catch_from([] { fill_and_throw(nullptr); }, &arrived);
	left = catch_from([] { (void)lethe_do(fill_and_throw, nullptr); }, &arrived);
	tap_ok(arrived && local_destroyed,
	       "an exception arrives at lethe_do()'s caller, destructors run");
	tap_ok(control > 0 && !left && !lethe_enabled(),
	       "and its section is over and erased (%zu words, plainly %zu)", left,
	       control);
	tap_ok(!lethe_do(nested, &inside) && inside && !words_left(),
	       "one that is caught in the outer section leaves that open, and it ends erased");
	tap_ok(!lethe_do(nothing, nullptr) && !lethe_enabled(),
	       "and the next section runs");
	return tap_end();
}
