// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A TLS server, 1.3 and 1.2, whose private key, tickets' keys and sessions are on secret
 * pages: one thread, many connections, a small answer by HTTP. Two files, against an
 * installed Lethe:
 *
 *	cc -D_GNU_SOURCE tls_server.c tls_server_session.c -Wl,--no-as-needed \
 *		-llethe-malloc -Wl,--as-needed -llethe -lssl -lcrypto -o tls_server
 *
 *	tls_server [-l ADDRESS] [-P PORT] [-u USER] [-p FD] [-t FD] [-n MOST] [-s SECONDS]
 *		[-c] CERTIFICATE KEY [CERTIFICATE KEY]...
 *
 * -p is a descriptor with the passphrase of the keys (encrypted on the disk, they are not
 * in the page cache either), -t one with 80 bytes of tickets' keys; -c has the kernel's
 * copies of registers overwritten where there is no module, for 70 us a section.
 *
 * What it shows of Lethe: how to put sections into an event loop. What waits, waits outside;
 * what has become possible is done in one section (tls_server_session.c), on the one secret
 * stack of this thread. So a connection costs what libssl allocates for it: 18 KiB of secret
 * memory while it waits for a request (OpenSSL 3.0; 33 with 3.5), 51 to 85 in the midst of
 * its handshake. The 8 MiB of RLIMIT_MEMLOCK are enough for 400 of the former (200), or 90 of
 * the latter. With a thread for each that is one section (lethe_thread_create()) it is a
 * secret stack of 256 KiB more, and 17 fitted. A connection, from its handshake to its
 * farewell, took 0.99 ms of processor so, 1.22 by such threads, and 0.83 with sections that
 * protect from nothing (OpenSSL 3.0, ECDSA).
 *
 * At the limit the connection that does not fit is closed, and a line says so; the others
 * go on, and nothing goes to ordinary memory instead.
 *
 * What it never does: touch a secret in this file; fork; dump core (what Lethe keeps out of
 * cores is out anyway; this is for the rest). A hibernation takes the keys with it: on the
 * module the next touch is a SIGBUS, and whoever started the server starts it anew.
 */
#include <errno.h>
#include <grp.h>
#include <lethe.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls_server.h"

struct connection {
	int socket;
	enum tls_next next;
	struct tls_session *session;
	time_t until;
};

struct server {
	const char *address, *port, *user;
	struct tls_setup setup;
	size_t most, count;
	time_t patience;
	int listening;
	struct connection *connections;
	struct pollfd *polled;
};

static volatile sig_atomic_t asked_to_end;

static void on_term(int number)
{
	(void)number;
	asked_to_end = 1;
}

static int failed(const char *what)
{
	fprintf(stderr, "tls_server: %s: %s\n", what, strerror(errno));
	return -1;
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static int listen_on(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST,
					.ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int fd, err = getaddrinfo(address, port, &hints, &found);

	if (err) {
		fprintf(stderr, "tls_server: %s: %s\n", address, gai_strerror(err));
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 128))
		fd = failed("cannot listen");
	freeaddrinfo(found);
	return fd;
}

/* After what only root may: its port is taken, its keys are read. */
static int give_up_privileges(const char *user)
{
	const struct rlimit none = { 0, 0 };
	const struct passwd *who;

	if (user) {
		who = getpwnam(user);
		if (!who) {
			fprintf(stderr, "tls_server: there is no user %s\n", user);
			return -1;
		}
		if (setgroups(0, NULL) || setgid(who->pw_gid) || setuid(who->pw_uid))
			return failed("cannot become another user");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none))
		return failed("cannot give up privileges");
	return 0;
}

static void say(const struct connection *connection, const char *what)
{
	fprintf(stderr, "tls_server: connection %d: %s\n", connection->socket, what);
}

/* The last one takes its place. */
static void drop(struct server *server, size_t number)
{
	struct connection *connection = server->connections + number;

	tls_close(connection->session);
	close(connection->socket);
	*connection = server->connections[--server->count];
}

