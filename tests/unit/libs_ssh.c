// SPDX-License-Identifier: MIT
/*
 * libssh against its own server over loopback: a new host key, a handshake, a password,
 * a channel, and data both ways. The server is in a section of its own.
 */
#include "libs.h"

#ifdef HAVE_ssh
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LENGTH 20000

struct talk {
	ssh_key host_key;
	ssh_bind bind;
	ssh_session server, client;
	ssh_channel channel, accepted;
	int sockets[2];
	bool served;
};

/* What takes the place of messages is a loop of events, of which none is needed here. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static bool accept_password(struct talk *t)
{
	bool in = false;
	ssh_message m;

	while (!in && (m = ssh_message_get(t->server))) {
		if (ssh_message_type(m) == SSH_REQUEST_AUTH &&
		    ssh_message_subtype(m) == SSH_AUTH_METHOD_PASSWORD &&
		    !strcmp(ssh_message_auth_user(m), "alice") &&
		    !strcmp(ssh_message_auth_password(m), "a password")) {
			ssh_message_auth_reply_success(m, 0);
			in = true;
		} else {
			ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PASSWORD);
			ssh_message_reply_default(m);
		}
		ssh_message_free(m);
	}
	return in;
}

static bool accept_channel(struct talk *t)
{
	ssh_message m;

	while (!t->accepted && (m = ssh_message_get(t->server))) {
		if (ssh_message_type(m) == SSH_REQUEST_CHANNEL_OPEN)
			t->accepted = ssh_message_channel_request_open_reply_accept(m);
		else
			ssh_message_reply_default(m);
		ssh_message_free(m);
	}
	return t->accepted != NULL;
}

static bool read_all(ssh_channel channel, char *to)
{
	int n, done = 0;

	while (done < LENGTH) {
		n = ssh_channel_read_timeout(channel, to + done,
					     (uint32_t)(LENGTH - done), 0, 30000);
		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

/* What comes is sent back. */
static void *serve(void *arg)
{
	static const long patience = 30;
	struct talk *t = arg;
	char *data = malloc(LENGTH);

	t->bind = ssh_bind_new();
	t->server = ssh_new();
	ssh_options_set(t->server, SSH_OPTIONS_TIMEOUT, &patience);
	t->served = data && t->bind && t->server &&
		    !ssh_bind_options_set(t->bind, SSH_BIND_OPTIONS_IMPORT_KEY,
					  ssh_key_dup(t->host_key)) &&
		    !ssh_bind_accept_fd(t->bind, t->server, t->sockets[1]) &&
		    !ssh_handle_key_exchange(t->server) && accept_password(t) &&
		    accept_channel(t) && read_all(t->accepted, data) &&
		    ssh_channel_write(t->accepted, data, LENGTH) == LENGTH &&
		    !ssh_channel_send_eof(t->accepted);
	/* Until the client has it all, and has gone. */
	if (t->served)
		ssh_channel_read_timeout(t->accepted, data, 1, 0, 30000);
	free(data);
	return NULL;
}

static bool is_host(struct talk *t)
{
	ssh_key key = NULL;
	bool good = !ssh_get_server_publickey(t->client, &key) &&
		    !ssh_key_cmp(key, t->host_key, SSH_KEY_CMP_PUBLIC);

	ssh_key_free(key);
	return good;
}

static bool ask(struct talk *t, struct use *use)
{
	char *sent = malloc(LENGTH), *got = malloc(LENGTH);
	const long patience = 30;
	bool good;
	int i;

	t->client = ssh_new();
	good = sent && got && t->client &&
	       !ssh_options_set(t->client, SSH_OPTIONS_HOST, "localhost") &&
	       !ssh_options_set(t->client, SSH_OPTIONS_USER, "alice") &&
	       !ssh_options_set(t->client, SSH_OPTIONS_FD, &t->sockets[0]) &&
	       !ssh_options_set(t->client, SSH_OPTIONS_TIMEOUT, &patience) &&
	       !ssh_connect(t->client) && is_host(t) &&
	       ssh_userauth_password(t->client, NULL, "no password") == SSH_AUTH_DENIED &&
	       ssh_userauth_password(t->client, NULL, "a password") == SSH_AUTH_SUCCESS &&
	       (t->channel = ssh_channel_new(t->client)) &&
	       !ssh_channel_open_session(t->channel);
	for (i = 0; sent && i < LENGTH; i++)
		sent[i] = (char)(i * 7);
	good = good && ssh_channel_write(t->channel, sent, LENGTH) == LENGTH &&
	       read_all(t->channel, got) && !memcmp(sent, got, LENGTH);
	if (good) {
		memcpy(use->result, got, 64);
		snprintf((char *)use->result + 64, 60, "%s %s",
			 ssh_get_cipher_in(t->client), ssh_get_kex_algo(t->client));
		ssh_channel_send_eof(t->channel);
	}
	free(sent);
	free(got);
	return good;
}

static void use_ssh(struct use *use)
{
	struct talk *t = calloc(1, sizeof(*t));
	pthread_t thread;
	bool asked;
	int err;

	use->more = t;
	if (!t || ssh_init() || ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &t->host_key) ||
	    !loopback(t->sockets))
		return;
	if (lethe_enabled())
		err = lethe_thread_create(&thread, NULL, serve, t);
	else
		err = pthread_create(&thread, NULL, serve, t);
	if (err)
		return;
	asked = ask(t, use);
	if (!asked)
		ssh_silent_disconnect(t->client);
	pthread_join(thread, NULL);
	use->good = asked && t->served;
	use->objects[0] = t->host_key;
	use->objects[1] = t->client;
	use->objects[2] = t->channel;
	use->objects[3] = t->server;
	use->objects[4] = t->accepted;
	use->objects[5] = t->bind;
}

static void free_ssh(struct use *use)
{
	struct talk *t = use->more;

	if (!t)
		return;
	ssh_channel_free(t->channel);
	ssh_disconnect(t->client);
	ssh_free(t->client);
	ssh_channel_free(t->accepted);
	ssh_disconnect(t->server);
	ssh_free(t->server);
	ssh_bind_free(t->bind);
	ssh_key_free(t->host_key);
	ssh_finalize();
	free(t);
}

Test(libs, libssh)
{
	check_library(&(struct library){ "libssh, client and server in sections", use_ssh,
					 free_ssh });
}

#else
WITHOUT("libssh", libssh)
#endif
