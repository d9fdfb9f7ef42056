// SPDX-License-Identifier: MIT
/*
 * What residue.py searches: a secret that comes on descriptor 3, and that one thing of
 * C++ is then done with, in one of three ways. It says where it has come to, and waits.
 *
 *	residue THING WAY LENGTH
 *
 * Ways: std, as without lethe.hpp; lethe, with it; section, in a section that is given
 * what is std's. Until the thing is done the secret is nowhere but in a guarded buffer.
 */
#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <lethe.hpp>

namespace
{

/* Not by stdio, which would have a buffer of its own. */
void stop(std::string_view where)
{
	char go;

	if (write(1, where.data(), where.size()) != static_cast<ssize_t>(where.size()) ||
	    read(0, &go, 1) != 1)
		_exit(3);
}

lethe::buffer<char> *secret;

/* Held open by whoever asks. */
template <class Call> void with_secret(Call call)
{
	auto access = secret->read();

	call(std::string_view(access.data(), access.size()));
}

template <class String> void string()
{
	{
		String kept;

		lethe::run([&] {
			with_secret([&](std::string_view text) { kept.assign(text); });
		});
		stop("kept\n");
	}
	stop("over\n");
}

template <class Allocator> void vector()
{
	{
		std::vector<unsigned char, Allocator> kept;

		lethe::run([&] {
			with_secret([&](std::string_view text) {
				for (char c : text)
					kept.push_back(static_cast<unsigned char>(c));
			});
		});
		stop("kept\n");
	}
	stop("over\n");
}

struct plain {
	unsigned char bytes[32];
};

/* Has an end of its own, if one that does nothing, and so is moved out of a section. */
struct moving {
	unsigned char bytes[32];
	moving() = default;
	moving(moving &&) = default;
	~moving()
	{
	}
};

/* As code does that has a variable of its own for it. */
template <class R> __attribute__((noinline)) R result()
{
	volatile unsigned char own[32];
	R result;

	with_secret([&](std::string_view text) {
		for (size_t i = 0; i < sizeof(own); i++)
			own[i] = static_cast<unsigned char>(text[i]);
	});
	for (size_t i = 0; i < sizeof(own); i++)
		result.bytes[i] = own[i];
	return result;
}

/* What its caller has is wiped: what is found are copies that it knows nothing of. */
template <class R> void returned(bool lethe)
{
	R got = lethe ? lethe::run(result<R>) : result<R>();

	lethe_wipe(got.bytes, sizeof(got.bytes));
	stop("over\n");
}

void thrower()
{
	with_secret([](std::string_view text) {
		throw std::runtime_error(std::string(text));
	});
}

void exception(bool section)
{
	try {
		if (section)
			lethe::run(thrower);
		else
			thrower();
	} catch (const std::runtime_error &) {
		stop("kept\n");
	}
	stop("over\n");
}

} // namespace

int main(int argc, char **argv)
{
	std::string_view thing = argc == 4 ? argv[1] : "", way = argc == 4 ? argv[2] : "";
	bool lethe = way != "std";

	if (argc != 4)
		return 2;
	lethe::buffer<char> buffer(std::strtoul(argv[3], nullptr, 10));
	buffer.fill_from(3);
	secret = &buffer;

	if (thing == "string" && lethe)
		string<lethe::string>();
	else if (thing == "string")
		string<std::string>();
	else if (thing == "vector" && lethe)
		vector<lethe::allocator<unsigned char>>();
	else if (thing == "vector")
		vector<std::allocator<unsigned char>>();
	else if (thing == "returned")
		returned<plain>(lethe);
	else if (thing == "moved")
		returned<moving>(lethe);
	else if (thing == "exception")
		exception(lethe);
	else
		return 2;
	return 0;
}