static void let_in(struct server *server)
{
	struct connection *fresh = server->connections + server->count;
	struct tls_reason reason = { .no_memory = false };
	int fd = accept4(server->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	/* What a handshake sends is many small records. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	*fresh = (struct connection){ fd, TLS_WAIT_TO_READ, tls_open(fd, &reason),
				      now() + server->patience };
	if (fresh->session) {
		server->count++;
		return;
	}
	say(fresh, reason.text);
	close(fd);
}

static void go_on(struct server *server, size_t number)
{
	struct connection *connection = server->connections + number;
	struct tls_reason reason = { .no_memory = false };

	connection->next = tls_advance(connection->session, &reason);
	if (connection->next == TLS_FAILED)
		say(connection, reason.text);
	if (connection->next == TLS_FAILED || connection->next == TLS_OVER)
		drop(server, number);
}

/* Backwards: whoever takes the place of one that is dropped has been looked at. */
static void look_at(struct server *server, const struct pollfd *polled)
{
	for (size_t n = server->count; n--;) {
		if (now() >= server->connections[n].until) {
			say(server->connections + n, "too slow");
			drop(server, n);
		} else if (polled[n].revents) {
			go_on(server, n);
		}
	}
}

static void prepare(const struct server *server, struct pollfd *door)
{
	const struct connection *connection = server->connections;

	/* Who does not fit any more waits in the kernel. */
	*door = (struct pollfd){ server->count < server->most ? server->listening : -1,
				 POLLIN, 0 };
	for (size_t n = 0; n < server->count; n++, connection++)
		door[1 + n] = (struct pollfd){
			connection->socket,
			connection->next == TLS_WAIT_TO_WRITE ? POLLOUT : POLLIN, 0
		};
}

/* Signals come while it waits, and at no other time. */
static int serve(struct server *server, const sigset_t *while_waiting)
{
	const struct timespec second = { 1, 0 };
	struct pollfd *door = server->polled;

	while (!asked_to_end) {
		prepare(server, door);
		if (ppoll(door, 1 + server->count, server->count ? &second : NULL,
			  while_waiting) < 0) {
			if (errno != EINTR)
				return failed("cannot wait");
			continue;
		}
		look_at(server, door + 1);
		if (door->revents)
			let_in(server);
	}
	return 0;
}

static int run(struct server *server, const sigset_t *while_waiting)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);
	struct tls_reason reason = { .no_memory = false };
	char port[16];
	int err;

	server->listening = listen_on(server->address, server->port);
	if (server->listening < 0)
		return -1;
	if (tls_start(&server->setup, &reason)) {
		fprintf(stderr, "tls_server: %s\n", reason.text);
		err = -1;
		goto out;
	}
	err = give_up_privileges(server->user);
	if (err)
		goto out;
	getsockname(server->listening, (struct sockaddr *)&own, &length);
	getnameinfo((struct sockaddr *)&own, length, NULL, 0, port, sizeof(port),
		    NI_NUMERICSERV);
	printf("serving on port %s, secrets on %s\n", port, lethe_backend());
	fflush(stdout);
	err = serve(server, while_waiting);
	while (server->count)
		drop(server, server->count - 1);
out:
	tls_end();
	close(server->listening);
	return err;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: tls_server [-l ADDRESS] [-P PORT] [-u USER] [-p FD] [-t FD] "
		"[-n MOST] [-s SECONDS] [-c] CERTIFICATE KEY...\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_term };
	struct server server = { .address = "127.0.0.1",
				 .port = "4433",
				 .most = 256,
				 .patience = 10,
				 .setup = { NULL, -1, -1, 0 } };
	sigset_t term, before;
	int option;

	while ((option = getopt(argc, argv, "l:P:u:p:t:n:s:c")) != -1) {
		switch (option) {
		case 'l':
			server.address = optarg;
			break;
		case 'P':
			server.port = optarg;
			break;
		case 'u':
			server.user = optarg;
			break;
		case 'p':
			server.setup.passphrase = atoi(optarg);
			break;
		case 't':
			server.setup.ticket_keys = atoi(optarg);
			break;
		case 'n':
			server.most = strtoul(optarg, NULL, 10);
			break;
		case 's':
			server.patience = atol(optarg);
			break;
		case 'c':
			server.setup.flags = LETHE_COMPLETE;
			break;
		default:
			return usage();
		}
	}
	if (optind == argc || (argc - optind) % 2 || !server.most)
		return usage();
	server.setup.files = argv + optind;
	server.connections = calloc(server.most, sizeof(*server.connections));
	server.polled = calloc(server.most + 1, sizeof(*server.polled));
	if (!server.connections || !server.polled)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaddset(&term, SIGINT);
	sigprocmask(SIG_BLOCK, &term, &before);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	option = run(&server, &before) ? 1 : 0;
	free(server.connections);
	free(server.polled);
	return option;
}
