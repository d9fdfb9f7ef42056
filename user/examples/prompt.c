// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A passphrase is asked for, and a file says whether it is the right one.
 *
 *	cc prompt.c prompt_read.c $(pkg-config --cflags --libs lethe-malloc) -lcrypto -o prompt
 *
 *	./prompt -n file	# asks for a new one, twice, and writes what scrypt makes of it
 *	./prompt file		# asks for it: 0 if it fits, 1 if not
 *
 * It shows a secret that a person types on its way through Lethe: read(2) from the
 * terminal to a guarded buffer (prompt_read.h), a key derived from it in a section, and
 * neither the passphrase nor the key anywhere else, before or after.
 *
 * It never takes a passphrase from a pipe, an argument or the environment, where others
 * have it too. What the kernel's terminal had of it, it had.
 */
#include <errno.h>
#include <fcntl.h>
#include <lethe.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "prompt_read.h"

enum { SALT = 16, KEY = 32, PASSPHRASE = 256 };
/* 2 MiB of memory: of scrypt's all is secret, and so bounded by RLIMIT_MEMLOCK. */
enum { SCRYPT_N = 2048, SCRYPT_R = 8, SCRYPT_P = 4 };

struct stored {
	unsigned char salt[SALT], check[KEY];
};

struct derivation {
	const char *passphrase;
	size_t length;
	struct stored *stored;
	bool fresh; /* to be stored; else to be compared with what is */
	int result;
};

/*
 * The key is what a program would decrypt with. What is stored is not it, but a hash of
 * it: who reads the file has no more than the work of a guess.
 */
static void derive(void *arg)
{
	static const char label[] = "prompt: check";
	struct derivation *d = arg;
	unsigned char key[KEY + sizeof(label)], check[KEY];

	memcpy(key + KEY, label, sizeof(label));
	if (EVP_PBE_scrypt(d->passphrase, d->length, d->stored->salt, SALT, SCRYPT_N,
			   SCRYPT_R, SCRYPT_P, 0, key, KEY) != 1 ||
	    EVP_Digest(key, sizeof(key), check, NULL, EVP_sha256(), NULL) != 1)
		d->result = -EIO;
	else if (d->fresh)
		memcpy(d->stored->check, check, KEY);
	else if (!lethe_equal(check, d->stored->check, KEY))
		d->result = -EACCES;
}

/* The prompt, the section, and the passphrase is gone. */
static int ask(const char *question, struct stored *stored, bool fresh)
{
	struct derivation d = { .stored = stored, .fresh = fresh };
	struct lethe_buffer *passphrase = lethe_buffer_new(PASSPHRASE, 0);
	ssize_t length;
	int err;

	if (!passphrase)
		return -errno;
	length = prompt_read(question, passphrase);
	err = length < 0 ? (int)length : lethe_buffer_open(passphrase, LETHE_ACCESS_READ);
	if (!err) {
		d.passphrase = lethe_buffer_data(passphrase);
		d.length = length;
		err = lethe_do(derive, &d);
		lethe_buffer_close(passphrase);
	}
	lethe_buffer_free(passphrase);
	return err ? err : d.result;
}

static int whole(ssize_t done)
{
	if (done == sizeof(struct stored))
		return 0;
	return done < 0 ? -errno : -EIO;
}

static int make(const char *path)
{
	struct stored stored;
	int err, fd;

	if (getrandom(stored.salt, SALT, 0) != SALT)
		return -EIO;
	err = ask("New passphrase: ", &stored, true);
	if (!err)
		err = ask("The same again: ", &stored, false);
	if (err)
		return err;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = whole(write(fd, &stored, sizeof(stored)));
	if (close(fd) && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

static int check(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct stored stored;

	if (fd < 0)
		return -errno;
	err = whole(read(fd, &stored, sizeof(stored)));
	close(fd);
	return err ? err : ask("Passphrase: ", &stored, false);
}

/*
 * What libcrypto sets up at its first use it keeps: here, outside of sections, so that it
 * takes no secret page.
 */
static bool start_libcrypto(void)
{
	unsigned char made[KEY] = { 0 };

	return EVP_PBE_scrypt("", 0, made, 0, 2, 1, 1, 0, made, KEY) == 1 &&
	       EVP_Digest("", 0, made, NULL, EVP_sha256(), NULL) == 1;
}

int main(int argc, char **argv)
{
	bool fresh = argc == 3 && !strcmp(argv[1], "-n");
	int err;

	if (argc != 2 && !fresh) {
		fprintf(stderr, "usage: prompt [-n] FILE\n");
		return 2;
	}
	if (!start_libcrypto()) {
		fprintf(stderr, "prompt: libcrypto has no scrypt\n");
		return 2;
	}
	err = fresh ? make(argv[2]) : check(argv[1]);
	if (!err) {
		puts(fresh ? "stored" : "it fits");
		return 0;
	}
	fprintf(stderr, "prompt: %s\n",
		err == -EACCES ? "it does not fit" : strerror(-err));
	return err == -EACCES ? 1 : 2;
}
