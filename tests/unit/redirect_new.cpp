// SPDX-License-Identifier: MIT
/*
 * operator new and delete of C++, in all the forms that libstdc++ has: they come to
 * malloc(), aligned_alloc() and free(). For redirect_new.c, which is C as Criterion's
 * other tests are, and asks about the blocks.
 */
#include <cstddef>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "redirect_new.h"

namespace
{
struct alignas(128) wide {
	unsigned char bytes[256];
};

struct text {
	std::string string;
	std::vector<unsigned char> vector;
};
} // namespace

void new_make(struct new_blocks *blocks)
{
	auto *t = new text;

	t->string.assign(1000, 's');
	t->vector.assign(5000, 7);
	blocks->text = t;
	blocks->string = t->string.data();
	blocks->vector = t->vector.data();
	blocks->one = new long(5);
	blocks->array = new char[1000]();
	blocks->nothrow = new (std::nothrow) char[1000];
	blocks->wide = new wide;
	blocks->wide_array = new wide[3];
	blocks->wide_nothrow = new (std::nothrow) wide;
	blocks->raw = ::operator new(300);
	blocks->raw_aligned = ::operator new (300, std::align_val_t{ 4096 });
}

void new_grow(struct new_blocks *blocks)
{
	auto *t = static_cast<text *>(blocks->text);

	t->string.append(100000, 't');
	t->vector.resize(200000, 9);
	blocks->string = t->string.data();
	blocks->vector = t->vector.data();
}

void new_delete(struct new_blocks *blocks)
{
	delete static_cast<text *>(blocks->text);
	delete static_cast<long *>(blocks->one);
	delete[] static_cast<char *>(blocks->array);
	::operator delete[](static_cast<char *>(blocks->nothrow), std::nothrow);
	delete static_cast<wide *>(blocks->wide);
	delete[] static_cast<wide *>(blocks->wide_array);
	::operator delete (static_cast<wide *>(blocks->wide_nothrow),
			   std::align_val_t{ 128 }, std::nothrow);
	::operator delete (blocks->raw, std::size_t{ 300 });
	::operator delete (blocks->raw_aligned, std::size_t{ 300 },
			   std::align_val_t{ 4096 });
}

/* The exception comes and goes inside of the section, its object with it. */
unsigned int new_refused(void)
{
	/* More than there is, and nothing that a compiler could know to be. */
	volatile std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
	unsigned int refused = 0;

	try {
		::operator delete(::operator new(most));
	} catch (const std::bad_alloc &) {
		refused |= 1;
	}
	try {
		::operator delete (::operator new (most - 4096, std::align_val_t{ 64 }),
				   std::align_val_t{ 64 });
	} catch (const std::bad_alloc &) {
		refused |= 2;
	}
	if (!::operator new(most, std::nothrow))
		refused |= 4;
	if (!::operator new (most - 4096, std::align_val_t{ 64 }, std::nothrow))
		refused |= 8;
	return refused;
}
