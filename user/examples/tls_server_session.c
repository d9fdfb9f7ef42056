// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The half of the TLS server that has secrets: all of libssl's work, libssl being as
 * Debian ships it. tls_server.c has the other half, and how to compile both.
 *
 * What it shows of Lethe: every call that has to do with a key is made in a section, so
 * that with liblethe-malloc whatever libssl allocates for it lies on the secret heap, and
 * what it leaves in registers and on the stack is erased when the call has returned. The
 * private key is read, decrypted and kept so; the secrets of sessions, the keys of tickets,
 * the generator's state, requests and answers too. What outlives a section is a pointer.
 *
 * What it never does: hand out a secret, block, write to a stream, or run a section for as
 * long as a connection lasts: that would take a thread, and so a stack, for each.
 *
 * Outside of sections stays what libssl and libcrypto set up once, the same in every
 * process: the configuration, the providers, names and tables of methods. It has no secret,
 * and would be some 60 KiB of the secret heap until the process ends.
 */
#include "tls_server.h"

#include <errno.h>
#include <lethe.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a session may come to need, beyond what it begins with: a record each way, and
 * half again for the handshake's. Not to let one in is kinder than to end two. */
#define HEADROOM (64 * 1024)

struct tls_session {
	enum { SHAKING, READING, WRITING, LEAVING } state;
	SSL *ssl;
	size_t had, sent, length;
	char request[2048], answer[512];
};

static SSL_CTX *context;
static struct lethe_options how = { .size = sizeof(how) };

/* From a section: text that libcrypto has for every such case, and nothing of this one. */
static void explain(struct tls_reason *reason, const char *what)
{
	unsigned long error;
	const char *why = NULL;

	while ((error = ERR_get_error())) {
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			reason->no_memory = true;
		if (ERR_reason_error_string(error))
			why = ERR_reason_error_string(error);
	}
	if (reason->no_memory)
		why = "no secret memory is left (RLIMIT_MEMLOCK)";
	snprintf(reason->text, sizeof(reason->text), "%s%s%s", what, why ? ": " : "",
		 why ? why : "");
}

/* A section that could not be is told of as anything else that failed. */
static bool run(void (*fn)(void *), void *arg, struct tls_reason *reason)
{
	int err = lethe_do_with(&how, fn, arg, NULL);

	if (!err)
		return true;
	reason->no_memory = err == -ENOMEM;
	snprintf(reason->text, sizeof(reason->text), "no secret section: %s",
		 strerror(-err));
	return false;
}

struct secret_text {
	char text[128];
	size_t length;
};

/* No stream, whose buffer would be one more copy. */
static bool read_all(int fd, void *to, size_t most, size_t *length)
{
	ssize_t n = 1;

	for (*length = 0; *length < most && n > 0; *length += n > 0 ? (size_t)n : 0)
		n = read(fd, (char *)to + *length, most - *length);
	return n >= 0;
}

static int passphrase(char *to, int size, int writing, void *arg)
{
	const struct secret_text *given = arg;

	(void)writing;
	if (!given->length || given->length > (size_t)size)
		return -1;
	memcpy(to, given->text, given->length);
	return (int)given->length;
}

/* The tickets' keys, that several servers may have in common; else libssl made some. */
static bool take_ticket_keys(int fd)
{
	unsigned char keys[80], more;
	size_t length, rest;

	return fd < 0 ||
	       (read_all(fd, keys, sizeof(keys), &length) && length == sizeof(keys) &&
		read_all(fd, &more, 1, &rest) && !rest &&
		SSL_CTX_set_tlsext_ticket_keys(context, keys, sizeof(keys)) == 1);
}

static bool take_pair(const char *certificate, const char *key)
{
	return SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
	       SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 &&
	       SSL_CTX_check_private_key(context) == 1;
}

struct start {
	const struct tls_setup *setup;
	struct tls_reason *reason;
	bool good;
};

/* SSL_CTX_new() is here, too: it makes the tickets' keys. */
static void start(void *arg)
{
	struct start *start = arg;
	const struct tls_setup *setup = start->setup;
	struct secret_text given = { .length = 0 };
	const char *what = "no context";

	context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		goto out;
	/* Sessions are in the tickets that clients keep, and nowhere here. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* One that waits keeps no buffer, of 16 KiB each way. */
	SSL_CTX_set_mode(context,
			 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	what = "the passphrase cannot be read";
	if (setup->passphrase >= 0 &&
	    !read_all(setup->passphrase, given.text, sizeof(given.text), &given.length))
		goto out;
	if (given.length && given.text[given.length - 1] == '\n')
		given.length--;
	SSL_CTX_set_default_passwd_cb(context, passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &given);
	what = "a certificate and its key cannot be taken";
	for (char *const *file = setup->files; *file; file += 2)
		if (!take_pair(file[0], file[1]))
			goto out;
	what = "the tickets' keys cannot be read: 80 bytes are wanted";
	start->good = take_ticket_keys(setup->ticket_keys);
out:
	if (context)
		SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	if (!start->good)
		explain(start->reason, what);
}

int tls_start(const struct tls_setup *setup, struct tls_reason *reason)
{
	struct start job = { .setup = setup, .reason = reason };

	how.flags = setup->flags;
	/* What is the same in every process: see above. */
	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				 OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			 NULL);
	return run(start, &job, reason) && job.good ? 0 : -1;
}

