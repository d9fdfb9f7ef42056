// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe.hpp: what C++17 adds to liblethe. All else of lethe.h is called from C++ as it is.
 *
 *	auto signature = lethe::run([&] { return sign(key, message); });
 *
 * lethe::run() runs whatever can be called in a secret section: results and exceptions
 * come through. lethe::buffer<T> is a guarded buffer that is closed whenever nobody has
 * an access object of it, lethe::string and lethe::allocator<T> keep characters and
 * containers on the secret heap, lethe::paused allocates what is public on purpose.
 *
 * What liblethe returns as -errno is thrown as std::system_error of the generic category;
 * where the secret heap has no more, std::bad_alloc. Built with -fno-exceptions, it is a
 * line on stderr and abort(); lethe::try_run() returns it. Nothing in here is safe in a
 * signal handler. Header only, and of this namespace alone.
 */
#ifndef LETHE_HPP
#define LETHE_HPP

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include <lethe.h>

#include "lethe_buffer.hpp"
#include "lethe_error.hpp"
#include "lethe_heap.hpp"

namespace lethe
{

/**
 * lethe::options - how a section is run: struct lethe_options, to be built in one line
 *
 *	lethe::run(lethe::options().require(LETHE_LEVEL_UNMAPPED).flags(LETHE_FAST), f);
 */
class options
{
      public:
	options() noexcept = default;
	/* On purpose not explicit: what takes these takes that, too. */
	options(const lethe_options &c) noexcept : c_(c)
	{
	}

	options &require(lethe_level level) noexcept
	{
		c_.require = level;
		return *this;
	}

	/* LETHE_FAST and so on, besides those that are set. */
	options &flags(unsigned int flags) noexcept
	{
		c_.flags |= flags;
		return *this;
	}

	options &stack_size(std::size_t bytes) noexcept
	{
		c_.stack_size = bytes;
		return *this;
	}

	/* Where each section run with these says what was done; it lives as long. */
	options &report(lethe_report &report) noexcept
	{
		report = lethe_report{};
		report.size = sizeof(report);
		report_ = &report;
		return *this;
	}

	const lethe_options *c() const noexcept
	{
		return &c_;
	}

	lethe_report *c_report() const noexcept
	{
		return report_;
	}

