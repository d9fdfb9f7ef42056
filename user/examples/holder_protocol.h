/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ssh-agent's protocol (draft-ietf-sshm-ssh-agent) for the keys of holder_keys.h: what
 * ssh, ssh-add and ssh-keygen ask. A key of another kind than Ed25519, a constraint that
 * cannot be kept and an extension are refused, which all of them take well.
 *
 * It never copies what is secret in a message, and never answers with any of it.
 */
#ifndef HOLDER_PROTOCOL_H
#define HOLDER_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "holder_keys.h"

/* Without the four bytes of length that go before each. */
#define PROTOCOL_MESSAGE 16384
/* With them; so that all keys and their comments fit. */
#define PROTOCOL_ANSWER (64 + HOLDER_KEYS * (64 + HOLDER_COMMENT))

/*
 * Answers one message, which may be anything. Keys added without a life time have
 * @seconds of it, for ever if 0. Returns the answer's length.
 */
size_t protocol_answer(struct holder *holder, unsigned char *message, size_t length,
		       uint32_t seconds, unsigned char answer[static PROTOCOL_ANSWER]);

#endif /* HOLDER_PROTOCOL_H */
