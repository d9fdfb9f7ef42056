// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A WireGuard peer in user space, without a tunnel: what comes on standard input is sent
 * to the peer, encrypted, one packet for each read(2), and what the peer sends goes to
 * standard output. The peer may be another of these or a kernel's WireGuard, for which a
 * packet has to be one of IP.
 *
 *	cc handshake.c handshake_noise.c handshake_messages.c handshake_crypto.c \
 *		$(pkg-config --cflags --libs lethe-malloc) -lcrypto -o handshake
 *
 *	wg genkey >a; wg genkey >b
 *	./handshake -k b $(wg pubkey <a) 127.0.0.1 51820 listen
 *	./handshake -k a $(wg pubkey <b) 127.0.0.1 51820
 *
 * It shows a protocol with forward secrecy on Lethe: long-lived keys sealed in a guarded
 * buffer, session keys on the secret heap and erased by the next handshake, all that is in
 * between in sections (handshake_noise.h). Rekeying is after two minutes, as in WireGuard,
 * or after so many packets (-r).
 *
 * It never has a key in ordinary memory. The packets themselves it has, and no cookies, no
 * roaming and no queue: a packet that comes with no session up waits for one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lethe.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "handshake_noise.h"

/* Seconds, of WireGuard's white paper, 6.1. */
enum { REKEY_AFTER = 120, REKEY_TIMEOUT = 5, REJECT_AFTER = 180 };

struct tunnel {
	struct noise noise;
	int socket;
	bool listens, ended; /* begins no handshake; standard input is over */
	unsigned long rekey_after, packets;
	time_t begun, asked; /* the session; the handshake that is not answered */
	unsigned char waiting[NOISE_PACKET];
	ssize_t length; /* of what waits to be sent; -1 if nothing does */
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static time_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec;
}

/* A peer that is not there yet refuses: the handshake is tried again. */
static int send_message(struct tunnel *tunnel, const unsigned char *message,
			size_t length)
{
	if (send(tunnel->socket, message, length, 0) < 0 && errno != ECONNREFUSED)
		return -errno;
	return 0;
}

static int begin(struct tunnel *tunnel)
{
	unsigned char message[NOISE_INITIATION];
	int err = noise_begin(&tunnel->noise, message);

	tunnel->asked = now();
	return err ? err : send_message(tunnel, message, sizeof(message));
}

static int send_packet(struct tunnel *tunnel, const void *packet, size_t length)
{
	unsigned char message[NOISE_PACKET + NOISE_OVERHEAD];
	int result = noise_seal(&tunnel->noise, packet, length, message);

	if (result < 0)
		return result;
	tunnel->packets++;
	return send_message(tunnel, message, result);
}

/* What waits, if there is a session; else, or when that is old, a handshake first. */
static int push(struct tunnel *tunnel)
{
	time_t age = now() - tunnel->begun;
	bool old = age >= REKEY_AFTER || tunnel->packets >= tunnel->rekey_after;
	int err = 0;

	if (tunnel->noise.session && age >= REJECT_AFTER) {
		noise_end(&tunnel->noise);
		tunnel->asked = 0;
	}
	if (!tunnel->listens && (!tunnel->noise.session || old) && tunnel->length >= 0 &&
	    (!tunnel->asked || now() - tunnel->asked >= REKEY_TIMEOUT))
		return begin(tunnel);
	if (tunnel->length < 0 || tunnel->asked || !tunnel->noise.session)
		return 0;
	err = send_packet(tunnel, tunnel->waiting, tunnel->length);
	tunnel->length = -1;
	return err;
}

/* The former session's keys were erased by what began this one. */
static void session_begun(struct tunnel *tunnel)
{
	tunnel->begun = now();
	tunnel->packets = 0;
	fprintf(stderr, "session %lu\n", tunnel->noise.sessions);
}

/* From whom a handshake was good, to there it is answered: a listener learns its peer. */
static int receive(struct tunnel *tunnel)
{
	unsigned char message[NOISE_PACKET + NOISE_OVERHEAD], packet[NOISE_PACKET];
	unsigned char answer[NOISE_RESPONSE];
	unsigned long sessions = tunnel->noise.sessions;
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t length = recvfrom(tunnel->socket, message, sizeof(message), 0,
				  (struct sockaddr *)&from, &size);
	int result;

	if (length < 0)
		return errno == ECONNREFUSED || errno == EINTR ? 0 : -errno;
	result = noise_open(&tunnel->noise, message, length, packet);
	if (result > 0) {
		ssize_t written = write(STDOUT_FILENO, packet, result);

		if (written != result)
			return written < 0 ? -errno : -EIO;
	}
	if (result == -EBADMSG) {
		result = noise_answer(&tunnel->noise, message, length, answer);
		if (!result && connect(tunnel->socket, (struct sockaddr *)&from, size))
			return -errno;
		if (!result)
			result = send_message(tunnel, answer, sizeof(answer));
	}
	if (result == -EBADMSG) {
		result = noise_finish(&tunnel->noise, message, length);
		/* At once something under the new keys: so the peer knows of them. */
		if (!result) {
			tunnel->asked = 0;
			result = send_packet(tunnel, NULL, 0);
		}
	}
	if (sessions != tunnel->noise.sessions)
		session_begun(tunnel);
	return result == -EBADMSG || result > 0 ? 0 : result;
}

