// SPDX-License-Identifier: MIT
/*
 * The steps of the exchange but for the transfer itself. Each gives up what it no
 * longer needs in one place, whichever way it went.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "aes_schedule.h"
#include "exchange.h"

const enum step secret_steps[NR_SECRETS] = {
	[SECRET_SENDER_KEY] = STEP_AGREE,    [SECRET_RECEIVER_KEY] = STEP_AGREE,
	[SECRET_SHARED] = STEP_DERIVE,       [SECRET_SESSION_KEY] = STEP_TRANSFER,
	[SECRET_ROUND_KEYS] = STEP_TRANSFER,
};

int exchange_failed(struct exchange *x, const char *what)
{
	snprintf(x->error, sizeof(x->error), "%s", what);
	return -1;
}

int exchange_crypto_failed(struct exchange *x, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	snprintf(x->error, sizeof(x->error), "%s: %s", what,
		 reason ?: "libcrypto gives no reason");
	return -1;
}

int exchange_send(struct exchange *x, const void *bytes, size_t length)
{
	const char *from = bytes;

	while (length) {
		ssize_t n = send(x->socket, from, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return exchange_failed(x, "the other peer is gone");
		from += n;
		length -= n;
	}
	return 0;
}

int exchange_receive(struct exchange *x, void *bytes, size_t length)
{
	char *to = bytes;

	while (length) {
		ssize_t n = recv(x->socket, to, length, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return exchange_failed(x, "the other peer is gone");
		to += n;
		length -= n;
	}
	return 0;
}

/*
 * The private key is only asked for to make a needle. Asking for the public key
 * next, which is the same size, takes the same way through libcrypto and the
 * same registers, so what the first call left in them is no copy of ours.
 */
static EVP_PKEY *reveal_own_key(struct exchange *x, EVP_PKEY *key)
{
	uint8_t private[EXCHANGE_KEY_SIZE];
	size_t length;

	if (!key || !EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PRIV_KEY,
						     private, sizeof(private), &length))
		goto failed;
	x->reveal(x->arg, x->role == SENDER ? SECRET_SENDER_KEY : SECRET_RECEIVER_KEY,
		  private, length);
	OPENSSL_cleanse(private, sizeof(private));
	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, x->own,
					     sizeof(x->own), &length))
		goto failed;
	return key;
failed:
	exchange_crypto_failed(x, "making an X25519 key");
	EVP_PKEY_free(key);
	return NULL;
}

/* Onto the stack, which in a section is secret memory, and from nowhere else. */
static EVP_PKEY *read_own_key(struct exchange *x)
{
	uint8_t private[EXCHANGE_KEY_SIZE];
	size_t have = 0, length;
	EVP_PKEY *key = NULL;
	ssize_t n = 1;

	while (n && have < sizeof(private)) {
		n = read(x->key_fd, private + have, sizeof(private) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		have += (size_t)n;
	}
	if (have == sizeof(private))
		key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private,
						      sizeof(private));
	OPENSSL_cleanse(private, sizeof(private));
	if (have < sizeof(private)) {
		exchange_failed(x, "the private key cannot be read: it takes 32 bytes");
		return NULL;
	}
	if (!key || !EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, x->own,
						     sizeof(x->own), &length)) {
		exchange_crypto_failed(x, "reading an X25519 key");
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static EVP_PKEY *make_own_key(struct exchange *x)
{
	if (x->key_fd >= 0)
		return read_own_key(x);
	return reveal_own_key(x, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"));
}

static int derive_shared(struct exchange *x, EVP_PKEY *key)
{
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, x->other,
							sizeof(x->other));
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t length = EXCHANGE_KEY_SIZE;
	int err = 0;

	x->shared = OPENSSL_malloc(EXCHANGE_KEY_SIZE);
	if (!x->shared || !peer || !ctx || EVP_PKEY_derive_init(ctx) <= 0 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) <= 0 ||
	    EVP_PKEY_derive(ctx, x->shared, &length) <= 0 || length != EXCHANGE_KEY_SIZE)
		err = exchange_crypto_failed(x, "agreeing on a shared secret");
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return err;
}

