// SPDX-License-Identifier: MIT
/*
 * lethe::allocator and lethe::string: what containers and strings have lies on the secret
 * heap, short strings too, and is wiped when it is given up. A string does what std::string
 * does, which it is held to step by step. On whichever backend is in use.
 */
#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <scoped_allocator>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <lethe.hpp>

#include "tap.h"

namespace
{

template <class T> using secret_vector = std::vector<T, lethe::allocator<T>>;

using traits = std::allocator_traits<lethe::allocator<int>>;
static_assert(traits::is_always_equal::value && std::is_empty_v<lethe::allocator<int>>);
static_assert(traits::propagate_on_container_move_assignment::value);
static_assert(std::is_same_v<traits::rebind_alloc<long>, lethe::allocator<long>>);
static_assert(std::is_nothrow_move_assignable_v<secret_vector<int>>);

/* No byte of it has room for a character. */
static_assert(sizeof(lethe::string) == 3 * sizeof(void *));
static_assert(std::is_nothrow_move_constructible_v<lethe::string> &&
	      std::is_nothrow_move_assignable_v<lethe::string> &&
	      std::is_nothrow_default_constructible_v<lethe::string>);
/* What would happen by accident does not compile. */
static_assert(!std::is_convertible_v<const char *, lethe::string> &&
	      !std::is_convertible_v<std::string, lethe::string> &&
	      !std::is_convertible_v<lethe::string, std::string_view> &&
	      !std::is_convertible_v<lethe::string, const char *> &&
	      !std::is_constructible_v<lethe::string, std::nullptr_t> &&
	      !std::is_default_constructible_v<std::hash<lethe::string>>);
template <class T, class = void> struct prints : std::false_type {
};
template <class T>
struct prints<T, std::void_t<decltype(std::declval<std::ostream &>()
				      << std::declval<const T &>())>> : std::true_type {
};
template <class T, class = void> struct is_ordered : std::false_type {
};
template <class T>
struct is_ordered<
	T, std::void_t<decltype(std::declval<const T &>() < std::declval<const T &>())>>
    : std::true_type {
};
static_assert(prints<std::string>::value && !prints<lethe::string>::value);
static_assert(is_ordered<std::string>::value && !is_ordered<lethe::string>::value);

bool is_secret(const void *address)
{
	return lethe_level_of(address) > LETHE_LEVEL_NONE;
}

template <class Container> bool all_secret(const Container &container)
{
	return std::all_of(container.begin(), container.end(),
			   [](const auto &element) { return is_secret(&element); });
}

bool is_zero(const void *start, size_t length)
{
	auto *bytes = static_cast<const volatile unsigned char *>(start);

	return std::all_of(bytes, bytes + length, [](auto byte) { return byte == 0; });
}

template <class E, class Call> bool throws(Call call)
{
	try {
		call();
	} catch (const E &) {
		return true;
	}
	return false;
}

void test_containers()
{
	secret_vector<unsigned char> vector(100, 1);
	std::list<int, lethe::allocator<int>> list{ 1, 2, 3 };
	std::deque<int, lethe::allocator<int>> deque(1000, 7);
	std::set<int, std::less<>, lethe::allocator<int>> set{ 3, 1, 2 };
	std::map<int, int, std::less<>, lethe::allocator<std::pair<const int, int>>> map;
	std::unordered_map<int, int, std::hash<int>, std::equal_to<>,
			   lethe::allocator<std::pair<const int, int>>>
		hashed;

	for (int i = 0; i < 1000; i++)
		map[i] = hashed[i] = i;
	tap_ok(all_secret(vector) && all_secret(list) && all_secret(deque) &&
		       all_secret(set) && all_secret(map) && all_secret(hashed),
	       "what vector, list, deque, set, map and unordered_map have is secret");

	auto copy = map;
	auto taken = std::move(hashed);
	map.clear();
	tap_ok(copy.size() == 1000 && taken.at(999) == 999 && all_secret(copy),
	       "copied and moved, too");

	auto shared = std::allocate_shared<int>(lethe::allocator<int>(), 5);
	tap_ok(*shared == 5 && is_secret(shared.get()), "allocate_shared() is");

	using inner = secret_vector<int>;
	std::vector<inner, std::scoped_allocator_adaptor<lethe::allocator<inner>>> nested(
		3);
	nested[2].assign(5, 1);
	tap_ok(is_secret(&nested[2]) && is_secret(&nested[2][0]),
	       "a container of containers is");
	tap_ok(vector.get_allocator() == lethe::allocator<int>() &&
		       !(vector.get_allocator() != lethe::allocator<int>()),
	       "any two allocators are equal");
}

struct alignas(64) line {
	unsigned char bytes[64];
};
struct alignas(16384) pages {
	unsigned char bytes[16384];
};

template <class T> bool is_aligned(const T *object)
{
	return reinterpret_cast<uintptr_t>(object) % alignof(T) == 0;
}

void test_allocate()
{
	lethe::allocator<int> ints;
	secret_vector<line> lines(5);
	std::vector<secret_vector<pages>> many;
	std::vector<secret_vector<unsigned char>> between;
	bool aligned = true;
	/* Keeps the page that the others are on. */
	secret_vector<unsigned char> neighbour(64, 1);
	const unsigned char *first, *second;

	/* What is small is so by its size alone, and what is large most of the time. */
	for (int i = 0; i < 40; i++) {
		between.emplace_back(8240);
		many.emplace_back(1);
		aligned = aligned && is_aligned(&many.back()[0]);
	}
	tap_ok(aligned && is_aligned(&lines[0]) && is_secret(&many[0][0]),
	       "what needs to be aligned to 64 bytes, or to four pages, is");
	tap_ok(throws<std::bad_array_new_length>([&] {
		       (void)ints.allocate(SIZE_MAX / 2);
	       }) && throws<std::bad_alloc>([&] {
		       (void)ints.allocate(ints.max_size());
	       }) && throws<std::length_error>([] { secret_vector<int>(SIZE_MAX / 4); }),
	       "too much is bad_array_new_length, bad_alloc, and a vector's length_error");
	int *none = ints.allocate(0);
	tap_ok(none, "nothing at all can be had");
	ints.deallocate(none, 0);

	{
		secret_vector<unsigned char> vector(64, 0xa5);

		first = vector.data();
		vector.resize(4000, 0xa5);
		second = vector.data();
		tap_ok(first != second && is_zero(first, 64) && second[3999] == 0xa5,
		       "what a vector has grown out of is wiped");
	}
	tap_ok(is_zero(first, 64) && neighbour[0] == 1, "and what it had at its end");
}

/* As std::string has it, on secret memory alone, and zero where there is no character. */
bool is_like(const lethe::string &ours, const std::string &theirs)
{
	auto *object = reinterpret_cast<const char *>(&ours);

	return ours == std::string_view(theirs) && ours.size() == theirs.size() &&
	       ours.empty() == theirs.empty() && !ours.c_str()[ours.size()] &&
	       std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end()) &&
	       ours.capacity() >= ours.size() &&
	       (!ours.capacity() ||
		(is_secret(ours.data()) && is_zero(ours.data() + ours.size(),
						   ours.capacity() + 1 - ours.size()))) &&
	       (ours.data() + ours.size() < object ||
		ours.data() >= object + sizeof(ours));
}

