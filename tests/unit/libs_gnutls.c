// SPDX-License-Identifier: MIT
/*
 * GnuTLS: a key, a certificate made with it, a signature, a hash, AEAD, and a TLS 1.3
 * handshake over loopback with a server in a section of its own, data both ways.
 */
#include "libs.h"

#ifdef HAVE_gnutls
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LENGTH 10000
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3"

struct side {
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	int socket;
	bool good;
};

struct talk {
	struct side client, server;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
};

static bool certify(struct talk *t)
{
	time_t now = time(NULL);

	return !gnutls_x509_privkey_init(&t->key) &&
	       !gnutls_x509_privkey_generate(
		       t->key, GNUTLS_PK_ECDSA,
		       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) &&
	       !gnutls_x509_crt_init(&t->certificate) &&
	       !gnutls_x509_crt_set_version(t->certificate, 3) &&
	       !gnutls_x509_crt_set_serial(t->certificate, "\1", 1) &&
	       !gnutls_x509_crt_set_activation_time(t->certificate, now - 3600) &&
	       !gnutls_x509_crt_set_expiration_time(t->certificate, now + 3600) &&
	       !gnutls_x509_crt_set_dn(t->certificate, "CN=localhost", NULL) &&
	       !gnutls_x509_crt_set_key(t->certificate, t->key) &&
	       !gnutls_x509_crt_sign2(t->certificate, t->certificate, t->key,
				      GNUTLS_DIG_SHA256, 0);
}

static bool receive(gnutls_session_t session, unsigned char *to, size_t length)
{
	ssize_t n;

	while (length) {
		n = gnutls_record_recv(session, to, length);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			return false;
		to += n;
		length -= (size_t)n;
	}
	return true;
}

static bool shake_hands(struct side *side, unsigned int flags)
{
	int err;

	if (gnutls_init(&side->session, flags) ||
	    gnutls_priority_set_direct(side->session, PRIORITY, NULL) ||
	    gnutls_credentials_set(side->session, GNUTLS_CRD_CERTIFICATE,
				   side->credentials))
		return false;
	gnutls_transport_set_int(side->session, side->socket);
	gnutls_handshake_set_timeout(side->session, 30000);
	do {
		err = gnutls_handshake(side->session);
	} while (err < 0 && !gnutls_error_is_fatal(err));
	return !err && gnutls_protocol_get_version(side->session) == GNUTLS_TLS1_3;
}

static void *serve(void *arg)
{
	struct talk *t = arg;
	struct side *side = &t->server;
	unsigned char data[LENGTH];

	side->good = !gnutls_certificate_allocate_credentials(&side->credentials) &&
		     !gnutls_certificate_set_x509_key(side->credentials, &t->certificate,
						      1, t->key) &&
		     shake_hands(side, GNUTLS_SERVER) &&
		     receive(side->session, data, LENGTH) &&
		     gnutls_record_send(side->session, data, LENGTH) == LENGTH;
	return NULL;
}

static bool ask(struct side *side, struct use *use)
{
	unsigned char sent[LENGTH], got[LENGTH];
	size_t i;

	for (i = 0; i < LENGTH; i++)
		sent[i] = (unsigned char)(i * 7);
	if (gnutls_certificate_allocate_credentials(&side->credentials) ||
	    !shake_hands(side, GNUTLS_CLIENT) ||
	    gnutls_record_send(side->session, sent, LENGTH) != LENGTH ||
	    !receive(side->session, got, LENGTH))
		return false;
	memcpy(use->result, got, 32);
	return !memcmp(sent, got, LENGTH);
}

