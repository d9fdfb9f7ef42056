// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * WireGuard's messages: the Noise_IKpsk2 handshake and data. The names in the comments are
 * those of the white paper, 5.4.
 *
 * All of it runs in secret sections, on a secret stack, and what libcrypto allocates for
 * it is on the secret heap (-llethe-malloc). So nothing here is wiped by hand: chaining
 * keys, shared secrets and keys of messages are plain local variables.
 */
#include "handshake_messages.h"

#include <endian.h>
#include <lethe.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "handshake_crypto.h"

#define TIMESTAMP 12

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* Little endian, as the messages are: 32 bits at a time, of which a type is the first. */
struct initiation {
	uint32_t type, sender;
	unsigned char ephemeral[NOISE_KEY], fixed[NOISE_KEY + CRYPTO_TAG],
		timestamp[TIMESTAMP + CRYPTO_TAG];
	unsigned char mac1[16], mac2[16];
} __attribute__((packed));
struct response {
	uint32_t type, sender, receiver;
	unsigned char ephemeral[NOISE_KEY], empty[CRYPTO_TAG];
	unsigned char mac1[16], mac2[16];
} __attribute__((packed));
struct data {
	uint32_t type, receiver;
	uint64_t counter;
	unsigned char packet[];
} __attribute__((packed));
_Static_assert(sizeof(struct initiation) == NOISE_INITIATION, "as WireGuard has it");
_Static_assert(sizeof(struct response) == NOISE_RESPONSE, "as WireGuard has it");
_Static_assert(sizeof(struct data) + CRYPTO_TAG == NOISE_OVERHEAD, "as WireGuard has it");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "no byte is swapped here");

static bool mix_hash(struct noise_handshake *h, const void *data, size_t length)
{
	return crypto_hash(h->hash, h->hash, NOISE_KEY, data, length);
}

/* What both sides begin with. */
static bool start(struct noise_handshake *h, const unsigned char *responder)
{
	return crypto_hash(h->chain, construction, strlen(construction), NULL, 0) &&
	       crypto_hash(h->hash, h->chain, NOISE_KEY, identifier,
			   strlen(identifier)) &&
	       mix_hash(h, responder, NOISE_KEY);
}

/* C, and a key if one is asked for, from a shared secret. */
static bool mix_dh(struct noise_handshake *h, const unsigned char *private_key,
		   const unsigned char *public_key, unsigned char *key)
{
	unsigned char shared[NOISE_KEY];

	return crypto_dh(private_key, NULL, public_key, shared) &&
	       crypto_kdf(h->chain, shared, sizeof(shared), h->chain, key, NULL);
}

static bool fresh_ephemeral(struct noise_handshake *h, unsigned char *public_key)
{
	return getrandom(h->ephemeral, NOISE_KEY, 0) == NOISE_KEY &&
	       crypto_dh(h->ephemeral, public_key, NULL, NULL) &&
	       crypto_kdf(h->chain, public_key, NOISE_KEY, h->chain, NULL, NULL) &&
	       mix_hash(h, public_key, NOISE_KEY);
}

/* As WireGuard does, 2^24 ns at a time: they are to tell an order, not the time. */
static void timestamp(unsigned char *out)
{
	struct timespec now;
	uint64_t seconds;
	uint32_t part;

	clock_gettime(CLOCK_REALTIME, &now);
	seconds = htobe64(0x400000000000000aULL + now.tv_sec);
	part = htobe32(now.tv_nsec & ~0xffffffUL);
	memcpy(out, &seconds, sizeof(seconds));
	memcpy(out + sizeof(seconds), &part, sizeof(part));
}

void messages_begin(void *arg)
{
	struct call *call = arg;
	struct noise *noise = call->noise;
	struct noise_handshake *h = noise->handshake;
	struct initiation *m = (void *)call->out;
	unsigned char key[NOISE_KEY], now[TIMESTAMP];

	*m = (struct initiation){ .type = MESSAGE_INITIATION };
	timestamp(now);
	if (getrandom(&h->index, sizeof(h->index), 0) != sizeof(h->index) ||
	    !start(h, noise->peer) || !fresh_ephemeral(h, m->ephemeral) ||
	    !mix_dh(h, h->ephemeral, noise->peer, key) ||
	    !crypto_aead(true, key, 0, h->hash, NOISE_KEY, noise->public_key, NOISE_KEY,
			 m->fixed) ||
	    !mix_hash(h, m->fixed, sizeof(m->fixed)) ||
	    !mix_dh(h, call->keys->private_key, noise->peer, key) ||
	    !crypto_aead(true, key, 0, h->hash, NOISE_KEY, now, TIMESTAMP,
			 m->timestamp) ||
	    !mix_hash(h, m->timestamp, sizeof(m->timestamp)))
		return;
	m->sender = h->index;
	if (crypto_mac1(m->mac1, noise->peer, m, offsetof(struct initiation, mac1)))
		call->result = 0;
}

/* The half of the handshake that both compute alike, once they know the ephemeral keys. */
static bool mix_preshared(struct noise_handshake *h, const struct keys *keys,
			  unsigned char *key)
{
	unsigned char tau[NOISE_KEY];

	return crypto_kdf(h->chain, keys->preshared, NOISE_KEY, h->chain, tau, key) &&
	       mix_hash(h, tau, sizeof(tau));
}