/* One thing done to both. */
void step(std::mt19937 &random, lethe::string &ours, std::string &theirs)
{
	auto below = [&](size_t n) {
		return std::uniform_int_distribution<size_t>(0, n)(random);
	};
	size_t n = below(40), at = below(theirs.size()), more = below(theirs.size());
	char c = static_cast<char>('a' + below(25));
	std::string text(n, c);

	switch (below(15)) {
	case 0:
		ours.append(text);
		theirs.append(text);
		break;
	case 1:
		ours += text;
		theirs += text;
		break;
	case 2:
		ours.push_back(c);
		theirs.push_back(c);
		break;
	case 3:
		ours.assign(text);
		theirs.assign(text);
		break;
	case 4:
		ours.erase(at, n);
		theirs.erase(at, n);
		break;
	case 5:
		ours.resize(n, c);
		theirs.resize(n, c);
		break;
	case 6:
		if (!theirs.empty()) {
			ours.pop_back();
			theirs.pop_back();
		}
		break;
	case 7:
		ours += ours;
		theirs += theirs;
		ours.resize(std::min<size_t>(ours.size(), 3000));
		theirs.resize(std::min<size_t>(theirs.size(), 3000));
		break;
	case 8:
		ours.append(ours.view().substr(at, more));
		theirs.append(theirs.substr(at, more));
		break;
	case 9:
		ours.assign(ours.view().substr(at, more));
		theirs.assign(theirs.substr(at, more));
		break;
	case 10:
		ours.reserve(n * 4);
		break;
	case 11:
		ours = ours.substr(at, more);
		theirs = theirs.substr(at, more);
		break;
	case 12:
		ours = lethe::string(text) + ours + text;
		theirs = text + theirs + text;
		break;
	case 13:
		if (n < 5) {
			ours.clear();
			theirs.clear();
		}
		break;
	case 14:
		ours.append(n, c).append(text.data(), n / 2);
		theirs.append(n, c).append(text.data(), n / 2);
		break;
	default: {
		lethe::string other(ours);

		ours = std::move(other);
		if (!ours.empty())
			ours[at % ours.size()] = c;
		if (!theirs.empty())
			theirs[at % theirs.size()] = c;
	}
	}
}

