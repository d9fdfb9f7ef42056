/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What tls_server.c, which has the sockets, asks of tls_server_session.c, which has the
 * keys. Each function runs in a secret section of its own; what is handed in and out here
 * is no secret: paths, descriptors, and what may stand in a log.
 */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include <stdbool.h>

struct tls_session;

/* Why something is over, for the log. */
struct tls_reason {
	char text[160];
	/* The secret heap was full. */
	bool no_memory;
};

struct tls_setup {
	/* A certificate's file, its key's, and so on, as many kinds of key as there are. */
	char *const *files;
	/* Descriptors to read the keys' passphrase and the tickets' keys from; or -1. */
	int passphrase, ticket_keys;
	/* LETHE_COMPLETE, or 0. */
	unsigned int flags;
};

enum tls_next {
	TLS_WAIT_TO_READ,
	TLS_WAIT_TO_WRITE,
	TLS_OVER,
	TLS_FAILED,
};

/* Return: 0; or -1, and reason. */
int tls_start(const struct tls_setup *setup, struct tls_reason *reason);

/* Return: a session for a socket that does not block; NULL, and reason. */
struct tls_session *tls_open(int socket, struct tls_reason *reason);

/* Whatever can be done without waiting: handshake, request, answer, farewell. */
enum tls_next tls_advance(struct tls_session *session, struct tls_reason *reason);

/* Frees it, which wipes it. NULL is fine. */
void tls_close(struct tls_session *session);

/* The keys as well. */
void tls_end(void);

#endif /* TLS_SERVER_H */
