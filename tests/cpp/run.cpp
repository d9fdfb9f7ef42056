// SPDX-License-Identifier: MIT
/*
 * lethe::run() and lethe::try_run(): whatever can be called is called once, in a section,
 * and what it returns or throws arrives; where the section cannot be had, that is said and
 * nothing is called. On whichever backend is in use.
 */
#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include <lethe.hpp>

#include "error_of.hpp"
#include "tap.h"

namespace
{

struct big {
	big() = default;
	explicit big(unsigned char c) : self(this)
	{
		bytes.fill(c);
	}
	std::array<unsigned char, 48> bytes;
	const big *self;

	/* gcc takes for granted that nobody has told where a result is returned to. */
	bool never_moved() const
	{
		const big *const volatile here = this, *const volatile there = self;

		return here == there;
	}
};

unsigned int made, moved, ended;

/* Not to be had by default, nor to be copied; and it can be told not to be moved. */
struct counted {
	explicit counted(int number) : n(number)
	{
		made++;
	}
	counted(counted &&other) : n(other.n)
	{
		if (n < 0)
			throw std::runtime_error("moved");
		moved++;
		other.n = 0;
	}
	~counted()
	{
		ended++;
	}
	int n;
};

struct callable {
	int operator()(int n) &&
	{
		return n + 1;
	}
	int method(int n) const
	{
		return n + offset;
	}
	callable() = default;
	callable(const callable &) = delete;
	int offset = 5;
};

int plain(int n)
{
	return n * 2;
}

void test_results()
{
	int here = 1;
	bool called = false;

	lethe::run([&] { called = lethe_enabled(); });
	tap_ok(called && !lethe_enabled(), "what returns nothing is run in a section");
	tap_ok(lethe::run([] { return 7; }) == 7 &&
		       lethe::run([] { return 2.5; }) == 2.5 &&
		       lethe::run(plain, 21) == 42,
	       "numbers come back, from lambdas and functions");

	int &same = lethe::run([&]() -> int & { return here; });
	int &&expiring = lethe::run([&]() -> int && { return std::move(here); });
	const int &constant = lethe::run([&]() -> const int & { return here; });
	tap_ok(&same == &here && &expiring == &here && &constant == &here,
	       "references come back as they are");

	const big result = lethe::run([] { return big(9); });
	tap_ok(result.never_moved() && result.bytes[47] == 9,
	       "a large plain result is made where its caller has it, and nowhere else");
	const big constant_result = lethe::run([]() -> const big { return big(3); });
	tap_ok(constant_result.never_moved() && constant_result.bytes[0] == 3,
	       "and if it is const");

	auto pointer = lethe::run([] { return std::make_unique<int>(11); });
	tap_ok(pointer && *pointer == 11, "what can only be moved is moved out");

	made = moved = ended = 0;
	{
		counted got = lethe::run([] { return counted(4); });

		tap_ok(got.n == 4 && made == 1 && moved == 1 && ended == 1,
		       "what has no default comes back, by one move");
	}
	tap_ok(ended == 2, "and each is ended once");

	auto text = lethe::run([] { return lethe::string("short"); });
	tap_ok(text == "short" && lethe_level_of(text.data()) > LETHE_LEVEL_NONE,
	       "a lethe::string comes back, and its characters are where they were");
	auto key = lethe::run([] {
		lethe::buffer<unsigned char> made_inside(32);

		made_inside.fill_random();
		return made_inside;
	});
	tap_ok(key.size() == 32, "and so does a lethe::buffer");
}

void test_arguments()
{
	callable object;
	int changed = 0;

	lethe::run([](int &n, const int &m) { n = m; }, changed, 3);
	tap_ok(changed == 3, "arguments are those of the caller, not copies");
	tap_ok(lethe::run([](std::unique_ptr<int> p) { return *p; },
			  std::make_unique<int>(8)) == 8,
	       "what can only be moved is handed on");
	tap_ok(lethe::run(&callable::method, object, 2) == 7 &&
		       lethe::run(&callable::offset, object) == 5,
	       "members are called as by std::invoke()");
	tap_ok(lethe::run(std::move(object), 1) == 2,
	       "what is called is not copied, and called as what it is");
}

lethe_level level_of_local()
{
	volatile char local = 0;

	return lethe_level_of(const_cast<const char *>(&local));
}

void test_exceptions()
{
	bool arrived = false, inside = false;

	try {
		lethe::run([]() -> int { throw std::runtime_error("from inside"); });
	} catch (const std::runtime_error &error) {
		arrived = error.what() == std::string("from inside") && !lethe_enabled();
	}
	tap_ok(arrived, "an exception comes through, and the section is over by then");

	try {
		(void)lethe::try_run([&] { throw 5; });
	} catch (int n) {
		inside = n == 5;
	}
	tap_ok(inside, "through try_run() too");

	made = moved = ended = 0;
	try {
		(void)lethe::run([] { return counted(-1); });
		arrived = false;
	} catch (const std::runtime_error &error) {
		arrived = error.what() == std::string("moved") && !lethe_enabled();
	}
	tap_ok(arrived && made == 1 && moved == 0 && ended == 1,
	       "and one that is thrown as the result is moved out, which ends it");
	tap_ok(lethe::run(level_of_local) > LETHE_LEVEL_NONE &&
		       level_of_local() == LETHE_LEVEL_NONE,
	       "the next is run on secret pages, and this is not");
}

void test_errors()
{
	const lethe::options wrong = lethe::options().flags(1U << 30);
	bool called = false;
	auto call = [&] { called = true; };

	tap_ok(error_of([&] { lethe::run(wrong, call); }) == EINVAL && !called,
	       "an unknown flag is std::system_error, EINVAL, and nothing is called");
	tap_ok(error_of([&] { (void)lethe::run(wrong, [] { return big(1); }); }) ==
			       EINVAL &&
		       error_of([&] {
			       (void)lethe::run(wrong, [] { return counted(1); });
		       }) == EINVAL &&
		       error_of([&] {
			       (void)lethe::run(wrong,
						[&]() -> bool & { return called; });
		       }) == EINVAL,
	       "whichever kind of result is waited for");

	std::error_code error = lethe::try_run(wrong, call);
	tap_ok(error == std::errc::invalid_argument && !called,
	       "try_run() returns it, and nothing is called");
	error = lethe::try_run(call);
	tap_ok(!error && called, "and no error where there is none");
	auto cannot_throw = []() noexcept {};
	auto can_throw = [] {};
	static_assert(noexcept(lethe::try_run(cannot_throw)) &&
		      !noexcept(lethe::try_run(can_throw)) &&
		      !noexcept(lethe::run(cannot_throw)));
}

void test_options()
{
	lethe_options c = {};
	lethe_report report, inner;

	c.size = sizeof(c);
	c.stack_size = 65536;
	tap_ok(lethe::run(c, [] { return 3; }) == 3, "struct lethe_options does as well");

	report.done = 0;
	lethe::options options;
	options.require(LETHE_LEVEL_LOCKED).stack_size(32768).flags(LETHE_BLOCK_SIGNALS);
	options.flags(LETHE_REFUSE_FORK).report(report);
	tap_ok(options.c()->flags == (LETHE_BLOCK_SIGNALS | LETHE_REFUSE_FORK) &&
		       options.c()->stack_size == 32768 &&
		       options.c()->require == LETHE_LEVEL_LOCKED,
	       "options add up");
	int n = lethe::run(
		options,
		[&](int m) {
			return m + lethe::run(
					   lethe::options().report(inner),
					   [](int i) { return i; }, 2);
		},
		1);
	tap_ok(n == 3 && report.done & LETHE_DONE_ERASE &&
		       report.level >= LETHE_LEVEL_LOCKED && report.stack_wiped > 0,
	       "a report is filled");
	tap_ok(inner.done == 0 && inner.level == report.level,
	       "a section in a section is part of it");
	tap_ok(error_of([] {
		       lethe::run(lethe::options().stack_size(1UL << 40), [] {});
	       }) == EINVAL,
	       "what is said of the stack is heard");
}

void test_scoped_heap()
{
	lethe_report report;
	const lethe::options scoped =
		lethe::options().flags(LETHE_SCOPED_HEAP).report(report);
	auto kept = lethe::run(scoped, [] {
		lethe::string result("kept");

		/* Not kept. */
		(void)lethe_malloc(16);
		(void)lethe_keep(result.data());
		return result;
	});

	tap_ok(kept == "kept" && lethe_level_of(kept.data()) > LETHE_LEVEL_NONE &&
		       report.blocks_live == 1,
	       "of a heap that ends with its section, a result outlives it that was kept");
}

void test_paused()
{
	bool before = false, during = true, after = false;

	lethe::run([&] {
		before = lethe_enabled();
		{
			lethe::paused paused;

			during = lethe_enabled();
		}
		after = lethe_enabled();
	});
	tap_ok(before && !during && after, "paused is until the end of its scope");
}

} // namespace

int main()
{
	tap_plan(29);
	test_results();
	test_arguments();
	test_exceptions();
	test_errors();
	test_options();
	test_scoped_heap();
	test_paused();
	return tap_end();
}
