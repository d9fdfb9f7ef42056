// SPDX-License-Identifier: MIT
/*
 * An SSH session by libssh up to the point where a user is let in: versions, the key
 * exchange, the host key verified, and a login that asks for nothing.
 */
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <stddef.h>

#include "../selftests/tap.h"
#include "record.h"

static ssh_key host_key;
static ssh_bind door;

void ssh_prepare(void)
{
	bool no = false;
	ssh_key key;

	if (ssh_init() || ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &host_key))
		tap_bail("no key");
	/* The door keeps the one that it is given. */
	key = ssh_key_dup(host_key);
	door = ssh_bind_new();
	if (!door || !key ||
	    ssh_bind_options_set(door, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) ||
	    ssh_bind_options_set(door, SSH_BIND_OPTIONS_IMPORT_KEY, key))
		tap_bail("no server");
}

static void let_in(ssh_session session)
{
	ssh_message message;
	bool in = false;

	while (!in) {
		message = ssh_message_get(session);
		if (!message)
			tap_bail("the client asked for nothing: %s",
				 ssh_get_error(session));
		if (ssh_message_type(message) == SSH_REQUEST_AUTH)
			in = !ssh_message_auth_reply_success(message, 0);
		else
			ssh_message_reply_default(message);
		ssh_message_free(message);
	}
}

static void *serve(void *end)
{
	ssh_session session;

	record_as(1);
	session = ssh_new();
	if (!session || ssh_bind_accept_fd(door, session, *(int *)end) ||
	    ssh_handle_key_exchange(session))
		tap_bail("the server's side of the key exchange failed");
	let_in(session);
	/* Until the client has gone. */
	while (ssh_message_get(session))
		;
	ssh_free(session);
	return NULL;
}

static void *ask(void *end)
{
	ssh_session session;
	ssh_key theirs = NULL;
	bool no = false;

	record_as(2);
	session = ssh_new();
	if (!session || ssh_options_set(session, SSH_OPTIONS_HOST, "localhost") ||
	    ssh_options_set(session, SSH_OPTIONS_USER, "lethe") ||
	    ssh_options_set(session, SSH_OPTIONS_SSH_DIR, "/nonexistent") ||
	    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no) ||
	    ssh_options_set(session, SSH_OPTIONS_FD, end))
		tap_bail("no client");
	if (ssh_connect(session) || ssh_get_server_publickey(session, &theirs) ||
	    ssh_key_cmp(theirs, host_key, SSH_KEY_CMP_PUBLIC))
		tap_bail("the client's side of the key exchange failed: %s",
			 ssh_get_error(session));
	if (ssh_userauth_none(session, NULL) != SSH_AUTH_SUCCESS)
		tap_bail("the client was not let in: %s", ssh_get_error(session));
	ssh_key_free(theirs);
	ssh_disconnect(session);
	ssh_free(session);
	return NULL;
}

void ssh_shake_hands(void)
{
	record_pair(serve, ask);
}
