/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of guarded buffers know of each other.
 *
 * Layers, each of which calls only those above it:
 *	buffer_cipher.c	ChaCha20-Poly1305
 *	buffer_run.c	pages with nothing on either side, and which are kept
 *	buffer_guard.c	the canary, and access
 *	buffer.c	the buffer: its life, and who has it open
 *	buffer_seal.c	what is encrypted at rest, and under which key
 *	buffer_data.c	ways into a buffer and out of it
 *
 * Nothing that the library needs to know of a buffer lies in its pages. They hold
 * zeroes, the canary and the data, in this order and up to the very last byte.
 */
#ifndef LETHE_BUFFER_H
#define LETHE_BUFFER_H

#include <pthread.h>

#include "internal.h"

/* Of what all buffers have in common: the lists, the pool, the key. Never for long. */
extern pthread_mutex_t buffers_lock;

/**
 * struct run - secret pages, with a page or more of nothing on either side
 * @start: the first; NULL: there are none
 * @pages: how many
 * @generation: see revoked_generation()
 * @quick: they are not protected while they are kept
 */
struct run {
	char *start;
	size_t pages;
	unsigned int generation;
	bool quick;
};

/* What is kept for later of pages that no buffer is in. */
#define RUNS_KEPT_PAGES 16

/* Zeroed, to be written. 0 or -errno. */
int run_get(struct run *run, size_t pages);
/* Of pages that may be written and are there. Wipes. @quick: see LETHE_BUFFER_QUICK. */
void run_put(struct run *run, bool quick);
/* 0 or -errno: -ESTALE, they are lost, and nothing is at their address. */
int run_protect(const struct run *run, enum lethe_access access);
/* Of pages that may be read: are they there? -ESTALE where they were revoked. */
int run_present(const struct run *run);

/* No reservation is larger (space.c). */
#define BUFFER_LENGTH_MAX (16 * 1024 * MIB)

/* All of it, always. */
bool is_zero(const char *p, size_t length);

/* Bytes of the canary, as far as there is room before the data. */
#define CANARY_SIZE ((size_t)16)

/**
 * struct sealed - what is in the place of pages while a buffer is sealed
 * @text: in ordinary memory: the ciphertext, and the tag; NULL: not sealed
 * @key: the one that it is sealed with
 * @nonce: which was used for this and for nothing else
 */
struct sealed {
	unsigned char *text;
	const struct lethe_buffer *key;
	uint64_t nonce;
};

/**
 * struct lethe_buffer - a buffer, in ordinary memory
 * @lock: for what is below it
 * @next: in the list of those that are none
 * @live: it is one
 * @quick: LETHE_BUFFER_QUICK
 * @forks: how many there were between the first process and the one that made it
 * @length: bytes
 * @run: its pages; the data are the last bytes of them
 * @at_rest: how they may be accessed while nobody has it open
 * @now: how they may be
 * @readers: how often it is open for that
 * @writer: it is open to be written
 * @canary: what must stand before the data
 * @sealed: or this instead of pages
 */
struct lethe_buffer {
	pthread_mutex_t lock;
	struct lethe_buffer *next;
	bool live, quick;
	unsigned int forks;
	size_t length;
	struct run run;
	enum lethe_access at_rest, now;
	unsigned int readers;
	bool writer;
	unsigned char canary[CANARY_SIZE];
	struct sealed sealed;
};

static inline char *buffer_data(const struct lethe_buffer *b)
{
	return b->run.start + b->run.pages * PAGE - b->length;
}

/* buffer_guard.c: all with the buffer's lock. Pages, and the canary. 0 or -errno. */
int buffer_get_pages(struct lethe_buffer *b);
/* Aborts if anything before the data was written. */
void buffer_put_pages(struct lethe_buffer *b);
/* 0 or -errno; as run_protect() and run_present(). */
int buffer_set_access(struct lethe_buffer *b, enum lethe_access access);
/* With buffers_lock. */
void buffer_guard_fork_child(void);

/*
 * buffer.c: as lethe_buffer_open(), for a function of the library's own: where it is open to be
 * written, whoever has it so is taken to have called. 1: to be closed; 0; or -errno.
 */
int buffer_use(struct lethe_buffer *b, enum lethe_access access);

/* With buffers_lock: what there is, is the parent's. */
void buffer_fork_child(void);

/* buffer_seal.c: with the buffer's lock. 0 or -errno. */
int buffer_seal(struct lethe_buffer *b);
int buffer_unseal(struct lethe_buffer *b, enum lethe_access access);
/* What is sealed goes, unread. */
void buffer_forget_sealed(struct lethe_buffer *b);
/* Give back the key, if nothing is sealed with it. */
void buffer_key_trim(void);
/* With buffers_lock: the key is lost. */
void buffer_key_lose(void);

#define CIPHER_KEY_SIZE 32
#define CIPHER_NONCE_SIZE 12
#define CIPHER_TAG_SIZE 16
#define CIPHER_BLOCK 64

/**
 * struct cipher - one message of RFC 8439's AEAD_CHACHA20_POLY1305
 * @key: CIPHER_KEY_SIZE bytes
 * @nonce: never twice with the same key
 * @known: what is authenticated and not encrypted
 * @known_length: its bytes
 * @plain: @length bytes
 * @text: as many, encrypted, and then the tag
 * @length: bytes
 */
struct cipher {
	const unsigned char *key;
	unsigned char nonce[CIPHER_NONCE_SIZE];
	const void *known;
	size_t known_length;
	unsigned char *plain, *text;
	size_t length;
};

/*
 * buffer_cipher.c: takes the same time whatever the key and the data are; leaves both
 * in registers and on the stack, so it runs in a section.
 */
void cipher_encrypt(const struct cipher *cipher);
/* False, and nothing decrypted, if the tag is another. */
bool cipher_decrypt(const struct cipher *cipher);

/* What they are made of. */
void chacha20_block(unsigned char out[CIPHER_BLOCK], const unsigned char *key,
		    uint32_t counter, const unsigned char *nonce);

struct poly1305 {
	uint64_t r[3], h[3], pad[2];
};

void poly1305_begin(struct poly1305 *poly, const unsigned char key[32]);
/* What is no multiple of 16 is filled up with zeroes. */
void poly1305_add(struct poly1305 *poly, const void *data, size_t length);
void poly1305_end(struct poly1305 *poly, unsigned char tag[16]);

#endif /* LETHE_BUFFER_H */