      private:
	lethe_options c_ = { sizeof(lethe_options), LETHE_LEVEL_NONE, 0, 0 };
	lethe_report *report_ = nullptr;
};

namespace detail
{

template <class T>
inline constexpr bool is_options = std::is_base_of_v<options, std::decay_t<T>> ||
				   std::is_same_v<lethe_options, std::decay_t<T>>;

template <class T> struct is_initializer_list : std::false_type {
};
template <class T> struct is_initializer_list<std::initializer_list<T>> : std::true_type {
};

/* On the caller's stack it is pointers alone: what they point to is the caller's. */
template <class Body> int section(const options &how, Body &body)
{
	return lethe_do_with(
		how.c(), [](void *call) { (*static_cast<Body *>(call))(); },
		std::addressof(body), how.c_report());
}

/*
 * Returned through memory that the caller provides, and needing no destructor: such a
 * result is made in the caller's own object, and nowhere else outside of the section.
 */
template <class R>
inline constexpr bool in_place =
	sizeof(R) > 2 * sizeof(void *) && std::is_trivially_default_constructible_v<R>
						  &&std::is_trivially_destructible_v<R>;

/* For any other: wiped when it has been moved from. */
template <class R> struct slot {
	alignas(R) unsigned char bytes[sizeof(R)];
	R *result = nullptr;

	slot() noexcept
	{
	}
	slot(const slot &) = delete;
	slot &operator=(const slot &) = delete;
	~slot()
	{
		if (result)
			result->~R();
		lethe_wipe(bytes, sizeof(bytes));
	}
};

template <class R, class Call> R run_in_place(const options &how, Call &call)
{
	R result;
	auto body = [&] {
		::new (static_cast<void *>(std::addressof(result))) R(call());
	};

	check(section(how, body), "lethe::run");
	return result;
}

template <class R, class Call> R run_moved(const options &how, Call &call)
{
	slot<R> slot;
	auto body = [&] {
		slot.result = ::new (static_cast<void *>(slot.bytes)) R(call());
	};

	check(section(how, body), "lethe::run");
	return std::move(*slot.result);
}

template <class R, class Call> R run_referring(const options &how, Call &call)
{
	std::remove_reference_t<R> *result = nullptr;
	auto body = [&] {
		R referred = call();

		result = std::addressof(referred);
	};

	check(section(how, body), "lethe::run");
	return static_cast<R>(*result);
}

} // namespace detail

/**
 * lethe::run() - run what can be called in a secret section, and have its result
 * @how: lethe::options, or struct lethe_options; may be left out
 * @f: anything that std::invoke() takes. It is not copied
 * @args: handed to it, as they are
 *
 * What it returns is given away: it lies where the caller has it, most often in ordinary
 * memory, and is the caller's to wipe. So return what is public (a signature), or what
 * has its bytes on the secret heap: lethe::string, lethe::buffer, a container with
 * lethe::allocator. No other copy of it is left in memory; moving it may leave parts in
 * the caller's registers. A pointer or a reference to something of the section's own
 * stack dangles, as ever. With LETHE_SCOPED_HEAP a result that has blocks has to be
 * named by lethe_keep() before it is returned.
 *
 * Likewise what @f has captured is in the caller's frame, and what an exception carries
 * goes where the exception goes: see lethe.hpp(3). The section is erased as that passes.
 *
 * Throws: what @f does; std::system_error with what lethe_do_with() returns, and @f was
 * not run.
 */
template <class F, class... Args>
std::invoke_result_t<F, Args...> run(const options &how, F &&f, Args &&...args)
{
	using R = std::invoke_result_t<F, Args...>;
	using Value = std::remove_cv_t<R>;
	auto call = [&]() -> R {
		return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
	};

	static_assert(!detail::is_initializer_list<Value>::value,
		      "lethe: an initializer_list refers to the section's stack");
	if constexpr (std::is_void_v<R>) {
		detail::check(detail::section(how, call), "lethe::run");
	} else if constexpr (std::is_reference_v<R>) {
		return detail::run_referring<R>(how, call);
	} else {
		static_assert(std::is_move_constructible_v<Value>,
			      "lethe: a section's result must be movable");
		if constexpr (detail::in_place<Value>)
			return detail::run_in_place<Value>(how, call);
		else
			return detail::run_moved<Value>(how, call);
	}
}

template <class F, class... Args, std::enable_if_t<!detail::is_options<F>, int> = 0>
std::invoke_result_t<F, Args...> run(F &&f, Args &&...args)
{
	return lethe::run(options(), std::forward<F>(f), std::forward<Args>(args)...);
}

/**
 * lethe::try_run() - lethe::run() of what returns nothing, with its error returned
 *
 * Return: no error; or what lethe_do_with() returns, and @f was not run. Throws what @f
 * does, and nothing where that is noexcept.
 */
template <class F, class... Args>
[[nodiscard]] std::error_code
try_run(const options &how, F &&f,
	Args &&...args) noexcept(std::is_nothrow_invocable_v<F, Args...>)
{
	static_assert(std::is_void_v<std::invoke_result_t<F, Args...>>,
		      "lethe: try_run() is for what returns nothing");
	auto call = [&] { std::invoke(std::forward<F>(f), std::forward<Args>(args)...); };

	return std::error_code(-detail::section(how, call), std::generic_category());
}

template <class F, class... Args, std::enable_if_t<!detail::is_options<F>, int> = 0>
[[nodiscard]] std::error_code
try_run(F &&f, Args &&...args) noexcept(std::is_nothrow_invocable_v<F, Args...>)
{
	return lethe::try_run(options(), std::forward<F>(f), std::forward<Args>(args)...);
}

/**
 * lethe::paused - lethe_pause() until the end of the scope
 */
class paused
{
      public:
	[[nodiscard]] paused() noexcept
	{
		lethe_pause();
	}
	~paused()
	{
		lethe_resume();
	}
	paused(const paused &) = delete;
	paused &operator=(const paused &) = delete;
};

} // namespace lethe

#endif /* LETHE_HPP */
