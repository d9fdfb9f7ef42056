// SPDX-License-Identifier: MIT
/*
 * lethe.hpp in a program without exceptions and RTTI: what would be thrown is a line on
 * stderr and abort(), and lethe::try_run() returns it.
 */
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

#include <lethe.hpp>

#include "tap.h"

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "built with what this is to be without"
#endif

namespace
{

/* Does it abort, in a child, and say that? */
template <class Call> bool aborts(Call call, const char *words)
{
	char said[256] = "";
	int ends[2], status = 0;

	if (pipe(ends))
		tap_bail("no pipe");
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		dup2(ends[1], 2);
		call();
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], said, sizeof(said) - 1) < 0)
		said[0] = '\0';
	close(ends[0]);
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	       std::strstr(said, words);
}

} // namespace

int main()
{
	const lethe::options wrong = lethe::options().flags(1U << 30);
	bool called = false;

	tap_plan(5);
	tap_ok(lethe::run([] { return lethe_enabled(); }), "a section is run");
	tap_ok(aborts([&] { lethe::run(wrong, [] {}); }, "lethe::run: Invalid argument"),
	       "one that cannot be says why, and aborts");
	tap_ok(lethe::try_run(wrong, [&] { called = true; }).value() == EINVAL && !called,
	       "try_run() returns that, and nothing is called");
	tap_ok(aborts([] { lethe::buffer<int> b(1, 1U << 20); }, "lethe::buffer"),
	       "a buffer that cannot be made aborts");
	tap_ok(aborts([] { lethe::string("x").reserve(lethe::string().max_size() - 64); },
		      "bad_alloc"),
	       "and a string that has no memory");
	return tap_end();
}
