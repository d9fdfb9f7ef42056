// SPDX-License-Identifier: MIT
/*
 * libssl: a whole TLS 1.3 handshake over loopback, with a new key and certificate, and
 * data both ways. The server is a section of its own, or a thread that is in none.
 */
#include "libs.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define LENGTH 65536

struct side {
	SSL_CTX *context;
	SSL *ssl;
	EVP_PKEY *key;
	int socket;
	bool good;
};

struct talk {
	struct side client, server;
};

static X509 *certify(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name;

	if (!certificate)
		return NULL;
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				   (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	if (!X509_sign(certificate, key, EVP_sha256())) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

static bool read_all(SSL *ssl, unsigned char *to, int length)
{
	int n, done = 0;

	while (done < length) {
		n = SSL_read(ssl, to + done, length - done);
		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* What comes is sent back. */
static void serve(struct side *side)
{
	unsigned char *data = malloc(LENGTH);
	X509 *certificate;

	side->key = EVP_EC_gen("P-256");
	certificate = side->key ? certify(side->key) : NULL;
	side->context = SSL_CTX_new(TLS_server_method());
	side->good = data && certificate && side->context &&
		     SSL_CTX_use_certificate(side->context, certificate) == 1 &&
		     SSL_CTX_use_PrivateKey(side->context, side->key) == 1;
	side->ssl = side->good ? SSL_new(side->context) : NULL;
	side->good = side->ssl && SSL_set_fd(side->ssl, side->socket) == 1 &&
		     SSL_accept(side->ssl) == 1 && read_all(side->ssl, data, LENGTH) &&
		     SSL_write(side->ssl, data, LENGTH) == LENGTH;
	if (side->good)
		SSL_shutdown(side->ssl);
	X509_free(certificate);
	free(data);
}

static void *server(void *arg)
{
	serve(arg);
	return NULL;
}

static void connect_and_ask(struct side *side, struct use *use)
{
	unsigned char *sent = malloc(LENGTH), *got = malloc(LENGTH);
	int i;

	side->context = SSL_CTX_new(TLS_client_method());
	side->ssl = side->context ? SSL_new(side->context) : NULL;
	side->good = sent && got && side->ssl &&
		     SSL_set_fd(side->ssl, side->socket) == 1 &&
		     SSL_connect(side->ssl) == 1 &&
		     SSL_version(side->ssl) == TLS1_3_VERSION;
	for (i = 0; sent && i < LENGTH; i++)
		sent[i] = (unsigned char)(i * 7);
	side->good = side->good && SSL_write(side->ssl, sent, LENGTH) == LENGTH &&
		     read_all(side->ssl, got, LENGTH) && !memcmp(sent, got, LENGTH);
	if (side->good) {
		SSL_shutdown(side->ssl);
		memcpy(use->result, got, 64);
		strncpy((char *)use->result + 64, SSL_get_cipher_name(side->ssl), 63);
	}
	free(sent);
	free(got);
}

static void talk(struct use *use, bool both)
{
	struct talk *t = calloc(1, sizeof(*t));
	int sockets[2] = { -1, -1 }, err = -1;
	pthread_t thread;

	use->more = t;
	if (!t || !loopback(sockets))
		return;
	t->client.socket = sockets[0];
	t->server.socket = sockets[1];
	if (both && lethe_enabled())
		err = lethe_thread_create(&thread, NULL, server, &t->server);
	else
		err = pthread_create(&thread, NULL, server, &t->server);
	if (err)
		return;
	connect_and_ask(&t->client, use);
	/* Whatever happened, the other side ends. */
	if (!t->client.good)
		close(sockets[0]);
	pthread_join(thread, NULL);
	use->good = t->client.good && t->server.good;
	use->objects[0] = t;
	use->objects[1] = t->client.context;
	use->objects[2] = t->client.ssl;
	use->objects[3] = SSL_get_session(t->client.ssl);
	(both ? use->objects + 4 : use->ordinary)[0] = t->server.context;
	(both ? use->objects + 4 : use->ordinary)[1] = t->server.ssl;
	(both ? use->objects + 4 : use->ordinary)[2] = t->server.key;
	close(sockets[0]);
	close(sockets[1]);
}

static void talk_one(struct use *use)
{
	talk(use, false);
}

static void talk_both(struct use *use)
{
	talk(use, true);
}

static void hang_up(struct use *use)
{
	struct talk *t = use->more;

	if (!t)
		return;
	SSL_free(t->client.ssl);
	SSL_CTX_free(t->client.context);
	SSL_free(t->server.ssl);
	SSL_CTX_free(t->server.context);
	EVP_PKEY_free(t->server.key);
	free(t);
}

Test(libs, libssl_tls13_client_in_a_section)
{
	check_library(&(struct library){ "libssl, TLS 1.3, the client in a section",
					 talk_one, hang_up });
}

Test(libs, libssl_tls13_client_and_server_in_sections)
{
	check_library(&(struct library){ "libssl, TLS 1.3, both sides in sections",
					 talk_both, hang_up });
}
