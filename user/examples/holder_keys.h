/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The keys of a key holder: Ed25519, each in a guarded buffer that is sealed at all times
 * but while it signs, which it does in a secret section. So of any number of keys that
 * wait there is no plain copy, and they take one secret page together.
 *
 * It never gives a key away, and never compares a passphrase: that is what it was made
 * from by scrypt, in a section.
 */
#ifndef HOLDER_KEYS_H
#define HOLDER_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLDER_KEYS 64
#define HOLDER_SEED 32
#define HOLDER_PUBLIC 32
#define HOLDER_SIGNATURE 64
#define HOLDER_COMMENT 256

struct lethe_buffer;

/* Public but for what the seed's buffer has. */
struct holder_key {
	unsigned char public_key[HOLDER_PUBLIC];
	char comment[HOLDER_COMMENT];
	struct lethe_buffer *seed;
	int64_t until; /* ms of CLOCK_BOOTTIME; 0 for ever */
};

struct holder {
	struct holder_key keys[HOLDER_KEYS];
	size_t count;
	struct lethe_buffer *lock; /* what the passphrase made, while it is locked */
	unsigned char salt[16];
	unsigned int wrong;
	int64_t not_before; /* the next passphrase is looked at */
};

/*
 * 0 or a negative errno: -ENOENT, no such key; -EACCES, locked, or the wrong passphrase;
 * -EAGAIN, too soon after a wrong one; -EINVAL, the seed is not @public_key's; -ENOSPC; -EIO,
 * libcrypto failed; else as lethe_do() and lethe_buffer_new().
 */

/* The seed is moved: where it was is wiped. One that is held already is replaced. */
int holder_add(struct holder *holder, unsigned char *seed,
	       const unsigned char *public_key, const char *comment, size_t length,
	       uint32_t seconds);
int holder_sign(struct holder *holder, const unsigned char *public_key, const void *data,
		size_t length, unsigned char *signature);
int holder_remove(struct holder *holder, const unsigned char *public_key);
void holder_remove_all(struct holder *holder);
int holder_lock(struct holder *holder, const unsigned char *passphrase, size_t length);
int holder_unlock(struct holder *holder, const unsigned char *passphrase, size_t length);

/* Forgets keys whose time is over. Milliseconds until the next one's is, or -1. */
int holder_expire(struct holder *holder);

#endif /* HOLDER_KEYS_H */
