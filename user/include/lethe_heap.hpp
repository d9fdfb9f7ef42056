// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe::allocator and lethe::string: containers and characters on the secret heap. A part
 * of lethe.hpp.
 */
#ifndef LETHE_HEAP_HPP
#define LETHE_HEAP_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <version>

#if defined(__cpp_lib_format_ranges)
#include <format>
#endif

#include <lethe.h>

#include "lethe_error.hpp"

namespace lethe
{

namespace detail
{

template <class T> struct is_character : std::false_type {
};
template <> struct is_character<char> : std::true_type {
};
template <> struct is_character<wchar_t> : std::true_type {
};
template <> struct is_character<char16_t> : std::true_type {
};
template <> struct is_character<char32_t> : std::true_type {
};
#if defined(__cpp_char8_t)
template <> struct is_character<char8_t> : std::true_type {
};
#endif

} // namespace detail

/**
 * lethe::allocator - the secret heap, for the standard's containers
 *
 * What a container allocates is on the secret heap, in and out of sections, and wiped
 * when it is freed: so of a vector everything, once it has grown out of a block, or is
 * gone; clear() frees nothing, and wipes nothing. What a container has in itself (an
 * array, an optional, the value of a pair) lies where the container does.
 *
 * Not for characters: std::basic_string keeps short ones in itself. lethe::string does
 * not; bytes are unsigned char or std::byte. Nor is there a std::pmr::memory_resource,
 * which std::pmr::string would take.
 */
template <class T> class allocator
{
	static_assert(
		!detail::is_character<std::remove_cv_t<T>>::value,
		"lethe: std::basic_string keeps short strings in itself, on whichever "
		"memory that is: use lethe::string, and unsigned char for bytes");
	static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
		      "lethe: an allocator is of an unqualified type");

      public:
	using value_type = T;
	using size_type = std::size_t;
	using difference_type = std::ptrdiff_t;
	using propagate_on_container_move_assignment = std::true_type;
	using is_always_equal = std::true_type;

	constexpr allocator() noexcept = default;
	template <class U> constexpr allocator(const allocator<U> &) noexcept
	{
	}

	/* Throws std::bad_array_new_length, std::bad_alloc. */
	[[nodiscard]] T *allocate(size_type n)
	{
		void *block;

		if (n > max_size())
			detail::raise(std::bad_array_new_length());
		if constexpr (alignof(T) > 16)
			block = lethe_aligned_alloc(alignof(T), n * sizeof(T));
		else
			block = lethe_malloc(n * sizeof(T));
		if (!block)
			detail::raise(std::bad_alloc());
		return static_cast<T *>(block);
	}

	void deallocate(T *block, size_type) noexcept
	{
		lethe_free(block);
	}

	constexpr size_type max_size() const noexcept
	{
		return PTRDIFF_MAX / sizeof(T);
	}
};

template <class T, class U>
constexpr bool operator==(const allocator<T> &, const allocator<U> &) noexcept
{
	return true;
}

template <class T, class U>
constexpr bool operator!=(const allocator<T> &, const allocator<U> &) noexcept
{
	return false;
}

/**
 * lethe::string - characters on the secret heap, short ones too
 *
 * As std::string, where it has the same functions; it has a zero at its end. What is taken
 * off (clear(), erase(), pop_back(), resize(), a shorter assign()) is wiped at once, what it
 * grows out of, or has when it ends, as it is freed. Two are compared in a time that tells
 * nothing but whether they are of the same length.
 *
 * It is made from other characters, and seen as std::string_view, where one says so
 * only: no stream prints it by accident, nothing hashes or sorts it. It has no order,
 * for telling which of two is less takes as long as they are alike.
 */
class string
{
      public:
	using value_type = char;
	using size_type = std::size_t;
	using difference_type = std::ptrdiff_t;
	using reference = char &;
	using const_reference = const char &;
	using iterator = char *;
	using const_iterator = const char *;
	static constexpr size_type npos = std::string_view::npos;

	string() noexcept = default;
	explicit string(std::string_view text)
	{
		append(text);
	}
	string(const char *text, size_type n)
	{
		append(text, n);
	}
	string(size_type n, char c)
	{
		append(n, c);
	}
	string(std::nullptr_t) = delete;
	string(const string &other) : string(other.view())
	{
	}
	string(string &&other) noexcept
	{
		swap(other);
	}
	~string()
	{
		lethe_free(block_);
	}

	string &operator=(const string &other)
	{
		return assign(other.view());
	}
	string &operator=(string &&other) noexcept
	{
		string(std::move(other)).swap(*this);
		return *this;
	}
	string &operator=(std::string_view text)
	{
		return assign(text);
	}
	string &operator=(std::nullptr_t) = delete;

	string &assign(std::string_view text)
	{
		/* It may be a part of what is here. */
		if (text.size() > capacity_) {
			string(text).swap(*this);
			return *this;
		}
		if (!text.empty())
			std::memmove(block_, text.data(), text.size());
		cut(text.size());
		return *this;
	}

