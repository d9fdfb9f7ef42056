/* SPDX-License-Identifier: MIT */
/*
 * The main job: two peers agree on a key that nobody can have later, and one
 * sends the other a file under it.
 *
 * Ephemeral X25519, HKDF-SHA256, AES-256-GCM, by whatever libcrypto the system
 * has, in three steps, each of which gives up what it no longer needs: the
 * private key, the shared secret, the session key. Written as a careful programmer writes it today: every result checked,
 * every key freed by the library's own call, every buffer cleansed. It knows
 * nothing of Lethe: the same steps run plainly and each in a secret section.
 * The peers do not prove who they are to each other; the job is about what is
 * left afterwards.
 */
#ifndef RESIDUE_EXCHANGE_H
#define RESIDUE_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_KEY_SIZE 32
#define EXCHANGE_RECORD_SIZE (64 * 1024)

enum role { SENDER, RECEIVER };

/* What a search looks for. */
enum secret {
	SECRET_SENDER_KEY,
	SECRET_RECEIVER_KEY,
	SECRET_SHARED,
	SECRET_SESSION_KEY,
	SECRET_ROUND_KEYS, /* past the first two, which are the key */
	NR_SECRETS,
};

/* In order; one that fails is the last. */
enum step {
	STEP_AGREE,    /* makes a key of its own, ends with the shared secret */
	STEP_DERIVE,   /* ends with the session key */
	STEP_TRANSFER, /* ends with nothing */
	NR_STEPS,
};

/* The step that a secret is given up in. */
extern const enum step secret_steps[NR_SECRETS];

/**
 * struct exchange - one peer's side
 * @role: SENDER sends the file; RECEIVER decrypts and compares it with its own
 * @socket: a stream to the other peer
 * @file: open for reading; both peers have it
 * @reveal: called with each secret as it comes to be, for a needle to be made;
 *	must not copy it
 * @pause: called once in each step, while what it will give up is in use; may
 *	block
 * @arg: handed to both
 * @key_fd: the sender reads its private key there, instead of making one, so that
 *	somebody else knows what to search for; -1: it makes one, as it should
 * @size: returns the bytes of the file
 * @digest: returns their SHA-256, which both peers computed
 * @error: returns what went wrong, a sentence
 * @own: the public key of this peer
 * @other: and of the other one
 * @shared: the shared secret, from its step to the next
 * @session: the session key, likewise
 */
struct exchange {
	enum role role;
	int socket;
	int file;
	void (*reveal)(void *arg, enum secret which, const void *secret, size_t length);
	void (*pause)(void *arg);
	void *arg;
	int key_fd;

	uint64_t size;
	uint8_t digest[32];
	char error[160];

	uint8_t own[EXCHANGE_KEY_SIZE], other[EXCHANGE_KEY_SIZE];
	uint8_t *shared, *session;
};

/*
 * 0; or -1 and @error, with every key freed. Either way what the step gives up
 * is freed and cleansed by then.
 */
int exchange_step(struct exchange *x, enum step step);

/* transfer.c: the file, under the session key. 0, or -1 and @error. */
int transfer_run(struct exchange *x);

/* Both give -1, for "return exchange_failed(...)". */
int exchange_failed(struct exchange *x, const char *what);
int exchange_crypto_failed(struct exchange *x, const char *what);
/* All of @length bytes; 0, or -1 and @error. */
int exchange_send(struct exchange *x, const void *bytes, size_t length);
int exchange_receive(struct exchange *x, void *bytes, size_t length);

#endif /* RESIDUE_EXCHANGE_H */
