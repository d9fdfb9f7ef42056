// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What holder_keys.h says. With -llethe-malloc libcrypto's copies are secret too. */
#include "holder_keys.h"

#include <errno.h>
#include <lethe.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* 2 MiB: scrypt's memory is secret, and so bounded by RLIMIT_MEMLOCK. */
enum { SCRYPT_N = 2048, SCRYPT_R = 8, SCRYPT_P = 1, LOCK = 32 };

static int64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_BOOTTIME, &at);
	return at.tv_sec * 1000LL + at.tv_nsec / 1000000;
}

struct signing {
	const unsigned char *seed, *data;
	size_t length;
	unsigned char *public_key, *signature;
	int result;
};

/* The public key too, to whoever asks for it. */
static void sign(void *arg)
{
	struct signing *s = arg;
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->seed,
						     HOLDER_SEED);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = HOLDER_SIGNATURE, public_length = HOLDER_PUBLIC;
	bool good = key && context &&
		    EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestSign(context, s->signature, &length, s->data, s->length) ==
			    1 &&
		    (!s->public_key || EVP_PKEY_get_raw_public_key(key, s->public_key,
								   &public_length) == 1);

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	s->result = good ? 0 : -EIO;
}

struct stretching {
	const unsigned char *passphrase, *salt;
	size_t length;
	unsigned char *made;
	const unsigned char *wanted;
	int result;
};

static void stretch(void *arg)
{
	struct stretching *s = arg;
	unsigned char made[LOCK];

	if (EVP_PBE_scrypt((const char *)s->passphrase, s->length, s->salt, 16, SCRYPT_N,
			   SCRYPT_R, SCRYPT_P, 0, made, sizeof(made)) != 1)
		return;
	if (s->made)
		memcpy(s->made, made, sizeof(made));
	s->result = s->made || lethe_equal(made, s->wanted, sizeof(made)) ? 0 : -EACCES;
}

static int close_and_seal(struct lethe_buffer *buffer, int result)
{
	int err;

	lethe_buffer_close(buffer);
	err = lethe_buffer_seal(buffer);
	return err ? err : result;
}

static int sign_with(struct lethe_buffer *seed, struct signing *signing)
{
	int err = lethe_buffer_open(seed, LETHE_ACCESS_READ);

	if (err)
		return err;
	signing->seed = lethe_buffer_data(seed);
	err = lethe_do(sign, signing);
	return close_and_seal(seed, err ? err : signing->result);
}

static struct holder_key *find(struct holder *holder, const unsigned char *public_key)
{
	for (size_t i = 0; i < holder->count; i++) {
		if (!memcmp(holder->keys[i].public_key, public_key, HOLDER_PUBLIC))
			return &holder->keys[i];
	}
	return NULL;
}

static void forget(struct holder *holder, struct holder_key *key)
{
	size_t after = &holder->keys[holder->count] - (key + 1);

	lethe_buffer_free(key->seed);
	memmove(key, key + 1, after * sizeof(*key));
	holder->count--;
}

/* A signature tells whether libcrypto takes the seed, and whose it is. */
static int check(struct lethe_buffer *seed, const unsigned char *wanted)
{
	unsigned char public_key[HOLDER_PUBLIC], signature[HOLDER_SIGNATURE];
	struct signing signing = { .data = wanted,
				   .length = HOLDER_PUBLIC,
				   .public_key = public_key,
				   .signature = signature };
	int err = sign_with(seed, &signing);

	if (!err && memcmp(public_key, wanted, HOLDER_PUBLIC))
		err = -EINVAL;
	return err;
}

