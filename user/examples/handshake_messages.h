/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Between handshake_noise.c, which keeps the secrets, and handshake_messages.c, which
 * computes with them: what is secret, and the functions that are run in secret sections.
 */
#ifndef HANDSHAKE_MESSAGES_H
#define HANDSHAKE_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "handshake_noise.h"

enum { MESSAGE_INITIATION = 1, MESSAGE_RESPONSE = 2, MESSAGE_DATA = 4 };

/* In the guarded buffer. */
struct keys {
	unsigned char private_key[NOISE_KEY], preshared[NOISE_KEY];
};

/* On the secret heap: C, H, and the ephemeral key, until the answer is there. */
struct noise_handshake {
	unsigned char chain[NOISE_KEY], hash[NOISE_KEY], ephemeral[NOISE_KEY];
	uint32_t index;
};
struct noise_session {
	unsigned char send[NOISE_KEY], receive[NOISE_KEY];
	uint64_t sent, received;
	uint32_t ours, theirs;
};

/* What a section is given, and gives back. */
struct call {
	struct noise *noise;
	const unsigned char *in;
	size_t length;
	unsigned char *out;
	const struct keys *keys;
	struct noise_session *session;
	int result;
};

/* Each takes a struct call, and leaves its result as it was where all did not come right. */
void messages_begin(void *arg);
void messages_answer(void *arg);
void messages_finish(void *arg);
void messages_seal(void *arg);
void messages_open(void *arg);

#endif /* HANDSHAKE_MESSAGES_H */
