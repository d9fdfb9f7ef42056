// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Buffers that are sealed: encrypted in ordinary memory, their pages given up. The key
 * is a guarded buffer itself, made for the first that is sealed and given back, when
 * asked, after the last; it is never anywhere else, and a fork's child has none of it.
 * The work is done in a section, which leaves nothing of the key and the data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"

/*
 * With buffers_lock. A key is not made twice at an address: whoever is sealed with
 * one that was lost must not take another for it.
 */
static struct lethe_buffer *key;
/* Buffers that are sealed with it, or about to be. */
static size_t users;
/* The last nonce. It goes on whatever key there is. */
static uint64_t nonce;

static struct lethe_buffer *make_key(int *err)
{
	struct lethe_buffer *made = lethe_buffer_new(CIPHER_KEY_SIZE, 0);

	if (!made) {
		*err = -errno;
		return NULL;
	}
	*err = lethe_buffer_fill_random(made);
	if (!*err)
		*err = lethe_buffer_protect(made, LETHE_ACCESS_NONE);
	if (*err) {
		lethe_buffer_free(made);
		return NULL;
	}
	return made;
}

/* To seal with: the key, one use of it, and a nonce. 0 or -errno. */
static int take_key(struct sealed *sealed)
{
	struct lethe_buffer *made = NULL, *spare = NULL;
	int err;

	pthread_mutex_lock(&buffers_lock);
	while (!key) {
		pthread_mutex_unlock(&buffers_lock);
		made = make_key(&err);
		if (!made)
			return err;
		pthread_mutex_lock(&buffers_lock);
		if (!key) {
			key = made;
			users = 0;
		} else {
			spare = made;
		}
	}
	users++;
	sealed->key = key;
	sealed->nonce = ++nonce;
	pthread_mutex_unlock(&buffers_lock);
	/* Another thread was first. */
	if (spare)
		lethe_buffer_free(spare);
	return 0;
}

static void give_key(const struct sealed *sealed)
{
	pthread_mutex_lock(&buffers_lock);
	if (sealed->key == key)
		users--;
	pthread_mutex_unlock(&buffers_lock);
}

void buffer_key_trim(void)
{
	struct lethe_buffer *idle = NULL;

	pthread_mutex_lock(&buffers_lock);
	if (!users) {
		idle = key;
		key = NULL;
	}
	pthread_mutex_unlock(&buffers_lock);
	lethe_buffer_free(idle);
}

void buffer_key_lose(void)
{
	/* Never freed, so that its address is no other key's. */
	key = NULL;
	users = 0;
}

/* What the section does. */
struct work {
	struct cipher cipher;
	bool decrypt, done;
};

static void do_work(void *arg)
{
	struct work *work = arg;

	if (work->decrypt) {
		work->done = cipher_decrypt(&work->cipher);
	} else {
		cipher_encrypt(&work->cipher);
		work->done = true;
	}
}

/*
 * No signal is handled meanwhile: there is only as much stack as the cipher needs. A
 * section that the caller is in already is as good.
 */
static int work_in_section(struct work *work)
{
	static const struct lethe_options options = {
		.size = sizeof(options),
		.flags = LETHE_BLOCK_SIGNALS,
		.stack_size = STACK_SIZE_MIN,
	};

	return lethe_do_with(&options, do_work, work, NULL);
}

/* What ties a text to its buffer: in the place of another's it is none. */
struct known {
	const struct lethe_buffer *buffer;
	size_t length;
};

static int run_cipher(struct lethe_buffer *b, const struct sealed *sealed, bool decrypt,
		      bool *done)
{
	const struct known known = { b, b->length };
	struct lethe_buffer *with;
	struct work work = {
		.cipher = {
			.known = &known,
			.known_length = sizeof(known),
			.plain = (unsigned char *)buffer_data(b),
			.text = sealed->text,
			.length = b->length,
		},
		.decrypt = decrypt,
	};
	struct cancellable was;
	int err;

	pthread_mutex_lock(&buffers_lock);
	with = sealed->key == key ? key : NULL;
	pthread_mutex_unlock(&buffers_lock);
	if (!with)
		return -ESTALE;
	memcpy(work.cipher.nonce, &sealed->nonce, sizeof(sealed->nonce));

	cancel_hold(&was);
	err = lethe_buffer_open(with, LETHE_ACCESS_READ);
	if (!err) {
		work.cipher.key = lethe_buffer_data(with);
		err = work_in_section(&work);
		lethe_buffer_close(with);
	}
	cancel_release(&was);
	*done = work.done;
	return err;
}

/* Nothing secret, and the library's own use is no section's. */
static unsigned char *get_text(size_t length)
{
	unsigned char *text;

	lethe_thread.paused++;
	text = malloc(length + CIPHER_TAG_SIZE);
	lethe_thread.paused--;
	return text;
}

static void put_text(unsigned char *text)
{
	lethe_thread.paused++;
	free(text);
	lethe_thread.paused--;
}

int buffer_seal(struct lethe_buffer *b)
{
	struct sealed sealed = { .text = get_text(b->length) };
	bool done;
	int err;

	if (!sealed.text)
		return -ENOMEM;
	err = take_key(&sealed);
	if (err)
		goto out_text;
	/* To be wiped afterwards. */
	err = buffer_set_access(b, LETHE_ACCESS_WRITE);
	if (err)
		goto out_key;
	err = run_present(&b->run);
	if (!err)
		err = run_cipher(b, &sealed, false, &done);
	if (err) {
		if (buffer_set_access(b, b->at_rest) && err != -ESTALE)
			die("seal of buffer %p: it stays open to everybody", (void *)b);
		goto out_key;
	}
	buffer_put_pages(b);
	b->sealed = sealed;
	return 0;

out_key:
	give_key(&sealed);
out_text:
	put_text(sealed.text);
	return err;
}

void buffer_forget_sealed(struct lethe_buffer *b)
{
	give_key(&b->sealed);
	put_text(b->sealed.text);
	b->sealed = (struct sealed){ 0 };
}

int buffer_unseal(struct lethe_buffer *b, enum lethe_access access)
{
	bool done = false;
	int err;

	err = buffer_get_pages(b);
	if (err)
		return err;
	err = run_cipher(b, &b->sealed, true, &done);
	if (!err && !done) {
		message("buffer %p: what was sealed has been changed since", (void *)b);
		err = -EBADMSG;
	}
	/* What cannot be protected stays sealed. */
	if (!err)
		err = buffer_set_access(b, access);
	if (err) {
		buffer_put_pages(b);
		return err;
	}
	buffer_forget_sealed(b);
	return 0;
}
