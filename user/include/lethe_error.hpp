// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How lethe.hpp says that something failed; of no use by itself.
 */
#ifndef LETHE_ERROR_HPP
#define LETHE_ERROR_HPP

#if __cplusplus < 201703L
#error "lethe.hpp is C++17: build with -std=c++17 or later"
#endif

#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace lethe
{

namespace detail
{

#if defined(__cpp_exceptions)
template <class E> [[noreturn]] void raise(const E &error)
{
	throw error;
}
#else
template <class E> [[noreturn]] void raise(const E &error)
{
	std::fprintf(stderr, "lethe: %s\n", error.what());
	std::abort();
}
#endif

/* Of a return value as liblethe has them. */
inline void check(int err, const char *what)
{
	if (err < 0)
		raise(std::system_error(-err, std::generic_category(), what));
}

} // namespace detail

} // namespace lethe

#endif /* LETHE_ERROR_HPP */
