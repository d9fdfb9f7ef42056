// SPDX-License-Identifier: MIT
/*
 * What Botan's secure_vector calls. It has locked memory for blocks of 16 to 256
 * bytes, half a megabyte of it; what is larger, or more, is calloc()'s.
 */
#include <botan/mem_ops.h>

extern "C" void *botan_get(size_t size);
extern "C" void botan_put(void *block, size_t size);

void *botan_get(size_t size)
{
	return Botan::allocate_memory(size, 1);
}

void botan_put(void *block, size_t size)
{
	Botan::deallocate_memory(block, size, 1);
}
