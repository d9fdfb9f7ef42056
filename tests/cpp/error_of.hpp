// SPDX-License-Identifier: MIT
/*
 * What is thrown as std::system_error, as a number. Nothing else is caught.
 */
#ifndef LETHE_TESTS_ERROR_OF_HPP
#define LETHE_TESTS_ERROR_OF_HPP

#include <system_error>

/* The errno of what a call throws; 0 for nothing; -1 if it is of another category. */
template <class Call> int error_of(Call call)
{
	try {
		call();
	} catch (const std::system_error &error) {
		return error.code().category() == std::generic_category() ?
			       error.code().value() :
			       -1;
	}
	return 0;
}

#endif /* LETHE_TESTS_ERROR_OF_HPP */
