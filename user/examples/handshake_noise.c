// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The secrets of a WireGuard peer: where they are kept, and the sections in which they are
 * used. handshake_noise.h says what for.
 */
#include "handshake_noise.h"

#include <errno.h>
#include <lethe.h>
#include <openssl/evp.h>
#include <string.h>

#include "handshake_crypto.h"
#include "handshake_messages.h"

#define REJECT_AFTER_MESSAGES (UINT64_MAX - (1 << 13))

/* What a private key's file has; and the public key to it. */
static void read_key(void *arg)
{
	struct call *call = arg;
	unsigned char decoded[48];

	/* 44 characters, of which the last is "=": 33 bytes to libcrypto. */
	if (EVP_DecodeBlock(decoded, call->in, 44) != 33)
		return;
	memcpy(call->out, decoded, NOISE_KEY);
	call->result = 0;
}

static void find_public(void *arg)
{
	struct call *call = arg;

	if (crypto_dh(call->keys->private_key, call->noise->public_key, NULL, NULL))
		call->result = 0;
}

static int run(void (*section)(void *), struct call *call)
{
	int err = lethe_do(section, call);

	return err ? err : call->result;
}

/* With the keys, which are sealed again before anything else is done. */
static int run_with_keys(void (*section)(void *), struct call *call)
{
	struct lethe_buffer *keys = call->noise->keys;
	int result = lethe_buffer_open(keys, LETHE_ACCESS_READ), err;

	if (result)
		return result;
	call->keys = lethe_buffer_data(keys);
	result = run(section, call);
	lethe_buffer_close(keys);
	err = lethe_buffer_seal(keys);
	return err ? err : result;
}

/* From a file into a buffer, and decoded into another: on no page that is not secret. */
static int load(struct noise *noise, int fd, size_t offset)
{
	struct lethe_buffer *text = lethe_buffer_new(44, 0);
	struct call call = { .result = -EINVAL };
	int err;

	if (!text)
		return -errno;
	err = lethe_buffer_read_exactly(text, 0, fd, 44);
	if (!err) {
		call.in = lethe_buffer_data(text);
		call.out = (unsigned char *)lethe_buffer_data(noise->keys) + offset;
		err = run(read_key, &call);
	}
	lethe_buffer_free(text);
	return err;
}

int noise_new(struct noise *noise, int private_key, int preshared, const char *peer)
{
	struct call call = { .noise = noise, .result = -EIO };
	unsigned char decoded[48];
	int err;

	*noise = (struct noise){ 0 };
	if (strlen(peer) != 44 || EVP_DecodeBlock(decoded, (const void *)peer, 44) != 33)
		return -EINVAL;
	memcpy(noise->peer, decoded, NOISE_KEY);
	noise->keys = lethe_buffer_new(sizeof(struct keys), 0);
	if (!noise->keys)
		return -errno;
	err = load(noise, private_key, offsetof(struct keys, private_key));
	if (!err && preshared >= 0)
		err = load(noise, preshared, offsetof(struct keys, preshared));
	if (!err)
		err = lethe_buffer_protect(noise->keys, LETHE_ACCESS_NONE);
	if (!err)
		err = run_with_keys(find_public, &call);
	if (err)
		noise_free(noise);
	return err;
}

void noise_end(struct noise *noise)
{
	lethe_free(noise->handshake);
	lethe_free(noise->next);
	lethe_free(noise->session);
	noise->handshake = NULL;
	noise->next = noise->session = NULL;
}

void noise_free(struct noise *noise)
{
	noise_end(noise);
	lethe_buffer_free(noise->keys);
	*noise = (struct noise){ 0 };
}

/* The keys of the session before are gone with this. */
static void begin_session(struct noise *noise)
{
	lethe_free(noise->session);
	noise->session = noise->next;
	noise->next = NULL;
	noise->sessions++;
}

/* By a message of the peer's; what is forged changes nothing. */
static int make_session(void (*section)(void *), struct call *call)
{
	int err;

	call->session = lethe_calloc(1, sizeof(*call->session));
	if (!call->session)
		return -errno;
	err = run_with_keys(section, call);
	if (err) {
		lethe_free(call->session);
		return err;
	}
	lethe_free(call->noise->next);
	call->noise->next = call->session;
	return 0;
}

int noise_begin(struct noise *noise, unsigned char *message)
{
	struct call call = { .noise = noise, .out = message, .result = -EIO };

	lethe_free(noise->handshake);
	noise->handshake = lethe_calloc(1, sizeof(*noise->handshake));
	return noise->handshake ? run_with_keys(messages_begin, &call) : -errno;
}

int noise_answer(struct noise *noise, const unsigned char *message, size_t length,
		 unsigned char *out)
{
	struct call call = {
		.noise = noise, .in = message, .out = out, .result = -EBADMSG
	};

	if (length != NOISE_INITIATION || message[0] != MESSAGE_INITIATION)
		return -EBADMSG;
	return make_session(messages_answer, &call);
}

int noise_finish(struct noise *noise, const unsigned char *message, size_t length)
{
	struct call call = { .noise = noise, .in = message, .result = -EBADMSG };
	int err;

	if (!noise->handshake || length != NOISE_RESPONSE ||
	    message[0] != MESSAGE_RESPONSE)
		return -EBADMSG;
	err = make_session(messages_finish, &call);
	if (err)
		return err;
	lethe_free(noise->handshake);
	noise->handshake = NULL;
	begin_session(noise);
	return 0;
}

int noise_seal(struct noise *noise, const void *packet, size_t length,
	       unsigned char *message)
{
	struct call call = { .noise = noise,
			     .in = packet,
			     .length = length,
			     .out = message,
			     .result = -EIO };

	if (!noise->session || noise->session->sent >= REJECT_AFTER_MESSAGES)
		return -ENOTCONN;
	return length > NOISE_PACKET ? -EMSGSIZE : run(messages_seal, &call);
}

int noise_open(struct noise *noise, const unsigned char *message, size_t length,
	       void *packet)
{
	struct call call = { .noise = noise,
			     .in = message,
			     .length = length,
			     .out = packet,
			     .result = -EBADMSG };
	int result;

	if (length < NOISE_OVERHEAD || length > NOISE_PACKET + NOISE_OVERHEAD ||
	    message[0] != MESSAGE_DATA)
		return -EBADMSG;
	result = run(messages_open, &call);
	/* Now the peer has shown that it has the keys. */
	if (result >= 0 && call.session == noise->next)
		begin_session(noise);
	return result;
}
