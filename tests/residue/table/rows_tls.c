// SPDX-License-Identifier: MIT
/*
 * libssl's row: a TLS 1.3 handshake with a new key and certificate, and a record each way,
 * both ends in one section and nothing between them but memory. Told are the server's
 * private key; the secrets that the handshake made, as SSL_CTX_set_keylog_callback(3) gives
 * them out for Wireshark, with the keys that follow from them for the records; and what a
 * later connection would be resumed by.
 */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "row.h"
#include "rows_crypto.h"

#define SCALAR 32
#define KEY 32
#define TRAFFIC_MAX 64
#define HELLO "a record"

static int value_of(char digit)
{
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* RFC 8446, section 7.3, with the hash of TLS_AES_256_GCM_SHA384. */
static void reveal_record_key(uint8_t *traffic, size_t length)
{
	char digest[] = "SHA384", prefix[] = "tls13 ", label[] = "key";
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, traffic, length),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix,
						  strlen(prefix)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, label,
						  strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	uint8_t key[KEY];

	if (!ctx || EVP_KDF_derive(ctx, key, sizeof(key), params) != 1)
		row_die("the key of the records");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	row_reveal(key, sizeof(key));
	row_scrub(key, sizeof(key));
}

/* A label, what the client made up for all to see, and the secret, in hex. */
static void reveal_traffic(const SSL *ssl, const char *line)
{
	const char *hex = strrchr(line, ' ') + 1;
	uint8_t traffic[TRAFFIC_MAX];
	size_t length = 0;

	(void)ssl;
	for (; hex[0] && hex[1] && length < TRAFFIC_MAX; hex += 2)
		traffic[length++] = (uint8_t)(value_of(hex[0]) << 4 | value_of(hex[1]));
	row_reveal(traffic, length);
	if (strstr(line, "_TRAFFIC_SECRET_0 "))
		reveal_record_key(traffic, length);
	row_scrub(traffic, sizeof(traffic));
}

static void reveal_private(EVP_PKEY *key)
{
	uint8_t private[SCALAR];
	BIGNUM *number = NULL;

	if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) ||
	    BN_bn2binpad(number, private, sizeof(private)) != sizeof(private))
		row_die("the server's private key");
	BN_clear_free(number);
	row_reveal(private, sizeof(private));
	row_scrub(private, sizeof(private));
}

static void reveal_session(const SSL *ssl)
{
	uint8_t master[SSL_MAX_MASTER_KEY_LENGTH];
	size_t length = SSL_SESSION_get_master_key(SSL_get_session(ssl), master,
						   sizeof(master));

	if (!length)
		row_die("the session");
	row_reveal(master, length);
	row_scrub(master, sizeof(master));
}

static X509 *certify(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	if (!X509_set_version(certificate, X509_VERSION_3) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) ||
	    !X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const unsigned char *)"residue", -1, -1, 0) ||
	    !X509_set_issuer_name(certificate, name) ||
	    !X509_set_pubkey(certificate, key) ||
	    !X509_sign(certificate, key, EVP_sha256()))
		row_die("no certificate");
	return certificate;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384"))
		row_die("no SSL_CTX");
	return ctx;
}

static SSL_CTX *new_server(X509 *certificate, EVP_PKEY *key)
{
	SSL_CTX *ctx = new_ctx(TLS_server_method());

	if (SSL_CTX_use_certificate(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1)
		row_die("the certificate is not taken");
	SSL_CTX_set_keylog_callback(ctx, reveal_traffic);
	return ctx;
}

static SSL_CTX *new_client(X509 *certificate)
{
	SSL_CTX *ctx = new_ctx(TLS_client_method());

	if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate))
		row_die("the certificate is not trusted");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

static void connect_ends(SSL *server, SSL *client)
{
	BIO *ends[2];

	if (!server || !client || !BIO_new_bio_pair(&ends[0], 0, &ends[1], 0))
		row_die("no SSL");
	SSL_set_bio(server, ends[0], ends[0]);
	SSL_set_bio(client, ends[1], ends[1]);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
}

/* Each as far as it comes with what the other has sent, until both are through. */
static void shake_hands(SSL *server, SSL *client)
{
	SSL *const both[] = { client, server };
	int done, turn, i, result;

	for (turn = 0, done = 0; done < 2 && turn < 10; turn++) {
		for (i = 0, done = 0; i < 2; i++) {
			result = SSL_do_handshake(both[i]);
			if (result != 1 &&
			    SSL_get_error(both[i], result) != SSL_ERROR_WANT_READ)
				row_die("the handshake failed");
			done += result == 1;
		}
	}
	if (done < 2 || SSL_get_verify_result(client) != X509_V_OK)
		row_die("the handshake did not end");
}

static void send_record(SSL *from, SSL *to)
{
	char record[sizeof(HELLO)];

	if (SSL_write(from, HELLO, sizeof(HELLO)) != (int)sizeof(HELLO) ||
	    SSL_read(to, record, sizeof(record)) != (int)sizeof(record) ||
	    memcmp(record, HELLO, sizeof(HELLO)) != 0)
		row_die("a record did not arrive");
}

void tls_handshake(uint8_t *secret)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *certificate = key ? certify(key) : NULL;
	SSL_CTX *server_ctx, *client_ctx;
	SSL *server, *client;

	(void)secret;
	if (!certificate)
		row_die("no key");
	reveal_private(key);
	server_ctx = new_server(certificate, key);
	client_ctx = new_client(certificate);
	server = SSL_new(server_ctx);
	client = SSL_new(client_ctx);
	connect_ends(server, client);
	shake_hands(server, client);
	send_record(client, server);
	send_record(server, client);
	reveal_session(client);
	if (SSL_shutdown(client) < 0 || SSL_shutdown(server) < 0)
		row_die("the connection did not end");
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	X509_free(certificate);
	EVP_PKEY_free(key);
}
