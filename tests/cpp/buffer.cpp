// SPDX-License-Identifier: MIT
/*
 * lethe::buffer: closed but while somebody has access, and gone at its end. A touch at the
 * wrong time is one that is caught here. On whichever backend is in use.
 */
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <lethe.hpp>

#if __has_include(<span>)
#include <span>
#endif

#include "error_of.hpp"
#include "tap.h"

namespace
{

static_assert(!std::is_copy_constructible_v<lethe::buffer<char>> &&
	      !std::is_copy_assignable_v<lethe::buffer<char>> &&
	      std::is_nothrow_move_constructible_v<lethe::buffer<char>> &&
	      std::is_nothrow_move_assignable_v<lethe::buffer<char>> &&
	      !std::is_copy_constructible_v<lethe::access<char>> &&
	      std::is_nothrow_move_constructible_v<lethe::access<char>>);

sigjmp_buf faulted;

void on_fault(int)
{
	siglongjmp(faulted, 1);
}

/* Does it kill, to read, or to write there? */
bool kills(volatile unsigned char *address, bool write)
{
	struct sigaction action = {}, old;
	volatile bool killed = true;

	action.sa_handler = on_fault;
	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(faulted, 1)) {
		unsigned char byte = *address;

		if (write)
			*address = byte;
		killed = false;
	}
	sigaction(SIGSEGV, &old, nullptr);
	return killed;
}

unsigned char *bytes_of(const lethe::buffer<unsigned char> &buffer)
{
	return static_cast<unsigned char *>(lethe_buffer_data(buffer.get()));
}

struct pair {
	uint64_t a;
	uint32_t b;
	uint32_t c;
};

void test_access()
{
	lethe::buffer<unsigned char> buffer(32);
	unsigned char *bytes = bytes_of(buffer);

	tap_ok(buffer.size() == 32 && buffer.size_bytes() == 32 && kills(bytes, false),
	       "a new one is closed");
	{
		auto access = buffer.write();

		tap_ok(access.data() == bytes && access.size() == 32 &&
			       std::accumulate(access.begin(), access.end(), 0) == 0 &&
			       !kills(bytes, true) && kills(bytes + 32, false),
		       "it is zero, can be written, and ends where it ends");
		std::iota(access.begin(), access.end(), static_cast<unsigned char>(1));
		tap_ok(error_of([&] { (void)buffer.read(); }) == EBUSY &&
			       error_of([&] { (void)buffer.write(); }) == EBUSY &&
			       error_of([&] { buffer.seal(); }) == EBUSY,
		       "while one writes nobody else has it: EBUSY");
	}
	tap_ok(kills(bytes, false), "the end of the scope closes it");

	auto reader = buffer.read();
	{
		const auto &constant = buffer;
		auto another = constant.read();

		static_assert(
			std::is_same_v<decltype(another.data()), const unsigned char *>);
		tap_ok(another[0] == 1 && another[31] == 32 && kills(bytes, true),
		       "many may read, and none of them write");
	}
	auto moved = std::move(reader);
	tap_ok(!kills(bytes, false) && moved[1] == 2 && reader.size() == 0,
	       "what one of them has goes on, moved too");
	moved.close();
	moved.close();
	tap_ok(kills(bytes, false), "closed before the end of the scope is closed once");

	unsigned int sum = 0;
	for (auto byte : buffer.read())
		sum += byte;
	tap_ok(sum == 32 * 33 / 2 && kills(bytes, false),
	       "a loop over one has it until its end");
	try {
		auto access = buffer.read();

		throw access[0];
	} catch (unsigned char) {
	}
	tap_ok(kills(bytes, false), "an exception closes it");
}

void test_elements()
{
	lethe::buffer<pair> pairs(3);
	lethe::buffer<uint64_t> number(1);
	lethe::buffer<unsigned char> none(0);
	{
		auto access = pairs.write();

		access[2] = { 1, 2, 3 };
		access->c = 4;
	}
	{
		auto access = number.write();

		*access = 5;
	}
	auto access = pairs.read();
	auto five = number.read();
	tap_ok(access[2].b == 2 && (*access).c == 4 && access.size_bytes() == 48 &&
		       reinterpret_cast<uintptr_t>(access.data()) % alignof(pair) == 0 &&
		       *five == 5,
	       "elements are of any plain type, one or many, and aligned");
	tap_ok(none.size() == 0 && none.read().size() == 0, "or none at all");
#if defined(__cpp_lib_span)
	std::span<const pair> span(access);
	tap_ok(span.size() == 3 && span.data() == access.data(),
	       "in C++20 it is a std::span");
#else
	tap_ok(access.end() - access.begin() == 3, "in C++17 it has two ends");
#endif
}

