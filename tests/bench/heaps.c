// SPDX-License-Identifier: MIT
/*
 * Each heap as its manual would have it used. This program is not linked with
 * liblethe-malloc: malloc() is libc's. hardened_malloc is not among them: Debian has no
 * package of it.
 */
#include <gcrypt.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "heaps.h"
#include "lethe.h"

/* Twice what LIVE_MAX blocks take. OpenSSL's has to be a power of two. */
#define POOL (8 << 20)

static void lethe_put(void *block, size_t size)
{
	(void)size;
	lethe_free(block);
}

static void libc_put(void *block, size_t size)
{
	explicit_bzero(block, size);
	free(block);
}

const struct heap heap_lethe = {
	.name = "lethe",
	.get = lethe_malloc,
	.put = lethe_put,
	.most = LIVE_MAX,
};

const struct heap heap_libc = {
	.name = "libc's with explicit_bzero()",
	.get = malloc,
	.put = libc_put,
	.most = LIVE_MAX,
};

/* One after the other, and then the first again. */
static void *none_get(size_t size)
{
	static char buffers[8 << 16];
	static size_t next;
	void *block;

	if (next + size > sizeof(buffers) || next + size > 64 * size)
		next = 0;
	block = buffers + next;
	next += size;
	return block;
}

static void none_put(void *block, size_t size)
{
	explicit_bzero(block, size);
}

const struct heap heap_none = {
	.name = "buffers and no heap",
	.get = none_get,
	.put = none_put,
};

static int openssl_start(void)
{
	/* 2: that is not locked, where a limit binds. It is as fast. */
	return !CRYPTO_secure_malloc_init(POOL, LIVE_SIZE);
}

static void *openssl_get(size_t size)
{
	return OPENSSL_secure_malloc(size);
}

static void openssl_put(void *block, size_t size)
{
	OPENSSL_secure_clear_free(block, size);
}

static int gcrypt_start(void)
{
	if (!gcry_check_version(GCRYPT_VERSION))
		return -1;
	gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
	if (gcry_control(GCRYCTL_INIT_SECMEM, POOL, 0))
		return -1;
	return gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) != 0;
}

static void gcrypt_put(void *block, size_t size)
{
	(void)size;
	gcry_free(block);
}

static int sodium_start(void)
{
	return sodium_init() < 0;
}

static void sodium_put(void *block, size_t size)
{
	(void)size;
	sodium_free(block);
}

const struct heap heap_peers[HEAP_PEERS] = {
	{
		.name = "OpenSSL's secure heap",
		.start = openssl_start,
		.get = openssl_get,
		.put = openssl_put,
		.most = LIVE_MAX,
	},
	{
		.name = "libgcrypt's",
		.start = gcrypt_start,
		.get = gcry_malloc_secure,
		.put = gcrypt_put,
		/* It looks through them at each free(): 0.9 ms, where they are 100000. */
		.most = 5000,
		.why_no_more = "half a minute to make them",
	},
	{
		.name = "libsodium's",
		.start = sodium_start,
		.get = sodium_malloc,
		.put = sodium_put,
		/* Four each, of vm.max_map_count's 65530. */
		.most = 5000,
		.why_no_more = "too many mappings",
	},
	{
		.name = "Botan's",
		.get = botan_get,
		.put = botan_put,
		.most = LIVE_MAX,
	},
};