int holder_add(struct holder *holder, unsigned char *seed,
	       const unsigned char *public_key, const char *comment, size_t length,
	       uint32_t seconds)
{
	struct holder_key key = { .until = seconds ? now() + seconds * 1000LL : 0 }, *old;
	int err;

	if (holder->lock)
		return -EACCES;
	if (length >= sizeof(key.comment) || memchr(comment, 0, length))
		return -EINVAL;
	old = find(holder, public_key);
	if (!old && holder->count == HOLDER_KEYS)
		return -ENOSPC;
	memcpy(key.public_key, public_key, HOLDER_PUBLIC);
	memcpy(key.comment, comment, length);
	key.seed = lethe_buffer_new(HOLDER_SEED, 0);
	if (!key.seed)
		return -errno;
	err = lethe_buffer_move(key.seed, 0, seed, HOLDER_SEED);
	if (!err)
		err = lethe_buffer_protect(key.seed, LETHE_ACCESS_NONE);
	if (!err)
		err = check(key.seed, public_key);
	if (err) {
		lethe_buffer_free(key.seed);
		return err;
	}
	if (old)
		forget(holder, old);
	holder->keys[holder->count++] = key;
	return 0;
}

int holder_sign(struct holder *holder, const unsigned char *public_key, const void *data,
		size_t length, unsigned char *signature)
{
	struct signing signing = { .data = data,
				   .length = length,
				   .signature = signature };
	struct holder_key *key;

	if (holder->lock)
		return -EACCES;
	holder_expire(holder);
	key = find(holder, public_key);
	return key ? sign_with(key->seed, &signing) : -ENOENT;
}

int holder_remove(struct holder *holder, const unsigned char *public_key)
{
	struct holder_key *key = find(holder, public_key);

	if (holder->lock)
		return -EACCES;
	if (!key)
		return -ENOENT;
	forget(holder, key);
	return 0;
}

void holder_remove_all(struct holder *holder)
{
	while (holder->count)
		forget(holder, &holder->keys[holder->count - 1]);
}

int holder_lock(struct holder *holder, const unsigned char *passphrase, size_t length)
{
	struct stretching stretching = { .passphrase = passphrase,
					 .length = length,
					 .salt = holder->salt,
					 .result = -EIO };
	struct lethe_buffer *lock;
	int err;

	if (holder->lock)
		return -EACCES;
	if (getrandom(holder->salt, sizeof(holder->salt), 0) != sizeof(holder->salt))
		return -errno;
	lock = lethe_buffer_new(LOCK, 0);
	if (!lock)
		return -errno;
	stretching.made = lethe_buffer_data(lock);
	err = lethe_do(stretch, &stretching);
	if (!err)
		err = stretching.result;
	if (!err)
		err = lethe_buffer_protect(lock, LETHE_ACCESS_NONE);
	if (!err)
		err = lethe_buffer_seal(lock);
	if (err)
		lethe_buffer_free(lock);
	else
		holder->lock = lock;
	return err;
}

/* After each wrong one the next is not looked at for a while, which grows to 10 s. */
int holder_unlock(struct holder *holder, const unsigned char *passphrase, size_t length)
{
	struct stretching stretching = { .passphrase = passphrase,
					 .length = length,
					 .salt = holder->salt,
					 .result = -EIO };
	int err;

	if (!holder->lock)
		return -EINVAL;
	if (now() < holder->not_before)
		return -EAGAIN;
	err = lethe_buffer_open(holder->lock, LETHE_ACCESS_READ);
	if (err)
		return err;
	stretching.wanted = lethe_buffer_data(holder->lock);
	err = lethe_do(stretch, &stretching);
	err = close_and_seal(holder->lock, err ? err : stretching.result);
	if (err == -EACCES) {
		holder->wrong += holder->wrong < 100;
		holder->not_before = now() + holder->wrong * 100;
	}
	if (!err) {
		lethe_buffer_free(holder->lock);
		holder->lock = NULL;
		holder->wrong = 0;
	}
	return err;
}

int holder_expire(struct holder *holder)
{
	int64_t next = INT32_MAX, at = now();
	bool any = false;

	for (size_t i = holder->count; i-- > 0;) {
		struct holder_key *key = &holder->keys[i];

		if (!key->until)
			continue;
		if (key->until <= at) {
			forget(holder, key);
			continue;
		}
		any = true;
		next = key->until - at < next ? key->until - at : next;
	}
	return any ? next : -1;
}