struct opening {
	int socket;
	struct tls_session *session;
	struct tls_reason *reason;
};

static void open_session(void *arg)
{
	struct tls_session *session = calloc(1, sizeof(*session));
	struct opening *opening = arg;
	void *headroom = malloc(HEADROOM);

	opening->reason->no_memory = !session || !headroom;
	free(headroom);
	if (session && headroom)
		session->ssl = SSL_new(context);
	if (!session || !session->ssl || SSL_set_fd(session->ssl, opening->socket) != 1) {
		explain(opening->reason, "not let in");
		if (session)
			SSL_free(session->ssl);
		free(session);
		return;
	}
	SSL_set_accept_state(session->ssl);
	opening->session = session;
}

struct tls_session *tls_open(int socket, struct tls_reason *reason)
{
	struct opening opening = { .socket = socket, .reason = reason };

	return run(open_session, &opening, reason) ? opening.session : NULL;
}

static const char *level(const void *address)
{
	static const char *const names[] = { "ordinary", "locked", "unmapped" };

	return names[lethe_level_of(address)];
}

static void compose(struct tls_session *session)
{
	char body[200];
	bool good = !strncmp(session->request, "GET / HTTP/1.", 13);

	snprintf(body, sizeof(body), "%s, %s, %s session, secrets in %s memory\n",
		 SSL_get_version(session->ssl), SSL_get_cipher_name(session->ssl),
		 SSL_session_reused(session->ssl) ? "resumed" : "new",
		 level(session->ssl));
	if (!good)
		strcpy(body, "Here is nothing but GET /\n");
	session->length = (size_t)snprintf(
		session->answer, sizeof(session->answer),
		"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n\r\n%s",
		good ? "200 OK" : "404 Not Found", strlen(body), body);
}

/* As far as the next state. Return: what libssl's function did. */
static int step(struct tls_session *session)
{
	size_t room = sizeof(session->request) - 1 - session->had;
	int n;

	switch (session->state) {
	case SHAKING:
		n = SSL_accept(session->ssl);
		if (n > 0)
			session->state = READING;
		return n;
	case READING:
		n = SSL_read(session->ssl, session->request + session->had, (int)room);
		if (n <= 0)
			return n;
		session->had += (size_t)n;
		if (strstr(session->request, "\r\n\r\n") || (size_t)n == room) {
			compose(session);
			session->state = WRITING;
		}
		return n;
	case WRITING:
		n = SSL_write(session->ssl, session->answer + session->sent,
			      (int)(session->length - session->sent));
		if (n <= 0)
			return n;
		session->sent += (size_t)n;
		if (session->sent == session->length)
			session->state = LEAVING;
		return n;
	default:
		n = SSL_shutdown(session->ssl);
		/* Ours is said; theirs has to be waited for. */
		return n ? n : SSL_shutdown(session->ssl);
	}
}

struct advance {
	struct tls_session *session;
	struct tls_reason *reason;
	enum tls_next next;
};

static void advance(void *arg)
{
	static const char *const during[] = { "no handshake", "no request", "no answer",
					      "no farewell" };
	struct advance *advance = arg;
	struct tls_session *session = advance->session;
	bool leaving;
	int n;

	do {
		leaving = session->state == LEAVING;
		ERR_clear_error();
		n = step(session);
	} while (n > 0 && !leaving);
	if (n > 0) {
		advance->next = TLS_OVER;
		return;
	}
	switch (SSL_get_error(session->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		advance->next = TLS_WAIT_TO_READ;
		break;
	case SSL_ERROR_WANT_WRITE:
		advance->next = TLS_WAIT_TO_WRITE;
		break;
	default:
		/* Whoever has the answer may go without a word. */
		advance->next = leaving ? TLS_OVER : TLS_FAILED;
		explain(advance->reason, during[session->state]);
	}
}

enum tls_next tls_advance(struct tls_session *session, struct tls_reason *reason)
{
	struct advance job = { session, reason, TLS_FAILED };

	return run(advance, &job, reason) ? job.next : TLS_FAILED;
}

static void close_session(void *arg)
{
	struct tls_session *session = arg;

	SSL_free(session->ssl);
	free(session);
}

void tls_close(struct tls_session *session)
{
	struct tls_reason reason;

	if (session && !run(close_session, session, &reason))
		abort();
}

static void end(void *arg)
{
	(void)arg;
	SSL_CTX_free(context);
	context = NULL;
}

void tls_end(void)
{
	struct tls_reason reason;

	if (!run(end, NULL, &reason))
		abort();
}