static bool read_ephemeral(struct noise_handshake *h, const unsigned char *public_key)
{
	return crypto_kdf(h->chain, public_key, NOISE_KEY, h->chain, NULL, NULL) &&
	       mix_hash(h, public_key, NOISE_KEY);
}

/* Whose it is and of when, or false. */
static bool read_initiation(struct noise *noise, const struct keys *keys,
			    struct noise_handshake *h, const struct initiation *m)
{
	unsigned char key[NOISE_KEY], mac[16], from[NOISE_KEY], then[TIMESTAMP];

	if (!crypto_mac1(mac, noise->public_key, m, offsetof(struct initiation, mac1)) ||
	    !lethe_equal(mac, m->mac1, sizeof(mac)) || !start(h, noise->public_key) ||
	    !read_ephemeral(h, m->ephemeral) ||
	    !mix_dh(h, keys->private_key, m->ephemeral, key) ||
	    !crypto_aead(false, key, 0, h->hash, NOISE_KEY, m->fixed, sizeof(m->fixed),
			 from) ||
	    !lethe_equal(from, noise->peer, NOISE_KEY) ||
	    !mix_hash(h, m->fixed, sizeof(m->fixed)) ||
	    !mix_dh(h, keys->private_key, noise->peer, key) ||
	    !crypto_aead(false, key, 0, h->hash, NOISE_KEY, m->timestamp,
			 sizeof(m->timestamp), then) ||
	    !mix_hash(h, m->timestamp, sizeof(m->timestamp)) ||
	    memcmp(then, noise->newest, TIMESTAMP) <= 0)
		return false;
	memcpy(noise->newest, then, TIMESTAMP);
	return true;
}

void messages_answer(void *arg)
{
	struct call *call = arg;
	struct noise *noise = call->noise;
	const struct initiation *in = (const void *)call->in;
	struct response *m = (void *)call->out;
	struct noise_session *session = call->session;
	struct noise_handshake h;
	unsigned char key[NOISE_KEY];

	*m = (struct response){ .type = MESSAGE_RESPONSE };
	if (!read_initiation(noise, call->keys, &h, in) ||
	    getrandom(&h.index, sizeof(h.index), 0) != sizeof(h.index) ||
	    !fresh_ephemeral(&h, m->ephemeral) ||
	    !mix_dh(&h, h.ephemeral, in->ephemeral, NULL) ||
	    !mix_dh(&h, h.ephemeral, noise->peer, NULL) ||
	    !mix_preshared(&h, call->keys, key) ||
	    !crypto_aead(true, key, 0, h.hash, NOISE_KEY, NULL, 0, m->empty))
		return;
	m->sender = session->ours = h.index;
	m->receiver = session->theirs = in->sender;
	if (crypto_kdf(h.chain, NULL, 0, session->receive, session->send, NULL) &&
	    crypto_mac1(m->mac1, noise->peer, m, offsetof(struct response, mac1)))
		call->result = 0;
}

void messages_finish(void *arg)
{
	struct call *call = arg;
	struct noise *noise = call->noise;
	const struct response *m = (const void *)call->in;
	struct noise_session *session = call->session;
	/* A copy: what is forged must not spoil it for the true answer. */
	struct noise_handshake h = *noise->handshake;
	unsigned char key[NOISE_KEY], mac[16];

	if (m->receiver != h.index ||
	    !crypto_mac1(mac, noise->public_key, m, offsetof(struct response, mac1)) ||
	    !lethe_equal(mac, m->mac1, sizeof(mac)) ||
	    !read_ephemeral(&h, m->ephemeral) ||
	    !mix_dh(&h, h.ephemeral, m->ephemeral, NULL) ||
	    !mix_dh(&h, call->keys->private_key, m->ephemeral, NULL) ||
	    !mix_preshared(&h, call->keys, key) ||
	    !crypto_aead(false, key, 0, h.hash, NOISE_KEY, m->empty, CRYPTO_TAG, key) ||
	    !crypto_kdf(h.chain, NULL, 0, session->send, session->receive, NULL))
		return;
	session->ours = h.index;
	session->theirs = m->sender;
	call->result = 0;
}

void messages_seal(void *arg)
{
	struct call *call = arg;
	struct noise_session *session = call->noise->session;
	struct data *m = (void *)call->out;

	m->type = MESSAGE_DATA;
	m->receiver = session->theirs;
	m->counter = session->sent++;
	if (crypto_aead(true, session->send, m->counter, NULL, 0, call->in, call->length,
			m->packet))
		call->result = call->length + NOISE_OVERHEAD;
}

void messages_open(void *arg)
{
	struct call *call = arg;
	struct noise *noise = call->noise;
	const struct data *m = (const void *)call->in;
	struct noise_session *session = noise->next && noise->next->ours == m->receiver ?
						noise->next :
						noise->session;
	size_t length = call->length - sizeof(*m);

	/* In order, and each once: the next to be received or a later one. */
	if (!session || session->ours != m->receiver || m->counter < session->received ||
	    !crypto_aead(false, session->receive, m->counter, NULL, 0, m->packet, length,
			 call->out))
		return;
	session->received = m->counter + 1;
	call->session = session;
	call->result = length - CRYPTO_TAG;
}
