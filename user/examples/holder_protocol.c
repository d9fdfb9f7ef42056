// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What holder_protocol.h says; numbers and names are the draft's. */
#include "holder_protocol.h"

#include <string.h>

enum {
	FAILURE = 5,
	SUCCESS = 6,
	REQUEST_IDENTITIES = 11,
	IDENTITIES_ANSWER = 12,
	SIGN_REQUEST = 13,
	SIGN_RESPONSE = 14,
	ADD_IDENTITY = 17,
	REMOVE_IDENTITY = 18,
	REMOVE_ALL_IDENTITIES = 19,
	LOCK = 22,
	UNLOCK = 23,
	ADD_ID_CONSTRAINED = 25,
};
enum { CONSTRAIN_LIFETIME = 1 };

static const char kind[] = "ssh-ed25519";

/* What is left of a message; bad once more was asked for than there was. */
struct reader {
	unsigned char *at;
	size_t left;
	bool bad;
};

static unsigned char *take(struct reader *reader, size_t length)
{
	unsigned char *taken = reader->at;

	if (reader->bad || length > reader->left) {
		reader->bad = true;
		return NULL;
	}
	reader->at += length;
	reader->left -= length;
	return taken;
}

static uint32_t take_number(struct reader *reader)
{
	const unsigned char *p = take(reader, 4);

	return p ? (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3] : 0;
}

static unsigned char *take_string(struct reader *reader, size_t *length)
{
	*length = take_number(reader);
	return take(reader, *length);
}

/* A string of just this length. */
static unsigned char *take_exactly(struct reader *reader, size_t wanted)
{
	size_t length;
	unsigned char *taken = take_string(reader, &length);

	reader->bad |= length != wanted;
	return reader->bad ? NULL : taken;
}

static void take_kind(struct reader *reader)
{
	const unsigned char *taken = take_exactly(reader, strlen(kind));

	reader->bad |= !taken || memcmp(taken, kind, strlen(kind));
}

/* A public key as ssh has it: a string that holds the kind and the key. */
static const unsigned char *take_public(struct reader *reader)
{
	size_t length;
	unsigned char *blob = take_string(reader, &length);
	struct reader inner = { blob, length, !blob };
	const unsigned char *public_key;

	take_kind(&inner);
	public_key = take_exactly(&inner, HOLDER_PUBLIC);
	return inner.left ? NULL : public_key;
}

/* There is always room: protocol_answer() is given as much as all keys need. */
struct writer {
	unsigned char *start;
	size_t length;
};

static void put_number(struct writer *writer, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		writer->start[writer->length++] = number >> shift;
}

static void put_string(struct writer *writer, const void *string, size_t length)
{
	put_number(writer, length);
	memcpy(writer->start + writer->length, string, length);
	writer->length += length;
}

/* A string of two strings: a public key, a signature. */
static void put_of_kind(struct writer *writer, const void *string, size_t length)
{
	put_number(writer, 8 + strlen(kind) + length);
	put_string(writer, kind, strlen(kind));
	put_string(writer, string, length);
}

static void put_type(struct writer *writer, unsigned char type)
{
	writer->start[writer->length++] = type;
}

static void list(struct holder *holder, struct writer *writer)
{
	size_t count;

	holder_expire(holder);
	count = holder->lock ? 0 : holder->count;
	put_type(writer, IDENTITIES_ANSWER);
	put_number(writer, count);
	for (size_t i = 0; i < count; i++) {
		const struct holder_key *key = &holder->keys[i];

		put_of_kind(writer, key->public_key, HOLDER_PUBLIC);
		put_string(writer, key->comment, strlen(key->comment));
	}
}

static bool sign(struct holder *holder, struct reader *reader, struct writer *writer)
{
	const unsigned char *public_key = take_public(reader), *data;
	unsigned char signature[HOLDER_SIGNATURE];
	size_t length;

	data = take_string(reader, &length);
	take_number(reader); /* of flags that are RSA's */
	if (!public_key || reader->bad ||
	    holder_sign(holder, public_key, data, length, signature))
		return false;
	put_type(writer, SIGN_RESPONSE);
	put_of_kind(writer, signature, sizeof(signature));
	return true;
}

static bool add(struct holder *holder, struct reader *reader, bool constrained,
		uint32_t seconds)
{
	unsigned char *public_key, *private_key, *comment;
	size_t length;

	take_kind(reader);
	public_key = take_exactly(reader, HOLDER_PUBLIC);
	private_key = take_exactly(reader, HOLDER_SEED + HOLDER_PUBLIC);
	comment = take_string(reader, &length);
	while (constrained && !reader->bad && reader->left) {
		const unsigned char *type = take(reader, 1);

		seconds = take_number(reader);
		reader->bad |= !type || *type != CONSTRAIN_LIFETIME;
	}
	return !reader->bad && !reader->left &&
	       !memcmp(public_key, private_key + HOLDER_SEED, HOLDER_PUBLIC) &&
	       !holder_add(holder, private_key, public_key, (const char *)comment, length,
			   seconds);
}

static bool lock(struct holder *holder, struct reader *reader, bool locks)
{
	size_t length;
	const unsigned char *passphrase = take_string(reader, &length);

	if (reader->bad)
		return false;
	return !(locks ? holder_lock : holder_unlock)(holder, passphrase, length);
}

/* Whether it was done; what it answers but for that is written. */
static bool obey(struct holder *holder, int type, struct reader *reader, uint32_t seconds,
		 struct writer *writer)
{
	const unsigned char *public_key;

	switch (type) {
	case REQUEST_IDENTITIES:
		list(holder, writer);
		return true;
	case SIGN_REQUEST:
		return sign(holder, reader, writer);
	case ADD_IDENTITY:
	case ADD_ID_CONSTRAINED:
		return add(holder, reader, type == ADD_ID_CONSTRAINED, seconds);
	case REMOVE_IDENTITY:
		public_key = take_public(reader);
		return public_key && !holder_remove(holder, public_key);
	case REMOVE_ALL_IDENTITIES:
		if (holder->lock)
			return false;
		holder_remove_all(holder);
		return true;
	case LOCK:
	case UNLOCK:
		return lock(holder, reader, type == LOCK);
	default:
		return false;
	}
}

size_t protocol_answer(struct holder *holder, unsigned char *message, size_t length,
		       uint32_t seconds, unsigned char answer[static PROTOCOL_ANSWER])
{
	struct reader reader = { message, length, false };
	struct writer writer = { answer, 4 };
	const unsigned char *type = take(&reader, 1);
	bool done = type && obey(holder, *type, &reader, seconds, &writer);

	if (writer.length == 4)
		put_type(&writer, done ? SUCCESS : FAILURE);
	length = writer.length;
	writer.length = 0;
	put_number(&writer, length - 4);
	return length;
}