static int agree(struct exchange *x)
{
	EVP_PKEY *key = make_own_key(x);
	int err;

	if (!key)
		return -1;
	err = exchange_send(x, x->own, sizeof(x->own));
	if (!err) {
		x->pause(x->arg);
		err = exchange_receive(x, x->other, sizeof(x->other));
	}
	if (!err)
		err = derive_shared(x, key);
	/* Nobody can have it later, not even we: forward secrecy. */
	EVP_PKEY_free(key);
	return err;
}

/* Both public keys, the sender's first: a key is good for this exchange only. */
static int hash_transcript(struct exchange *x, uint8_t transcript[32])
{
	static const char label[] = "lethe main job 1";
	uint8_t text[sizeof(label) + 2 * EXCHANGE_KEY_SIZE];
	uint8_t *keys = text + sizeof(label);
	bool first = x->role == SENDER;

	memcpy(text, label, sizeof(label));
	memcpy(keys, first ? x->own : x->other, EXCHANGE_KEY_SIZE);
	memcpy(keys + EXCHANGE_KEY_SIZE, first ? x->other : x->own, EXCHANGE_KEY_SIZE);
	if (!EVP_Q_digest(NULL, "SHA256", NULL, text, sizeof(text), transcript, NULL))
		return exchange_crypto_failed(x, "hashing the transcript");
	return 0;
}

static int derive_session(struct exchange *x, uint8_t transcript[32])
{
	char digest[] = "SHA256", info[] = "lethe file transfer";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, x->shared,
						  EXCHANGE_KEY_SIZE),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, transcript, 32),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
						  strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int err = 0;

	x->session = OPENSSL_malloc(EXCHANGE_KEY_SIZE);
	if (!x->session || !ctx ||
	    EVP_KDF_derive(ctx, x->session, EXCHANGE_KEY_SIZE, params) <= 0)
		err = exchange_crypto_failed(x, "deriving the session key");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return err;
}

static void give_up(uint8_t **key)
{
	OPENSSL_clear_free(*key, EXCHANGE_KEY_SIZE);
	*key = NULL;
}

static int derive(struct exchange *x)
{
	uint8_t transcript[32];
	int err;

	x->reveal(x->arg, SECRET_SHARED, x->shared, EXCHANGE_KEY_SIZE);
	x->pause(x->arg);
	err = hash_transcript(x, transcript);
	if (!err)
		err = derive_session(x, transcript);
	give_up(&x->shared);
	return err;
}

/* For the search alone; the cipher makes its own. */
static int reveal_round_keys(struct exchange *x)
{
	uint8_t *schedule = OPENSSL_malloc(AES256_SCHEDULE_SIZE);

	if (!schedule)
		return exchange_failed(x, "out of memory");
	aes256_expand(x->session, schedule);
	x->reveal(x->arg, SECRET_ROUND_KEYS, schedule + AES256_KEY_SIZE,
		  AES256_SCHEDULE_SIZE - AES256_KEY_SIZE);
	OPENSSL_clear_free(schedule, AES256_SCHEDULE_SIZE);
	return 0;
}

static int transfer(struct exchange *x)
{
	int err;

	x->reveal(x->arg, SECRET_SESSION_KEY, x->session, EXCHANGE_KEY_SIZE);
	err = reveal_round_keys(x);
	if (!err)
		err = transfer_run(x);
	give_up(&x->session);
	return err;
}

int exchange_step(struct exchange *x, enum step step)
{
	static int (*const steps[NR_STEPS])(struct exchange *) = {
		[STEP_AGREE] = agree,
		[STEP_DERIVE] = derive,
		[STEP_TRANSFER] = transfer,
	};
	int err = steps[step](x);

	if (err) {
		give_up(&x->shared);
		give_up(&x->session);
	}
	return err;
}
