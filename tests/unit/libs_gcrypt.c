// SPDX-License-Identifier: MIT
/*
 * libgcrypt, started with a pool of secure memory of its own, which it maps, or with
 * none: then what it means to be secure comes from malloc(), and is secret in a section.
 */
#include "libs.h"

#ifdef HAVE_gcrypt
#include <gcrypt.h>

/* In a use: its first is the process's. Without a pool, or with one. */
static bool start(bool pool)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return true;
	if (!gcry_check_version(GCRYPT_VERSION))
		return false;
	if (pool)
		gcry_control(GCRYCTL_INIT_SECMEM, 32768, 0);
	else
		gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_ENABLE_QUICK_RANDOM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	return true;
}

static bool seal(gcry_cipher_hd_t cipher, struct use *use)
{
	static const char key[32] = "a key of thirty-two bytes or so", iv[12] = "an iv";
	unsigned char text[64] = "a text", opened[64], tag[16];
	bool good;

	good = !gcry_cipher_setkey(cipher, key, 32) &&
	       !gcry_cipher_setiv(cipher, iv, 12) &&
	       !gcry_cipher_encrypt(cipher, use->result, 64, text, 64) &&
	       !gcry_cipher_gettag(cipher, tag, 16) && !gcry_cipher_reset(cipher) &&
	       !gcry_cipher_setiv(cipher, iv, 12) &&
	       !gcry_cipher_decrypt(cipher, opened, 64, use->result, 64) &&
	       !gcry_cipher_checktag(cipher, tag, 16) && !memcmp(opened, text, 64);
	tag[0] ^= 1;
	return good && gcry_cipher_checktag(cipher, tag, 16) != 0;
}

static bool sign(gcry_sexp_t *key)
{
	gcry_sexp_t parameters = NULL, data = NULL, signature = NULL;
	bool good = !gcry_sexp_build(&parameters, NULL,
				     "(genkey (ecc (curve Ed25519)(flags eddsa)))") &&
		    !gcry_pk_genkey(key, parameters) &&
		    !gcry_sexp_build(&data, NULL,
				     "(data (flags eddsa)(hash-algo sha512)(value %s))",
				     "what is signed") &&
		    !gcry_pk_sign(&signature, data, *key) &&
		    !gcry_pk_verify(signature, data, *key);

	gcry_sexp_release(data);
	data = NULL;
	good = good &&
	       !gcry_sexp_build(&data, NULL,
				"(data (flags eddsa)(hash-algo sha512)(value %s))",
				"what is not") &&
	       gcry_pk_verify(signature, data, *key) != 0;
	gcry_sexp_release(parameters);
	gcry_sexp_release(data);
	gcry_sexp_release(signature);
	return good;
}

static void use_gcrypt(struct use *use, bool pool)
{
	gcry_cipher_hd_t cipher = NULL;
	gcry_sexp_t key = NULL;
	char *secure;

	if (!start(pool))
		return;
	secure = gcry_malloc_secure(100);
	use->good = secure && gcry_is_secure(secure) == pool &&
		    !gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM,
				      pool ? GCRY_CIPHER_SECURE : 0) &&
		    seal(cipher, use) && sign(&key);
	gcry_md_hash_buffer(GCRY_MD_SHA256, use->result + 64, "abc", 3);
	/* Its own pool is its own mapping. */
	(pool ? use->ordinary : use->objects)[0] = secure;
	(pool ? use->ordinary : use->objects)[1] = cipher;
	if (!pool)
		use->objects[2] = key;
	use->more = key;
}

static void use_with_pool(struct use *use)
{
	use_gcrypt(use, true);
}

static void use_without_pool(struct use *use)
{
	use_gcrypt(use, false);
}

static void free_with_pool(struct use *use)
{
	gcry_free(use->ordinary[0]);
	gcry_cipher_close(use->ordinary[1]);
	gcry_sexp_release(use->more);
}

static void free_without_pool(struct use *use)
{
	gcry_free(use->objects[0]);
	gcry_cipher_close(use->objects[1]);
	gcry_sexp_release(use->more);
}

Test(libs, libgcrypt_without_secure_memory_of_its_own)
{
	check_library(
		&(struct library){ "libgcrypt", use_without_pool, free_without_pool });
}

static void pool_in_section(void *arg)
{
	use_with_pool(arg);
}

Test(libs, libgcrypt_with_secure_memory_of_its_own)
{
	struct use use = { .good = false };
	int fd = catch_stderr();

	check_library(&(struct library){ "libgcrypt, with its secure memory",
					 use_with_pool, free_with_pool });
	cr_assert_not_null(strstr(caught(fd), "lethe: libgcrypt.so."), "%s", caught(fd));
	cr_assert_not_null(
		strstr(caught(fd), " by itself in a section: ordinary memory"));
	cr_assert_eq(lethe_do(pool_in_section, &use), 0);
	cr_assert(use.good);
	free_with_pool(&use);
}

#else
WITHOUT("libgcrypt", libgcrypt)
#endif
