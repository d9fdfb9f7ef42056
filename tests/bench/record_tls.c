// SPDX-License-Identifier: MIT
/*
 * A TLS 1.3 handshake by libssl, a certificate verified, and a record each way.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "record.h"

#define HELLO "a record"

static SSL_CTX *server_ctx, *client_ctx;

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	if (!X509_set_version(cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), 3600) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const unsigned char *)"lethe", -1, -1, 0) ||
	    !X509_set_issuer_name(cert, name) || !X509_set_pubkey(cert, key) ||
	    !X509_sign(cert, key, EVP_sha256()))
		tap_bail("no certificate");
	return cert;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION))
		tap_bail("no SSL_CTX");
	/* A resumption would spare half of the handshake. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

void tls_prepare(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert;

	if (!key)
		tap_bail("no key");
	cert = self_signed(key);
	server_ctx = new_ctx(TLS_server_method());
	client_ctx = new_ctx(TLS_client_method());
	if (SSL_CTX_use_certificate(server_ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey(server_ctx, key) != 1 ||
	    !X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), cert))
		tap_bail("the certificate is not taken");
	SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static SSL *begin(SSL_CTX *ctx, const int *end)
{
	SSL *ssl = SSL_new(ctx);

	if (!ssl || SSL_set_fd(ssl, *end) != 1)
		tap_bail("no SSL");
	return ssl;
}

static void end_it(SSL *ssl, const int *end)
{
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(*end);
}

static void *serve(void *end)
{
	char record[sizeof(HELLO)];
	SSL *ssl;

	record_as(1);
	ssl = begin(server_ctx, end);
	if (SSL_accept(ssl) != 1 ||
	    SSL_read(ssl, record, sizeof(record)) != (int)sizeof(record) ||
	    SSL_write(ssl, record, sizeof(record)) != (int)sizeof(record))
		tap_bail("the server's side of the handshake failed");
	end_it(ssl, end);
	return NULL;
}

static void *ask(void *end)
{
	char record[sizeof(HELLO)];
	SSL *ssl;

	record_as(2);
	ssl = begin(client_ctx, end);
	if (SSL_connect(ssl) != 1 || SSL_version(ssl) != TLS1_3_VERSION ||
	    SSL_get_verify_result(ssl) != X509_V_OK || !SSL_get0_peer_certificate(ssl) ||
	    SSL_write(ssl, HELLO, sizeof(HELLO)) != (int)sizeof(HELLO) ||
	    SSL_read(ssl, record, sizeof(record)) != (int)sizeof(record) ||
	    memcmp(record, HELLO, sizeof(HELLO)) != 0)
		tap_bail("the client's side of the handshake failed");
	end_it(ssl, end);
	return NULL;
}

void tls_shake_hands(void)
{
	record_pair(serve, ask);
}
