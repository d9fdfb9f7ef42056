/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * WireGuard's handshake and its packets, for one peer: Noise_IKpsk2 of X25519,
 * ChaCha20-Poly1305 and BLAKE2s, byte for byte as its white paper has it. Two files to
 * take over as they are; handshake.c is a program with them.
 *
 * Every secret is in secret memory at all times: the private and the preshared key in a
 * guarded buffer, sealed but while a handshake is computed; what has to wait for the
 * peer's answer and the keys of a session on the secret heap; all else, ephemeral keys,
 * shared secrets and chaining keys, in a section and nowhere else.
 *
 * It never keeps what is over: to begin a session erases the one before, whose packets
 * nobody can read from then on, whoever gets whichever key later. It does not do what
 * asks for no secret: cookies under load, padding, packets out of order, timers.
 */
#ifndef HANDSHAKE_NOISE_H
#define HANDSHAKE_NOISE_H

#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY 32
#define NOISE_INITIATION 148
#define NOISE_RESPONSE 92
#define NOISE_OVERHEAD 32
#define NOISE_PACKET 1500

struct lethe_buffer;
struct noise_handshake;
struct noise_session;

/* Nothing in here is secret but what the pointers lead to. */
struct noise {
	struct lethe_buffer *keys;
	unsigned char public_key[NOISE_KEY], peer[NOISE_KEY];
	unsigned char newest[12];          /* timestamp of the peer's */
	struct noise_handshake *handshake; /* begun here, and not answered yet */
	struct noise_session *next;        /* answered here, and not used yet */
	struct noise_session *session;
	unsigned long sessions; /* so far */
};

/*
 * Each returns a length or 0, or a negative errno: -EBADMSG for what is not of the peer
 * or not of this time, which is to be dropped without a word; -EIO if libcrypto fails;
 * else as lethe_do() and lethe_buffer_new().
 */

/*
 * The files have one key each as `wg genkey` writes it. @preshared may be -1. @peer is
 * the other's public key in that form.
 */
int noise_new(struct noise *noise, int private_key, int preshared, const char *peer);
void noise_free(struct noise *noise);
/* No session any more: its keys, and what of a handshake was under way, are erased. */
void noise_end(struct noise *noise);

/* Ours to send: NOISE_INITIATION bytes. One that was not answered is forgotten. */
int noise_begin(struct noise *noise, unsigned char *message);
/* The peer's; @answer has NOISE_RESPONSE bytes to send. */
int noise_answer(struct noise *noise, const unsigned char *message, size_t length,
		 unsigned char *answer);
/* The peer's answer: there is a session. */
int noise_finish(struct noise *noise, const unsigned char *message, size_t length);

/* A packet into a message of NOISE_OVERHEAD bytes more; -ENOTCONN if there is no session. */
int noise_seal(struct noise *noise, const void *packet, size_t length,
	       unsigned char *message);
/* And out of it: its length, 0 for one that only keeps the session alive. */
int noise_open(struct noise *noise, const unsigned char *message, size_t length,
	       void *packet);

#endif /* HANDSHAKE_NOISE_H */
