// SPDX-License-Identifier: MIT
/*
 * A C++ exception out of a section: it arrives at the caller of lethe_do(), and
 * the section is erased by then, however it was begun and however deep it was
 * thrown. On whichever backend is in use.
 */
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include "left.h"
#include "lethe.h"
#include "tap.h"

static uintptr_t frame_of_thrower;
static unsigned int destroyed, destroyed_inside;

struct Noticed {
	~Noticed()
	{
		destroyed++;
		destroyed_inside += lethe_enabled();
	}
};

static __attribute__((noinline)) void fill_and_throw(void *)
{
	/* In the thrower's own: what unwinds it runs below. */
	volatile uint64_t frame[FRAME_WORDS];
	Noticed noticed;

	for (auto &word : frame)
		word = pattern;
	frame_of_thrower = reinterpret_cast<uintptr_t>(frame);
	throw std::runtime_error("from inside");
}

/* What is found where the frame was, as the handler sees it. */
template <typename Call> static size_t catch_from(Call call, bool *arrived)
{
	pattern_new();
	*arrived = false;
	destroyed = destroyed_inside = 0;
	try {
		call();
	} catch (const std::runtime_error &error) {
		*arrived = !std::strcmp(error.what(), "from inside");
	}
	return words_at(frame_of_thrower);
}

static void caught_inside(void *arg)
{
	bool arrived;
	size_t left = catch_from([] { (void)lethe_do(fill_and_throw, nullptr); },
				 &arrived);

	/* The outer section is open, so what is on its stack stays. */
	*static_cast<bool *>(arg) = arrived && left > 0 && lethe_enabled();
}

static void throw_from_fifth(void *arg)
{
	Noticed noticed;
	auto *deeper = static_cast<unsigned int *>(arg);

	if (!(*deeper)--)
		fill_and_throw(nullptr);
	(void)lethe_do(throw_from_fifth, arg);
}

static void rethrow(void *arg)
{
	try {
		(void)lethe_do(fill_and_throw, nullptr);
	} catch (const std::runtime_error &) {
		*static_cast<bool *>(arg) = lethe_enabled() &&
					    words_at(frame_of_thrower) > 0;
		throw;
	}
}

/* From a handler inside a section: erased with the section that it began. */
static void throw_while_handling(void *arg)
{
	try {
		throw std::string("another");
	} catch (const std::string &) {
		fill_and_throw(arg);
	}
}

static void nothing(void *)
{
}

static bool next_section_runs()
{
	return !lethe_enabled() && !lethe_do(nothing, nullptr) && !lethe_enabled() &&
	       !words_on_secret_stack(frame_of_thrower);
}

static void test_plainly()
{
	bool arrived, inside = false;
	size_t left, control;

	/* Unwinding overwrites a part of the dead frame; the rest is the control. */
	control = catch_from([] { fill_and_throw(nullptr); }, &arrived);
	left = catch_from([] { (void)lethe_do(fill_and_throw, nullptr); }, &arrived);
	tap_ok(arrived && destroyed == 1 && destroyed_inside == 1,
	       "an exception arrives at lethe_do()'s caller, destructors run inside");
	tap_ok(control > 0 && !left && !lethe_enabled(),
	       "and its section is over and erased (%zu words, plainly %zu)", left,
	       control);
	tap_ok(!lethe_do(caught_inside, &inside) && inside &&
		       !words_on_secret_stack(frame_of_thrower),
	       "one that is caught in the outer section leaves that open, and it ends erased");
	tap_ok(next_section_runs(), "and the next section runs");
}

static void test_nested()
{
	unsigned int deeper = 4;
	bool arrived, inside = false;
	size_t left;

	left = catch_from([&] { (void)lethe_do(throw_from_fifth, &deeper); }, &arrived);
	tap_ok(arrived && !left && destroyed == 6 && destroyed_inside == 6 &&
		       next_section_runs(),
	       "one that passes five nested sections ends them all, destructors inside");
	left = catch_from([&] { (void)lethe_do(rethrow, &inside); }, &arrived);
	tap_ok(arrived && inside && !left && next_section_runs(),
	       "one that is rethrown in the outer section ends that too");
	left = catch_from([] { (void)lethe_do(throw_while_handling, nullptr); },
			  &arrived);
	tap_ok(arrived && !left && next_section_runs(),
	       "one that is thrown while another is handled likewise");
}

static void test_options()
{
	struct lethe_options options = {};
	struct lethe_report report = {};
	sigset_t before, after;
	bool arrived, same;
	size_t left;

	options.size = sizeof(options);
	options.flags = LETHE_BLOCK_SIGNALS | LETHE_REFUSE_FORK;
	options.stack_size = 64 * 1024;
	report.size = sizeof(report);
	pthread_sigmask(SIG_BLOCK, nullptr, &before);
	left = catch_from(
		[&] { (void)lethe_do_with(&options, fill_and_throw, nullptr, &report); },
		&arrived);
	pthread_sigmask(SIG_BLOCK, nullptr, &after);
	same = true;
	for (int number = 1; number < 32; number++)
		same &= sigismember(&before, number) == sigismember(&after, number);
	tap_ok(arrived && !left && next_section_runs(),
	       "through lethe_do_with() and another stack likewise");
	tap_ok(same, "and with LETHE_BLOCK_SIGNALS the signal mask is what it was");
}

static void test_many()
{
	size_t bytes = secret_bytes();
	unsigned int i, good = 0;
	bool arrived;

	for (i = 0; i < 1000; i++)
		good += !catch_from([] { (void)lethe_do(fill_and_throw, nullptr); },
				    &arrived) &&
			arrived;
	tap_ok(good == 1000 && secret_bytes() == bytes,
	       "1,000 of them, one after the other, cost no stack more");
}

static void test_in_thread()
{
	bool arrived = false;
	size_t left = 1;

	std::thread thread([&] {
		left = catch_from([] { (void)lethe_do(fill_and_throw, nullptr); },
				  &arrived);
	});
	thread.join();
	tap_ok(arrived && !left && !words_on_secret_stack(frame_of_thrower),
	       "in a std::thread likewise");
}

/* Destroyed at the thread's end, before what C calls thread-specific data. */
struct Late {
	bool *ran;
	~Late()
	{
		*ran = !lethe_do(nothing, nullptr) && !lethe_enabled();
	}
};

static void test_thread_local()
{
	bool first = false, second = false;
	size_t bytes;

	for (bool *ran : { &first, &second }) {
		bytes = secret_bytes();
		std::thread([ran] {
			static thread_local Late late{ ran };

			(void)late.ran;
			if (ran)
				(void)lethe_do(nothing, nullptr);
		}).join();
	}
	tap_ok(first && second && secret_bytes() == bytes,
	       "a thread_local object's destructor runs a section, and no stack is lost");
}

int main()
{
	tap_plan(12);
	if (!lethe_backend())
		tap_bail("no backend: %s", std::strerror(errno));
	tap_note("backend: %s", lethe_backend());
	pattern_new();
	test_plainly();
	test_nested();
	test_options();
	test_many();
	test_in_thread();
	test_thread_local();
	return tap_end();
}
