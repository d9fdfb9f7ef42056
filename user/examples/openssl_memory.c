// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * CRYPTO_set_mem_functions() with liblethe. In a section libcrypto allocates from the
 * secret heap, elsewhere from malloc(). A block is freed and resized where it came
 * from, wherever that happens: what libcrypto sets up in its first section, it frees
 * when the process ends.
 *
 * Reaches what libcrypto asks of OPENSSL_malloc(), no other library, and not libc. In a
 * program that forks, have libcrypto start up before the first section (RAND_bytes(),
 * say): a child has none of what it would keep there.
 */
#include "openssl_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lethe.h"

/*
 * Secret memory lies all in one place, with nothing else in between. So a block
 * between two of the secret heap's is one of them, even where lethe_level_of() knows
 * of no protection any more: in a fork's child, which has none of the parent's, and
 * where lethe_free() of it is fine.
 */
static _Atomic uintptr_t lowest = UINTPTR_MAX, highest;

static bool is_secret(const void *block)
{
	return (uintptr_t)block >= atomic_load(&lowest) &&
	       (uintptr_t)block <= atomic_load(&highest);
}

static void *secret(void *block)
{
	uintptr_t at = (uintptr_t)block, seen;

	if (!block)
		return NULL;
	seen = atomic_load(&lowest);
	while (at < seen && !atomic_compare_exchange_weak(&lowest, &seen, at))
		;
	seen = atomic_load(&highest);
	while (at > seen && !atomic_compare_exchange_weak(&highest, &seen, at))
		;
	return block;
}

static void *allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return lethe_enabled() ? secret(lethe_malloc(size)) : malloc(size);
}

static void release(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	if (is_secret(block))
		lethe_free(block);
	else
		free(block);
}

/* Into the secret heap, and nothing of it stays where it was. */
static void *move_in(void *block, size_t size)
{
	size_t had = malloc_usable_size(block);
	void *fresh = secret(lethe_malloc(size));

	if (!fresh)
		return NULL;
	if (block) {
		memcpy(fresh, block, had < size ? had : size);
		lethe_wipe(block, had);
		free(block);
	}
	return fresh;
}

static void *resize(void *block, size_t size, const char *file, int line)
{
	if (!size) {
		release(block, file, line);
		return NULL;
	}
	if (is_secret(block))
		return secret(lethe_realloc(block, size));
	if (lethe_enabled())
		return move_in(block, size);
	return realloc(block, size);
}

int openssl_memory_install(void)
{
	return CRYPTO_set_mem_functions(allocate, resize, release) == 1 ? 0 : -1;
}
