// SPDX-License-Identifier: MIT
/*
 * libsodium: it allocates next to nothing, and what it needs for argon2 and for its own
 * guarded memory it maps by itself: that is said.
 */
#include "libs.h"

#ifdef HAVE_sodium
#include <sodium.h>
#include <stdlib.h>

#define TEXT 1000

static const unsigned char key[32] = "a key of thirty-two bytes or so";
static const unsigned char nonce[24] = "a nonce of twenty-four";

static bool box(unsigned char *sealed, struct use *use)
{
	unsigned char text[TEXT] = "a text", opened[TEXT];
	bool good;

	good = !crypto_secretbox_easy(sealed, text, TEXT, nonce, key) &&
	       !crypto_secretbox_open_easy(
		       opened, sealed, TEXT + crypto_secretbox_MACBYTES, nonce, key) &&
	       !memcmp(opened, text, TEXT);
	memcpy(use->result, sealed, 64);
	sealed[100] ^= 1;
	return good && crypto_secretbox_open_easy(opened, sealed,
						  TEXT + crypto_secretbox_MACBYTES, nonce,
						  key) != 0;
}

static bool sign(struct use *use)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES],
		secret_key[crypto_sign_SECRETKEYBYTES];
	unsigned char signature[crypto_sign_BYTES];

	crypto_sign_seed_keypair(public, secret_key, key);
	crypto_sign_detached(signature, NULL, nonce, sizeof(nonce), secret_key);
	memcpy(use->result + 64, signature, 32);
	if (crypto_sign_verify_detached(signature, nonce, sizeof(nonce), public))
		return false;
	signature[0] ^= 1;
	return crypto_sign_verify_detached(signature, nonce, sizeof(nonce), public) != 0;
}

static bool hash_and_agree(struct use *use)
{
	unsigned char a[32], b[32], one[32], other[32];

	if (crypto_generichash(use->result + 96, 32, nonce, sizeof(nonce), key, 32))
		return false;
	crypto_scalarmult_base(a, key);
	crypto_scalarmult_base(b, use->result);
	return !crypto_scalarmult(one, key, b) &&
	       !crypto_scalarmult(other, use->result, a) && !memcmp(one, other, 32);
}

static void use_sodium(struct use *use)
{
	unsigned char *sealed = malloc(TEXT + crypto_secretbox_MACBYTES);

	use->good = sodium_init() >= 0 && sealed && box(sealed, use) && sign(use) &&
		    hash_and_agree(use);
	use->objects[0] = sealed;
}

static void free_sealed(struct use *use)
{
	free(use->objects[0]);
}

Test(libs, libsodium)
{
	check_library(&(struct library){ "libsodium", use_sodium, free_sealed });
}

/* Interactive: 64 MiB, which no limit lets be secret. */
static void use_argon2(struct use *use)
{
	static const unsigned char salt[crypto_pwhash_SALTBYTES] = "sixteen bytes..";

	use->good = sodium_init() >= 0 &&
		    !crypto_pwhash(use->result, 32, "a password", 10, salt,
				   crypto_pwhash_OPSLIMIT_INTERACTIVE,
				   crypto_pwhash_MEMLIMIT_INTERACTIVE,
				   crypto_pwhash_ALG_ARGON2ID13);
}

static void free_nothing(struct use *use)
{
	(void)use;
}

static void argon2_in_section(void *arg)
{
	use_argon2(arg);
}

Test(libs, libsodium_argon2_is_right_and_its_memory_is_said)
{
	struct use inside = { .good = false }, outside = inside;
	int fd = catch_stderr();

	use_argon2(&outside);
	cr_assert_str_eq(caught(fd), "");
	cr_assert_eq(lethe_do(argon2_in_section, &inside), 0);
	cr_assert_not_null(strstr(caught(fd), "lethe: libsodium.so."), "%s", caught(fd));
	cr_assert_not_null(strstr(caught(fd), " by itself in a section: ordinary memory, "
					      "wiped when it is unmapped\n"),
			   "%s", caught(fd));
	cr_assert(inside.good && outside.good);
	cr_assert_eq(memcmp(inside.result, outside.result, 32), 0);
	check_library(
		&(struct library){ "libsodium, argon2id", use_argon2, free_nothing });
}

static void use_guarded(struct use *use)
{
	unsigned char *guarded = sodium_init() >= 0 ? sodium_malloc(100) : NULL;

	if (!guarded)
		return;
	memset(guarded, 'g', 100);
	use->good = !sodium_mprotect_readonly(guarded) && guarded[99] == 'g' &&
		    !sodium_mprotect_noaccess(guarded) &&
		    !sodium_mprotect_readwrite(guarded);
	/* Locked, guarded and mapped by itself: not by malloc(). */
	use->ordinary[0] = guarded;
}

static void free_guarded(struct use *use)
{
	sodium_free(use->ordinary[0]);
}

Test(libs, libsodium_guarded_memory)
{
	check_library(&(struct library){ "libsodium, sodium_malloc()", use_guarded,
					 free_guarded });
}

#else
WITHOUT("libsodium", libsodium)
#endif
