// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A key holder: what ssh-agent is for, with its protocol, for Ed25519. ssh, ssh-add and
 * ssh-keygen use it as it is.
 *
 *	cc holder.c holder_keys.c holder_protocol.c \
 *		$(pkg-config --cflags --libs lethe-malloc) -lcrypto -o holder
 *
 *	./holder ~/.ssh/holder &
 *	export SSH_AUTH_SOCK=~/.ssh/holder
 *	ssh-add ~/.ssh/id_ed25519
 *
 * It shows a daemon on Lethe: what clients send is read straight to the secret heap and
 * wiped once it is answered; keys are sealed while they wait, and used in sections
 * (holder_keys.h); when nothing was asked for 10 seconds it gives back what secret pages
 * it does not need. With -t keys live so many seconds, if ssh-add says nothing else.
 *
 * It never serves another user, root neither; is not dumped, nor to be traced by the same
 * user; and never waits for one client while others do. What the kernel had of a message
 * in the socket's buffer, it had.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <lethe.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "holder_protocol.h"

enum { CLIENTS = 32, IDLE = 10 * 1000 };

/* On the secret heap: a message may be a key or a passphrase. */
struct client {
	int fd;
	size_t length;
	unsigned char message[4 + PROTOCOL_MESSAGE];
};

struct server {
	struct holder holder;
	struct client *clients[CLIENTS];
	int listener;
	uint32_t seconds;
	bool idle;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void hang_up(struct client **client)
{
	close((*client)->fd);
	lethe_free(*client);
	*client = NULL;
}

static void accept_client(struct server *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client **place = server->clients;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	while (place < server->clients + CLIENTS && *place)
		place++;
	if (place < server->clients + CLIENTS &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	    peer.uid == geteuid())
		*place = lethe_calloc(1, sizeof(**place));
	else
		place = NULL;
	if (place && *place)
		(*place)->fd = fd;
	else
		close(fd);
}

/* Whole messages are answered. False if there is nothing more to expect of the client. */
static bool serve_client(struct server *server, struct client *client)
{
	static unsigned char answer[PROTOCOL_ANSWER];
	const unsigned char *m = client->message;
	ssize_t got = read(client->fd, client->message + client->length,
			   sizeof(client->message) - client->length);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!got)
		return false;
	client->length += got;
	while (client->length >= 4) {
		size_t length = (size_t)m[0] << 24 | m[1] << 16 | m[2] << 8 | m[3], size;

		if (!length || length > PROTOCOL_MESSAGE)
			return false;
		if (client->length < 4 + length)
			return true;
		size = protocol_answer(&server->holder, client->message + 4, length,
				       server->seconds, answer);
		client->length -= 4 + length;
		memmove(client->message, client->message + 4 + length, client->length);
		lethe_wipe(client->message + client->length, 4 + length);
		/* Who does not read its answers is not waited for. */
		if (send(client->fd, answer, size, MSG_NOSIGNAL) != (ssize_t)size)
			return false;
	}
	return true;
}

/* How long there is nothing to do: until a key's time is over, or it is idle. */
static int wait_for(struct server *server)
{
	int until = holder_expire(&server->holder);

	if (!server->idle && (until < 0 || until > IDLE))
		return IDLE;
	return until;
}

static int serve(struct server *server)
{
	struct pollfd polled[CLIENTS + 1];
	int wait, ready;

	while (!stopped) {
		polled[CLIENTS] = (struct pollfd){ server->listener, POLLIN, 0 };
		for (int i = 0; i < CLIENTS; i++)
			polled[i] = (struct pollfd){ server->clients[i] ?
							     server->clients[i]->fd :
							     -1,
						     POLLIN, 0 };
		wait = wait_for(server);
		ready = poll(polled, CLIENTS + 1, wait);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready <= 0) {
			if (!ready && wait == IDLE) {
				lethe_trim();
				server->idle = true;
			}
			continue;
		}
		server->idle = false;
		for (int i = 0; i < CLIENTS; i++) {
			if (polled[i].revents &&
			    !serve_client(server, server->clients[i]))
				hang_up(&server->clients[i]);
		}
		if (polled[CLIENTS].revents)
			accept_client(server);
	}
	return 0;
}

/* To nobody else from the first moment on. */
static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, err;
	mode_t before;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	before = umask(0177);
	err = bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	umask(before);
	if (!err && listen(fd, 16)) {
		err = -errno;
		unlink(path);
	}
	if (err)
		close(fd);
	return err ? err : fd;
}

static int keep_to_oneself(void)
{
	const struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ?
		       -errno :
		       0;
}

/*
 * What libcrypto sets up at its first use it keeps: here, outside of sections, so that it
 * takes no secret page.
 */
static bool start_libcrypto(void)
{
	static const unsigned char no_key[HOLDER_SEED] = { 1 }, no_salt[16];
	unsigned char signature[HOLDER_SIGNATURE], made[32];
	size_t length = sizeof(signature);
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, no_key,
						     sizeof(no_key));
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = key && context &&
		    EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestSign(context, signature, &length, no_key, sizeof(no_key)) ==
			    1 &&
		    EVP_PBE_scrypt("", 0, no_salt, sizeof(no_salt), 2, 1, 1, 0, made,
				   sizeof(made)) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return good;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct sigaction action = { .sa_handler = stop };
	unsigned long seconds = 0;
	char none[] = "", *end = none;
	int option, err;

	while ((option = getopt(argc, argv, "t:")) == 't' && !*end)
		seconds = strtoul(optarg, &end, 10);
	server.seconds = seconds;
	if (option != -1 || *end || seconds > UINT32_MAX || argc - optind != 1) {
		fprintf(stderr, "usage: holder [-t SECONDS] SOCKET\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	err = keep_to_oneself();
	if (!err && !start_libcrypto())
		err = -EIO;
	if (!err)
		err = server.listener = listen_at(argv[optind]);
	if (err >= 0) {
		err = serve(&server);
		unlink(argv[optind]);
	}
	for (int i = 0; i < CLIENTS; i++) {
		if (server.clients[i])
			hang_up(&server.clients[i]);
	}
	holder_remove_all(&server.holder);
	if (err)
		fprintf(stderr, "holder: %s\n", strerror(-err));
	return err ? 1 : 0;
}