void test_like_std()
{
	unsigned int steps = 0, wrong = 0;

	for (unsigned int seed = 1; seed <= 20; seed++) {
		std::mt19937 random(seed);
		lethe::string ours;
		std::string theirs;

		for (int i = 0; i < 1000; i++, steps++) {
			step(random, ours, theirs);
			wrong += !is_like(ours, theirs);
		}
	}
	tap_ok(!wrong,
	       "it does what std::string does, on secret pages: %u steps of %u differ",
	       wrong, steps);
}

void test_short()
{
	auto is_inside = [](const auto &s) {
		auto *object = reinterpret_cast<const char *>(&s);

		return s.data() >= object && s.data() < object + sizeof(s);
	};
	unsigned int inside = 0, ordinary = 0, std_inside = 0;

	for (size_t n = 1; n <= 64; n++) {
		lethe::string ours(n, 'x');

		inside += is_inside(ours);
		std_inside += is_inside(std::string(n, 'x'));
		ordinary += !is_secret(ours.data());
	}
	tap_ok(!inside && !ordinary && std_inside > 0,
	       "short ones are not in the object (%u; std::string's %u) and are secret",
	       inside, std_inside);
}

void test_wiped()
{
	lethe::string neighbour(64, 'n'), s("correct horse battery staple");
	const char *was = s.data();
	size_t n = s.size();

	s.pop_back();
	s.erase(5, 6);
	tap_ok(s == "correse battery stapl",
	       "erase() and pop_back() take off what they should");
	tap_ok(is_zero(was + s.size(), n - s.size()), "and wipe it");
	s.clear();
	tap_ok(s.empty() && s.data() == was && is_zero(was, n),
	       "clear() wipes, and keeps the room");
	s = "correct horse battery staple";
	s.reserve(5000);
	tap_ok(s.data() != was && is_zero(was, n), "what it grows out of is wiped");
	was = s.data();
	{
		lethe::string taken(std::move(s));

		tap_ok(taken.data() == was && s.empty() && s.c_str()[0] == '\0',
		       "a move takes it, and leaves none");
	}
	{
		lethe::string ends("correct horse battery staple");

		was = ends.data();
	}
	tap_ok(is_zero(was, n) && neighbour[0] == 'n', "and its end wipes it");
}

void test_compared()
{
	lethe::string a("secret"), b("secret"), c("Secret"), d("secre");
	const char zeros[] = { 'a', '\0', 'b' };
	lethe::string z(zeros, 3);

	tap_ok(a == b && !(a != b) && a != c && a != d && a == "secret" &&
		       "secret" == a && a != "Secret" && a == std::string("secret") &&
		       lethe::string() == lethe::string(""),
	       "equal is what has the same characters, of whichever kind");
	tap_ok(z.size() == 3 && z == std::string_view(zeros, 3) && z != "a",
	       "with zeros among them too");
	swap(a, c);
	a = static_cast<const lethe::string &>(a);
	tap_ok(a == "Secret" && c == "secret" &&
		       static_cast<std::string_view>(c) == "secret",
	       "swapped, assigned to itself, and seen as a string_view");
	tap_ok(throws<std::out_of_range>([&] { a.erase(7); }) &&
		       throws<std::out_of_range>([&] { (void)a.substr(7); }) &&
		       throws<std::length_error>([&] { a.append(SIZE_MAX - 2, 'x'); }) &&
		       throws<std::bad_alloc>([&] { a.reserve(a.max_size() - 64); }) &&
		       a == "Secret",
	       "past its end is out_of_range, too long length_error or bad_alloc, and it is "
	       "as it was");
}

} // namespace

int main()
{
	tap_plan(22);
	test_containers();
	test_allocate();
	test_like_std();
	test_short();
	test_wiped();
	test_compared();
	return tap_end();
}
