// SPDX-License-Identifier: MIT
/*
 * The file, in records under AES-256-GCM.
 *
 * A record is a type, a length, that much ciphertext and a tag. The nonce is
 * the record's number, which nobody sends; type and length are authenticated.
 * First the file's size, then its bytes, 64 KiB a record and at least one
 * record, then their SHA-256.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "exchange.h"

#define TAG_SIZE 16
#define HEADER_SIZE 5
#define DIGEST_SIZE 32

enum { RECORD_SIZE, RECORD_DATA, RECORD_DIGEST };

struct channel {
	struct exchange *x;
	EVP_CIPHER_CTX *cipher;
	EVP_MD_CTX *digest;
	uint64_t number; /* of the next record */
	uint8_t *plain;  /* EXCHANGE_RECORD_SIZE bytes each */
	uint8_t *wire;
	uint8_t *file;
};

static void store_be(uint8_t *to, uint64_t value, int bytes)
{
	while (bytes--) {
		to[bytes] = value;
		value >>= 8;
	}
}

static uint64_t load_be(const uint8_t *from, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

static void make_header(uint8_t header[HEADER_SIZE], int type, size_t length)
{
	header[0] = type;
	store_be(header + 1, length, 4);
}

/* The next nonce, and what is authenticated beside the text. */
static bool begin_record(struct channel *c, const uint8_t header[HEADER_SIZE])
{
	uint8_t nonce[12] = { 0 };
	int n;

	store_be(nonce + 4, c->number++, 8);
	return EVP_CipherInit_ex2(c->cipher, NULL, NULL, nonce, -1, NULL) &&
	       EVP_CipherUpdate(c->cipher, NULL, &n, header, HEADER_SIZE);
}

/* @length bytes of c->plain. */
static int send_record(struct channel *c, int type, size_t length)
{
	uint8_t header[HEADER_SIZE], tag[TAG_SIZE];
	int n, last;

	make_header(header, type, length);
	if (!begin_record(c, header) ||
	    !EVP_CipherUpdate(c->cipher, c->wire, &n, c->plain, length) ||
	    !EVP_CipherFinal_ex(c->cipher, c->wire + n, &last) ||
	    !EVP_CIPHER_CTX_ctrl(c->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag))
		return exchange_crypto_failed(c->x, "encrypting a record");
	if (exchange_send(c->x, header, sizeof(header)) ||
	    exchange_send(c->x, c->wire, length) || exchange_send(c->x, tag, sizeof(tag)))
		return -1;
	return 0;
}

/* Into c->plain: a record of this type and length, and no other. */
static int receive_record(struct channel *c, int type, size_t length)
{
	uint8_t header[HEADER_SIZE], expected[HEADER_SIZE], tag[TAG_SIZE];
	int n, last;

	make_header(expected, type, length);
	if (exchange_receive(c->x, header, sizeof(header)))
		return -1;
	if (memcmp(header, expected, sizeof(header)))
		return exchange_failed(c->x, "a record that was not expected");
	if (exchange_receive(c->x, c->wire, length) ||
	    exchange_receive(c->x, tag, sizeof(tag)))
		return -1;
	if (!begin_record(c, header) ||
	    !EVP_CipherUpdate(c->cipher, c->plain, &n, c->wire, length) ||
	    !EVP_CIPHER_CTX_ctrl(c->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag))
		return exchange_crypto_failed(c->x, "decrypting a record");
	if (!EVP_CipherFinal_ex(c->cipher, c->plain + n, &last))
		return exchange_failed(c->x, "a record that is not authentic");
	return 0;
}

static int read_file(struct channel *c, uint8_t *to, uint64_t offset, size_t length)
{
	while (length) {
		ssize_t n = pread(c->x->file, to, length, offset);

		if (n <= 0)
			return exchange_failed(c->x,
					       "the file changed, or cannot be read");
		to += n;
		offset += n;
		length -= n;
	}
	return 0;
}

static int update_digest(struct channel *c, size_t length)
{
	if (!EVP_DigestUpdate(c->digest, c->plain, length))
		return exchange_crypto_failed(c->x, "SHA-256");
	return 0;
}

static int finish_digest(struct channel *c)
{
	if (!EVP_DigestFinal_ex(c->digest, c->x->digest, NULL))
		return exchange_crypto_failed(c->x, "SHA-256");
	return 0;
}

static int send_chunk(struct channel *c, uint64_t offset, size_t length)
{
	if (read_file(c, c->plain, offset, length) || update_digest(c, length))
		return -1;
	return send_record(c, RECORD_DATA, length);
}

static int receive_chunk(struct channel *c, uint64_t offset, size_t length)
{
	if (receive_record(c, RECORD_DATA, length) || update_digest(c, length) ||
	    read_file(c, c->file, offset, length))
		return -1;
	if (memcmp(c->plain, c->file, length))
		return exchange_failed(c->x, "what arrived is not the file");
	return 0;
}

static int transfer_chunks(struct channel *c)
{
	struct exchange *x = c->x;
	uint64_t size = x->size;
	uint64_t i, n = (size + EXCHANGE_RECORD_SIZE - 1) / EXCHANGE_RECORD_SIZE;

	if (!n)
		n = 1;
	for (i = 0; i < n; i++) {
		uint64_t offset = i * EXCHANGE_RECORD_SIZE, left = size - offset;
		size_t length = left < EXCHANGE_RECORD_SIZE ? left : EXCHANGE_RECORD_SIZE;

		if (x->role == SENDER ? send_chunk(c, offset, length) :
					receive_chunk(c, offset, length))
			return -1;
		if (i == (n - 1) / 2)
			x->pause(x->arg);
	}
	return finish_digest(c);
}

static int send_file(struct channel *c)
{
	struct stat status;

	if (fstat(c->x->file, &status) < 0)
		return exchange_failed(c->x, "the file cannot be asked for its size");
	c->x->size = status.st_size;
	store_be(c->plain, c->x->size, 8);
	if (send_record(c, RECORD_SIZE, 8) || transfer_chunks(c))
		return -1;
	memcpy(c->plain, c->x->digest, DIGEST_SIZE);
	return send_record(c, RECORD_DIGEST, DIGEST_SIZE);
}

static int receive_file(struct channel *c)
{
	struct stat status;

	if (receive_record(c, RECORD_SIZE, 8))
		return -1;
	c->x->size = load_be(c->plain, 8);
	if (fstat(c->x->file, &status) < 0 || (uint64_t)status.st_size != c->x->size)
		return exchange_failed(c->x, "the file is not of the size that was sent");
	if (transfer_chunks(c) || receive_record(c, RECORD_DIGEST, DIGEST_SIZE))
		return -1;
	if (memcmp(c->plain, c->x->digest, DIGEST_SIZE))
		return exchange_failed(c->x, "the SHA-256 of what arrived is another");
	return 0;
}

static int open_channel(struct channel *c, const uint8_t *key)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	int err = 0;

	c->cipher = EVP_CIPHER_CTX_new();
	c->digest = EVP_MD_CTX_new();
	c->plain = OPENSSL_malloc(EXCHANGE_RECORD_SIZE);
	c->wire = OPENSSL_malloc(EXCHANGE_RECORD_SIZE);
	c->file = OPENSSL_malloc(EXCHANGE_RECORD_SIZE);
	if (!c->cipher || !c->digest || !c->plain || !c->wire || !c->file || !gcm ||
	    !sha256 ||
	    !EVP_CipherInit_ex2(c->cipher, gcm, key, NULL, c->x->role == SENDER, NULL) ||
	    !EVP_DigestInit_ex(c->digest, sha256, NULL))
		err = exchange_crypto_failed(c->x, "AES-256-GCM");
	EVP_MD_free(sha256);
	EVP_CIPHER_free(gcm);
	return err;
}

static void close_channel(struct channel *c)
{
	EVP_CIPHER_CTX_free(c->cipher);
	EVP_MD_CTX_free(c->digest);
	OPENSSL_clear_free(c->plain, EXCHANGE_RECORD_SIZE);
	OPENSSL_clear_free(c->wire, EXCHANGE_RECORD_SIZE);
	OPENSSL_clear_free(c->file, EXCHANGE_RECORD_SIZE);
}

int transfer_run(struct exchange *x)
{
	struct channel c = { .x = x };
	int err = open_channel(&c, x->session);

	if (!err)
		err = x->role == SENDER ? send_file(&c) : receive_file(&c);
	close_channel(&c);
	return err;
}
