// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * lethe::buffer: a guarded buffer that is closed whenever nobody has access to it. A part
 * of lethe.hpp.
 */
#ifndef LETHE_BUFFER_HPP
#define LETHE_BUFFER_HPP

#include <cerrno>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <lethe.h>

#include "lethe_error.hpp"

namespace lethe
{

/**
 * lethe::access - a guarded buffer that is open until the end of the scope
 *
 * From lethe::buffer's read() or write(). It has the buffer's elements as an array has
 * them; in C++20 it converts to std::span. It has to have a name: as a temporary it is
 * closed at the end of the statement.
 */
template <class T> class [[nodiscard]] access
{
      public:
	using element_type = T;
	using value_type = std::remove_cv_t<T>;
	using iterator = T *;

	/* What lethe_buffer_open() opened; closed here. */
	access(lethe_buffer *opened, std::size_t size) noexcept
	    : buffer_(opened), data_(static_cast<T *>(lethe_buffer_data(opened))),
	      size_(size)
	{
	}
	access(access &&other) noexcept
	    : buffer_(std::exchange(other.buffer_, nullptr)),
	      data_(std::exchange(other.data_, nullptr)),
	      size_(std::exchange(other.size_, 0))
	{
	}
	access(const access &) = delete;
	access &operator=(const access &) = delete;
	~access()
	{
		close();
	}

	/* Before the scope's end. */
	void close() noexcept
	{
		if (buffer_)
			lethe_buffer_close(buffer_);
		buffer_ = nullptr;
		data_ = nullptr;
		size_ = 0;
	}

	T *data() const &noexcept
	{
		return data_;
	}
	T *data() const && = delete;
	std::size_t size() const noexcept
	{
		return size_;
	}
	std::size_t size_bytes() const noexcept
	{
		return size_ * sizeof(T);
	}
	T &operator[](std::size_t at) const &noexcept
	{
		return data_[at];
	}
	T &operator[](std::size_t at) const && = delete;
	/* Of the first element. */
	T &operator*() const &noexcept
	{
		return *data_;
	}
	T &operator*() const && = delete;
	T *operator->() const &noexcept
	{
		return data_;
	}
	T *operator->() const && = delete;
	T *begin() const &noexcept
	{
		return data_;
	}
	T *begin() const && = delete;
	T *end() const &noexcept
	{
		return data_ + size_;
	}
	T *end() const && = delete;

      private:
	lethe_buffer *buffer_;
	T *data_;
	std::size_t size_;
};

/**
 * lethe::buffer - a guarded buffer (lethe_buffer_new()) of so many elements
 *
 *	lethe::buffer<unsigned char> key(32);
 *
 *	key.fill_random();
 *	{
 *		auto access = key.read();
 *		use(access.data(), access.size());
 *	}
 *	key.seal();
 *
 * Zero at first. A touch of it, or behind it, is a SIGSEGV unless somebody has an
 * access: any number may read at once, or one write. It can be moved, while it is open
 * too, and not be copied. To end it while it is open aborts with a message.
 *
 * Each function throws std::system_error as lethe.h has the errno of lethe_buffer_*;
 * EINVAL where it was moved from.
 */
template <class T = unsigned char> class buffer
{
	static_assert(
		std::is_trivially_copyable_v<T> &&
			std::is_trivially_default_constructible_v<T>,
		"lethe: a buffer is bytes, which are zero at first and are wiped at last: "
		"its elements are of a trivial type");
	static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
		      "lethe: a buffer is of an unqualified type");
	static_assert(
		!std::is_pointer_v<T>,
		"lethe: a buffer protects pointers, and nothing that they point to");
	static_assert(alignof(T) <= 4096, "lethe: a buffer is aligned to a page at most");

      public:
	using element_type = T;

	/* @flags: LETHE_BUFFER_QUICK or 0 */
	explicit buffer(std::size_t size, unsigned int flags = 0)
	    : buffer_(lethe_buffer_new_array(size, sizeof(T), flags)), size_(size)
	{
		if (!buffer_)
			detail::check(-errno, "lethe::buffer");
		close_or_free(lethe_buffer_protect(buffer_, LETHE_ACCESS_NONE));
	}
	buffer(buffer &&other) noexcept
	    : buffer_(std::exchange(other.buffer_, nullptr)),
	      size_(std::exchange(other.size_, 0))
	{
	}
	buffer &operator=(buffer &&other) noexcept
	{
		buffer moved(std::move(other));

		swap(moved);
		return *this;
	}
	/* A copy of a secret is one more: lethe_buffer_copy() makes it, or two accesses. */
	buffer(const buffer &) = delete;
	buffer &operator=(const buffer &) = delete;
	~buffer()
	{
		lethe_buffer_free(buffer_);
	}

	access<const T> read() const
	{
		return opened<const T>(LETHE_ACCESS_READ, "lethe::buffer::read");
	}
	access<T> write()
	{
		return opened<T>(LETHE_ACCESS_WRITE, "lethe::buffer::write");
	}

	void fill_random()
	{
		detail::check(lethe_buffer_fill_random(some()),
			      "lethe::buffer::fill_random");
	}
	/* All of it, by lethe_buffer_read_exactly(): ENODATA where @fd has less. */
	void fill_from(int fd)
	{
		detail::check(lethe_buffer_read_exactly(some(), 0, fd, size_bytes()),
			      "lethe::buffer::fill_from");
	}
	/* All of it, from as much memory as it is long, which is wiped. */
	void fill_from(T *from)
	{
		detail::check(lethe_buffer_move(some(), 0, from, size_bytes()),
			      "lethe::buffer::fill_from");
	}

	/* Opening it unseals it. */
	void seal()
	{
		detail::check(lethe_buffer_seal(some()), "lethe::buffer::seal");
	}
	void unseal()
	{
		detail::check(lethe_buffer_unseal(some()), "lethe::buffer::unseal");
	}

	std::size_t size() const noexcept
	{
		return size_;
	}
	std::size_t size_bytes() const noexcept
	{
		return size_ * sizeof(T);
	}
	/* For lethe_buffer_*(); NULL where it was moved from. */
	lethe_buffer *get() const noexcept
	{
		return buffer_;
	}
	void swap(buffer &other) noexcept
	{
		std::swap(buffer_, other.buffer_);
		std::swap(size_, other.size_);
	}
	friend void swap(buffer &a, buffer &b) noexcept
	{
		a.swap(b);
	}

	/* In constant time. Opens both. */
	friend bool operator==(const buffer &a, const buffer &b)
	{
		static_assert(
			std::has_unique_object_representations_v<T>,
			"lethe: elements with padding cannot be compared by their bytes");
		if (a.size_ != b.size_)
			return false;

		auto left = a.read(), right = b.read();

		return lethe_equal(left.data(), right.data(), left.size_bytes());
	}
	friend bool operator!=(const buffer &a, const buffer &b)
	{
		return !(a == b);
	}

      private:
	void close_or_free(int err)
	{
		if (err < 0)
			lethe_buffer_free(buffer_);
		detail::check(err, "lethe::buffer");
	}

	lethe_buffer *some() const
	{
		if (!buffer_)
			detail::check(-EINVAL, "lethe::buffer that was moved from");
		return buffer_;
	}

	template <class U> access<U> opened(lethe_access how, const char *what) const
	{
		detail::check(lethe_buffer_open(some(), how), what);
		return access<U>(buffer_, size_);
	}

	lethe_buffer *buffer_;
	std::size_t size_;
};

} // namespace lethe

#endif /* LETHE_BUFFER_HPP */