void test_fill()
{
	lethe::buffer<unsigned char> a(32), b(32), c(16);
	unsigned char plain[32], zeros[32] = {};
	int ends[2];

	tap_ok(a == b && !(a == c) && a != c && a == a,
	       "two are equal if all of them is");
	a.fill_random();
	tap_ok(a != b && kills(bytes_of(a), false),
	       "filled at random it is not zero, and closed");

	memset(plain, 7, sizeof(plain));
	b.fill_from(plain);
	{
		auto access = b.read();

		tap_ok(access[0] == 7 && access[31] == 7 && !memcmp(plain, zeros, 32),
		       "filled from memory it has that, which is wiped");
	}
	memset(plain, 9, sizeof(plain));
	if (pipe(ends) || write(ends[1], plain, 32) != 32)
		tap_bail("no pipe");
	a.fill_from(ends[0]);
	auto access = a.read();
	tap_ok(access[0] == 9 && access[31] == 9, "from a descriptor, what that has");
	access.close();
	if (write(ends[1], plain, 31) != 31)
		tap_bail("no pipe");
	close(ends[1]);
	tap_ok(error_of([&] { a.fill_from(ends[0]); }) == ENODATA,
	       "or ENODATA if that has less");
	close(ends[0]);
}

void test_seal()
{
	lethe::buffer<unsigned char> a(32), b(32);

	{
		auto one = a.write(), two = b.write();

		memset(one.data(), 3, 32);
		memset(two.data(), 3, 32);
	}
	a.seal();
	tap_ok(!lethe_buffer_data(a.get()), "sealed, it has no page");
	a.unseal();
	tap_ok(lethe_buffer_data(a.get()) && kills(bytes_of(a), false),
	       "unsealed, it is closed");
	a.seal();
	tap_ok(a == b && lethe_buffer_data(a.get()), "to open it unseals it");
}

void test_moved()
{
	lethe::buffer<unsigned char> a(16), b(32);
	std::vector<lethe::buffer<unsigned char>> many;

	a.fill_random();
	lethe_buffer *was = a.get();
	{
		auto access = a.read();

		b = std::move(a);
		tap_ok(b.get() == was && b.size() == 16 && !kills(bytes_of(b), false) &&
			       access.size() == 16,
		       "it can be moved while it is open");
	}
	tap_ok(!a.get() && a.size() == 0 && error_of([&] { (void)a.read(); }) == EINVAL &&
		       error_of([&] { a.seal(); }) == EINVAL,
	       "of one that was moved from there is nothing: EINVAL");
	for (int i = 0; i < 10; i++)
		many.emplace_back(32);
	swap(many[0], b);
	tap_ok(many[0].get() == was && many[9].size() == 32, "a vector holds them");
}

void test_errors()
{
	tap_ok(error_of([] { lethe::buffer<unsigned char> wrong(1, 1U << 20); }) ==
			       EINVAL &&
		       error_of([] { lethe::buffer<pair> large(SIZE_MAX / 4); }) ==
			       ENOMEM,
	       "an unknown flag is EINVAL, more than there can be ENOMEM");
	lethe::buffer<unsigned char> quick(1, LETHE_BUFFER_QUICK);
	tap_ok(quick.size() == 1, "a known one is none");

	unsigned char *freed;
	{
		lethe::buffer<unsigned char> buffer(32);

		freed = bytes_of(buffer);
	}
	tap_ok(kills(freed, false), "its end frees it");

	/* A child has none of its parent's, but what it makes itself. */
	fflush(stdout);
	pid_t pid = fork();
	int status = 0;
	if (!pid) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		auto *buffer = new lethe::buffer<unsigned char>(32);
		auto *access = new auto(buffer->read());

		(void)access;
		delete buffer;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	       "to end one that is open aborts");
}

} // namespace

int main()
{
	tap_plan(27);
	test_access();
	test_elements();
	test_fill();
	test_seal();
	test_moved();
	test_errors();
	return tap_end();
}