static int serve(struct tunnel *tunnel)
{
	struct pollfd polled[] = { { .fd = tunnel->socket, .events = POLLIN },
				   { .fd = STDIN_FILENO, .events = POLLIN } };
	int err = 0;

	while (!err && !stopped && !(tunnel->ended && tunnel->length < 0)) {
		/* Nothing more is read while something waits. */
		polled[1].fd = tunnel->length < 0 ? STDIN_FILENO : -1;
		if (poll(polled, 2, 1000) < 0)
			return errno == EINTR ? 0 : -errno;
		if (polled[1].fd >= 0 && polled[1].revents) {
			tunnel->length = read(STDIN_FILENO, tunnel->waiting,
					      NOISE_PACKET);
			if (tunnel->length < 0)
				return -errno;
			if (!tunnel->length) {
				tunnel->ended = true;
				tunnel->length = -1;
			}
		}
		if (polled[0].revents)
			err = receive(tunnel);
		if (!err)
			err = push(tunnel);
	}
	return err;
}

/* A number from 1 to @most, or 0. */
static unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *text == '-' || *end || value > most ? 0 : value;
}

static int open_socket(struct tunnel *tunnel, const char *address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };

	at.sin_port = htons(number(port, 65535));
	if (!at.sin_port || inet_pton(AF_INET, address, &at.sin_addr) != 1)
		return -EINVAL;
	tunnel->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (tunnel->socket < 0)
		return -errno;
	if (tunnel->listens ? bind(tunnel->socket, (struct sockaddr *)&at, sizeof(at)) :
			      connect(tunnel->socket, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return 0;
}

/*
 * What libcrypto sets up at its first use it keeps: here, outside of sections, so that it
 * takes no secret page.
 */
static bool start_libcrypto(void)
{
	static const unsigned char no_key[NOISE_KEY] = { 1 };
	unsigned char out[NOISE_KEY];
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, no_key,
						     NOISE_KEY);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	bool good = key && cipher && mac &&
		    HMAC(EVP_blake2s256(), no_key, NOISE_KEY, no_key, NOISE_KEY, out,
			 NULL);

	EVP_MAC_free(mac);
	EVP_CIPHER_free(cipher);
	EVP_PKEY_free(key);
	return good;
}

static int usage(void)
{
	fprintf(stderr, "usage: handshake -k PRIVATE-KEY-FILE [-p PRESHARED-KEY-FILE] "
			"[-r PACKETS] PEER-PUBLIC-KEY ADDRESS PORT [listen]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct tunnel tunnel = { .length = -1, .rekey_after = -1UL, .socket = -1 };
	struct sigaction action = { .sa_handler = stop };
	int private_key = -1, preshared = -1, option, err;

	while ((option = getopt(argc, argv, "k:p:r:")) != -1) {
		if (option == 'r')
			tunnel.rekey_after = number(optarg, -1UL);
		else if (option == 'k')
			private_key = open(optarg, O_RDONLY | O_CLOEXEC);
		else if (option == 'p')
			preshared = open(optarg, O_RDONLY | O_CLOEXEC);
		else
			return usage();
		if ((option == 'k' && private_key < 0) ||
		    (option == 'p' && preshared < 0)) {
			perror(optarg);
			return 1;
		}
	}
	if (private_key < 0 || !tunnel.rekey_after || argc - optind < 3 ||
	    argc - optind > 4)
		return usage();
	tunnel.listens = argc - optind == 4;
	if (!start_libcrypto()) {
		fprintf(stderr, "libcrypto has not all that WireGuard needs\n");
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	err = noise_new(&tunnel.noise, private_key, preshared, argv[optind]);
	close(private_key);
	if (preshared >= 0)
		close(preshared);
	if (!err)
		err = open_socket(&tunnel, argv[optind + 1], argv[optind + 2]);
	if (!err)
		err = serve(&tunnel);
	if (err)
		fprintf(stderr, "handshake: %s\n", strerror(-err));
	noise_free(&tunnel.noise);
	if (tunnel.socket >= 0)
		close(tunnel.socket);
	return err ? 1 : 0;
}