	string &append(std::string_view text)
	{
		/* As above: so the old block goes last. */
		string old;

		if (text.empty())
			return *this;
		if (text.size() > capacity_ - size_)
			move_to_larger(text.size(), old);
		std::memcpy(block_ + size_, text.data(), text.size());
		size_ += text.size();
		block_[size_] = '\0';
		return *this;
	}
	string &append(const string &other)
	{
		return append(other.view());
	}
	string &append(const char *text, size_type n)
	{
		return append(std::string_view(text, n));
	}
	string &append(size_type n, char c)
	{
		resize(grown_by(n), c);
		return *this;
	}
	void push_back(char c)
	{
		append(&c, 1);
	}
	string &operator+=(std::string_view text)
	{
		return append(text);
	}
	string &operator+=(const string &other)
	{
		return append(other.view());
	}
	string &operator+=(char c)
	{
		push_back(c);
		return *this;
	}

	string &erase(size_type at = 0, size_type n = npos)
	{
		n = view().substr(must_be_in(at), n).size();
		if (n) {
			std::memmove(block_ + at, block_ + at + n, size_ - at - n);
			cut(size_ - n);
		}
		return *this;
	}
	void pop_back() noexcept
	{
		cut(size_ - !empty());
	}
	void clear() noexcept
	{
		cut(0);
	}
	void resize(size_type n, char c = '\0')
	{
		if (n <= size_) {
			cut(n);
			return;
		}
		reserve(n);
		std::memset(block_ + size_, c, n - size_);
		size_ = n;
		block_[n] = '\0';
	}
	void reserve(size_type n)
	{
		string old;

		if (n > capacity_)
			move_to_larger(n - size_, old);
	}
	void swap(string &other) noexcept
	{
		std::swap(block_, other.block_);
		std::swap(size_, other.size_);
		std::swap(capacity_, other.capacity_);
	}
	friend void swap(string &a, string &b) noexcept
	{
		a.swap(b);
	}

	/* Ends with a zero, which of an empty one is in memory that cannot be written. */
	const char *c_str() const noexcept
	{
		return block_ ? block_ : "";
	}
	const char *data() const noexcept
	{
		return c_str();
	}
	char *data() noexcept
	{
		return const_cast<char *>(c_str());
	}
	size_type size() const noexcept
	{
		return size_;
	}
	size_type length() const noexcept
	{
		return size_;
	}
	size_type capacity() const noexcept
	{
		return capacity_;
	}
	size_type max_size() const noexcept
	{
		return PTRDIFF_MAX - 1;
	}
	[[nodiscard]] bool empty() const noexcept
	{
		return !size_;
	}
	char &operator[](size_type at) noexcept
	{
		return data()[at];
	}
	const char &operator[](size_type at) const noexcept
	{
		return data()[at];
	}
	char *begin() noexcept
	{
		return data();
	}
	const char *begin() const noexcept
	{
		return data();
	}
	char *end() noexcept
	{
		return data() + size_;
	}
	const char *end() const noexcept
	{
		return data() + size_;
	}

	/* Good as long as this is, and is not changed. */
	std::string_view view() const noexcept
	{
		return { c_str(), size_ };
	}
	explicit operator std::string_view() const noexcept
	{
		return view();
	}
	string substr(size_type at = 0, size_type n = npos) const
	{
		return string(view().substr(must_be_in(at), n));
	}

	friend bool operator==(const string &a, const string &b) noexcept
	{
		return same(a.view(), b.view());
	}
	friend bool operator==(const string &a, std::string_view b) noexcept
	{
		return same(a.view(), b);
	}
	friend bool operator==(std::string_view a, const string &b) noexcept
	{
		return same(a, b.view());
	}
	friend bool operator!=(const string &a, const string &b) noexcept
	{
		return !(a == b);
	}
	friend bool operator!=(const string &a, std::string_view b) noexcept
	{
		return !(a == b);
	}
	friend bool operator!=(std::string_view a, const string &b) noexcept
	{
		return !(a == b);
	}

      private:
	static bool same(std::string_view a, std::string_view b) noexcept
	{
		return a.size() == b.size() && lethe_equal(a.data(), b.data(), a.size());
	}

	size_type must_be_in(size_type at) const
	{
		if (at > size_)
			detail::raise(std::out_of_range("lethe::string"));
		return at;
	}

	size_type grown_by(size_type n) const
	{
		if (n > max_size() - size_)
			detail::raise(std::length_error("lethe::string"));
		return size_ + n;
	}

	/* To no more than there are. */
	void cut(size_type n) noexcept
	{
		if (n < size_)
			lethe_wipe(block_ + n, size_ - n);
		size_ = n;
	}

	/* The same in a block with room for @n more, and the block it had in @old. */
	void move_to_larger(size_type n, string &old)
	{
		size_type room = grown_by(n);
		void *block;

		if (room < capacity_ * 2)
			room = capacity_ * 2;
		block = lethe_malloc(room + 1);
		if (!block)
			detail::raise(std::bad_alloc());
		swap(old);
		block_ = static_cast<char *>(block);
		capacity_ = lethe_usable_size(block) - 1;
		if (old.size_)
			std::memcpy(block_, old.block_, old.size_);
		size_ = old.size_;
	}

	char *block_ = nullptr;
	size_type size_ = 0;
	/* Without the zero at the end. From size_ on, all is zero. */
	size_type capacity_ = 0;
};

inline string operator+(string a, std::string_view b)
{
	a += b;
	return a;
}

inline string operator+(string a, const string &b)
{
	a += b;
	return a;
}

} // namespace lethe

#if defined(__cpp_lib_format_ranges)
/* Nor does std::format() print one by accident, as the range of characters that it is. */
template <>
inline constexpr std::range_format std::format_kind<lethe::string> =
	std::range_format::disabled;
#endif

#endif /* LETHE_HEAP_HPP */