static bool sign(struct talk *t)
{
	gnutls_datum_t text = { (unsigned char *)"what is signed", 14 },
		       signature = { 0 };
	gnutls_privkey_t private = NULL;
	gnutls_pubkey_t public = NULL;
	bool good;

	good = !gnutls_privkey_init(&private) &&
	       !gnutls_privkey_import_x509(private, t->key, 0) &&
	       !gnutls_privkey_sign_data2(private, GNUTLS_SIGN_ECDSA_SHA256, 0, &text,
					  &signature) &&
	       !gnutls_pubkey_init(&public) &&
	       !gnutls_pubkey_import_privkey(public, private, 0, 0) &&
	       gnutls_pubkey_verify_data2(public, GNUTLS_SIGN_ECDSA_SHA256, 0, &text,
					  &signature) >= 0;
	text.size--;
	good = good && gnutls_pubkey_verify_data2(public, GNUTLS_SIGN_ECDSA_SHA256, 0,
						  &text, &signature) < 0;
	gnutls_free(signature.data);
	gnutls_privkey_deinit(private);
	gnutls_pubkey_deinit(public);
	return good;
}

static bool seal(struct use *use)
{
	gnutls_datum_t key = { (unsigned char *)"a key of thirty-two bytes or so", 32 };
	unsigned char text[32] = "a text", opened[32], sealed[48], iv[12] = "an iv";
	size_t sealed_length = sizeof(sealed), opened_length = sizeof(opened);
	gnutls_aead_cipher_hd_t aead = NULL;
	bool good;

	good = !gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_256_GCM, &key) &&
	       !gnutls_aead_cipher_encrypt(aead, iv, 12, NULL, 0, 16, text, 32, sealed,
					   &sealed_length) &&
	       !gnutls_aead_cipher_decrypt(aead, iv, 12, NULL, 0, 16, sealed, 48, opened,
					   &opened_length) &&
	       !memcmp(text, opened, 32);
	memcpy(use->result + 32, sealed, 48);
	sealed[0] ^= 1;
	good = good && gnutls_aead_cipher_decrypt(aead, iv, 12, NULL, 0, 16, sealed, 48,
						  opened, &opened_length) < 0;
	use->objects[6] = aead;
	return good && !gnutls_hash_fast(GNUTLS_DIG_SHA256, "abc", 3, use->result + 80);
}

static void use_gnutls(struct use *use)
{
	struct talk *t = calloc(1, sizeof(*t));
	int sockets[2] = { -1, -1 }, err;
	pthread_t thread;

	use->more = t;
	if (!t || !certify(t) || !sign(t) || !seal(use) || !loopback(sockets))
		return;
	t->client.socket = sockets[0];
	t->server.socket = sockets[1];
	if (lethe_enabled())
		err = lethe_thread_create(&thread, NULL, serve, t);
	else
		err = pthread_create(&thread, NULL, serve, t);
	if (err)
		return;
	t->client.good = ask(&t->client, use);
	if (!t->client.good)
		close(sockets[0]);
	pthread_join(thread, NULL);
	use->good = t->client.good && t->server.good;
	use->objects[0] = t->key;
	use->objects[1] = t->certificate;
	use->objects[2] = t->client.session;
	use->objects[3] = t->client.credentials;
	use->objects[4] = t->server.session;
	use->objects[5] = t->server.credentials;
	close(sockets[0]);
	close(sockets[1]);
}

static void free_side(struct side *side)
{
	if (side->session)
		gnutls_deinit(side->session);
	if (side->credentials)
		gnutls_certificate_free_credentials(side->credentials);
}

static void free_gnutls(struct use *use)
{
	struct talk *t = use->more;

	if (!t)
		return;
	free_side(&t->client);
	free_side(&t->server);
	gnutls_x509_crt_deinit(t->certificate);
	gnutls_x509_privkey_deinit(t->key);
	gnutls_aead_cipher_deinit(use->objects[6]);
	free(t);
}

Test(libs, gnutls)
{
	check_library(&(struct library){ "GnuTLS, TLS 1.3, both sides in sections",
					 use_gnutls, free_gnutls });
}

#else
WITHOUT("GnuTLS", gnutls)
#endif
