// SPDX-License-Identifier: MIT
/*
 * To be preloaded: whether what an example has libcrypto do with secrets, or libssl, it does
 * in a section. A search afterwards cannot tell where libcrypto itself leaves nothing. What is
 * done before the first section does not count: examples have libcrypto start up there.
 *
 * As the program ends: "inside N outside M", on stderr. It changes no call.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "lethe.h"

static unsigned long inside, outside;

static void seen(void)
{
	if (lethe_enabled())
		inside++;
	else if (inside)
		outside++;
}

__attribute__((destructor)) static void tell(void)
{
	fprintf(stderr, "inside %lu outside %lu\n", inside, outside);
}

#define WATCH(type, name, parameters, arguments)                                      \
	__attribute__((visibility("default"))) type name parameters                   \
	{                                                                             \
		type(*next) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
                                                                                      \
		seen();                                                               \
		return next arguments;                                                \
	}

WATCH(int, EVP_DigestSign,
      (EVP_MD_CTX * context, unsigned char *out, size_t *size, const unsigned char *in,
       size_t length),
      (context, out, size, in, length))
WATCH(int, EVP_PKEY_derive, (EVP_PKEY_CTX * context, unsigned char *out, size_t *size),
      (context, out, size))
WATCH(int, EVP_CipherInit_ex,
      (EVP_CIPHER_CTX * context, const EVP_CIPHER *type, ENGINE *engine,
       const unsigned char *key, const unsigned char *iv, int encrypts),
      (context, type, engine, key, iv, encrypts))
WATCH(unsigned char *, HMAC,
      (const EVP_MD *type, const void *key, int key_length, const unsigned char *data,
       size_t length, unsigned char *out, unsigned int *size),
      (type, key, key_length, data, length, out, size))
WATCH(int, EVP_PBE_scrypt,
      (const char *pass, size_t length, const unsigned char *salt, size_t salt_length,
       uint64_t n, uint64_t r, uint64_t p, uint64_t most, unsigned char *key,
       size_t key_length),
      (pass, length, salt, salt_length, n, r, p, most, key, key_length))
/* libssl's, of a program that has it. */
WATCH(int, SSL_accept, (SSL * ssl), (ssl))
WATCH(int, SSL_read, (SSL * ssl, void *to, int size), (ssl, to, size))
WATCH(int, SSL_write, (SSL * ssl, const void *from, int size), (ssl, from, size))
WATCH(int, SSL_shutdown, (SSL * ssl), (ssl))
WATCH(void, SSL_free, (SSL * ssl), (ssl))
WATCH(void, SSL_CTX_free, (SSL_CTX * context), (context))
