// SPDX-License-Identifier: MIT
/*
 * liblethe-malloc.so under libraries and programs that know nothing of it: libc's
 * own callers of malloc, libcrypto, a fork, the end of a process, a preload.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <locale.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redirect.h"

struct libc_users {
	char *copy, *printed, *line, *streamed;
	FILE *file;
	size_t room, streamed_length;
	const char *locale;
};

static void use_libc(void *arg)
{
	static char text[] = "a line\nanother\n";
	struct libc_users *u = arg;
	FILE *stream;

	u->copy = strdup("copied");
	if (asprintf(&u->printed, "%0300d", 7) < 0)
		u->printed = NULL;
	u->file = fmemopen(text, sizeof(text) - 1, "r");
	if (getline(&u->line, &u->room, u->file) < 0)
		u->line = NULL;
	stream = open_memstream(&u->streamed, &u->streamed_length);
	fprintf(stream, "%01000d", 1);
	fclose(stream);
	u->locale = setlocale(LC_ALL, "C.UTF-8");
}

Test(redirect, what_libc_allocates_for_its_caller_is_secret)
{
	struct libc_users u = { 0 };

	do_in_section(use_libc, &u);
	cr_assert(secret(u.copy) && secret(u.printed) && secret(u.line) &&
		  secret(u.streamed));
	cr_assert(secret(u.file) && secret(u.locale));
	cr_assert_str_eq(u.copy, "copied");
	cr_assert_str_eq(u.line, "a line\n");
	cr_assert_eq(strlen(u.streamed), 1000);
	/* All of it goes on outside. */
	cr_assert_eq(getline(&u.line, &u.room, u.file), 8);
	cr_assert_str_eq(u.line, "another\n");
	fclose(u.file);
	cr_assert_str_eq(setlocale(LC_ALL, "C"), "C");
	free(u.copy);
	free(u.printed);
	free(u.line);
	free(u.streamed);
}

static size_t mapped_by_libc;

static int compare_and_look(const void *a, const void *b)
{
	size_t mapped = mallinfo2().hblkhd;

	if (mapped > mapped_by_libc)
		mapped_by_libc = mapped;
	return *(const int *)a - *(const int *)b;
}

static void sort(void *arg)
{
	qsort(arg, 100000, sizeof(int), compare_and_look);
}

Test(redirect, buffer_of_a_large_qsort_is_secret)
{
	static int numbers[100000];
	size_t i, before = mallinfo2().hblkhd;

	for (i = 0; i < 100000; i++)
		numbers[i] = (int)(i * 7919 % 100003);
	do_in_section(sort, numbers);
	for (i = 1; i < 100000; i++)
		cr_assert_leq(numbers[i - 1], numbers[i]);
	cr_assert_eq(mapped_by_libc, before);
	/* And outside it is libc's: so this is where it would have been seen. */
	sort(numbers);
	cr_assert_geq(mapped_by_libc, before + sizeof(numbers));
}

struct crypto {
	EVP_CIPHER_CTX *cipher;
	HMAC_CTX *hmac;
	unsigned char sealed[64], opened[64], mac[32], random[2][32];
	int ok, tag_refused;
};

static const char said[] = "what do ya want for nothing?";

/* Cold: this process's first use of libcrypto, and all that it sets up. */
static void use_crypto(void *arg)
{
	static const unsigned char key[32] = "not much of a key", iv[12] = "nor an iv";
	struct crypto *c = arg;
	unsigned char tag[16];
	unsigned int mac_length;
	int n, tail;

	c->ok = RAND_bytes(c->random[0], 32) == 1 && RAND_bytes(c->random[1], 32) == 1;
	c->cipher = EVP_CIPHER_CTX_new();
	c->ok &= EVP_EncryptInit_ex(c->cipher, EVP_aes_256_gcm(), NULL, key, iv);
	c->ok &= EVP_EncryptUpdate(c->cipher, c->sealed, &n, (const unsigned char *)said,
				   28);
	c->ok &= EVP_EncryptFinal_ex(c->cipher, c->sealed + n, &tail);
	c->ok &= EVP_CIPHER_CTX_ctrl(c->cipher, EVP_CTRL_GCM_GET_TAG, 16, tag);
	c->ok &= EVP_DecryptInit_ex(c->cipher, EVP_aes_256_gcm(), NULL, key, iv);
	c->ok &= EVP_DecryptUpdate(c->cipher, c->opened, &n, c->sealed, 28);
	c->ok &= EVP_CIPHER_CTX_ctrl(c->cipher, EVP_CTRL_GCM_SET_TAG, 16, tag);
	c->ok &= EVP_DecryptFinal_ex(c->cipher, c->opened + n, &tail);
	c->ok &= HMAC(EVP_sha256(), "Jefe", 4, (const unsigned char *)said, 28, c->mac,
		      &mac_length) != NULL;
}

/* RFC 4231, test case 2 */
static const unsigned char expected_mac[32] = {
	0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
	0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
	0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
};

static void check_crypto(const struct crypto *c)
{
	cr_assert_eq(c->ok, 1);
	cr_assert(secret(c->cipher));
	cr_assert_eq(memcmp(c->opened, said, 28), 0);
	cr_assert_neq(memcmp(c->sealed, said, 28), 0);
	cr_assert_eq(memcmp(c->mac, expected_mac, 32), 0);
	cr_assert_neq(memcmp(c->random[0], c->random[1], 32), 0);
}

static void *free_cipher(void *arg)
{
	EVP_CIPHER_CTX_free(arg);
	return NULL;
}

Test(redirect, libcrypto_works_cold_and_is_freed_on_another_thread)
{
	struct crypto c = { 0 };
	pthread_t thread;

	do_in_section(use_crypto, &c);
	check_crypto(&c);
	cr_assert_eq(pthread_create(&thread, NULL, free_cipher, c.cipher), 0);
	pthread_join(thread, NULL);
	/* Warm, and outside, on state that was made inside. */
	use_crypto(&c);
	cr_assert_not(secret(c.cipher));
	EVP_CIPHER_CTX_free(c.cipher);
	do_in_section(use_crypto, &c);
	check_crypto(&c);
	EVP_CIPHER_CTX_free(c.cipher);
}

static int exit_status_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (!pid) {
		alarm(60);
		fn();
		exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void crypto_then_exit(void)
{
	struct crypto c = { 0 };

	if (lethe_do(use_crypto, &c) || c.ok != 1)
		_exit(1);
	free_cipher(c.cipher);
}

Test(redirect, thousands_of_blocks_are_freed_after_exit_began)
{
	int status = exit_status_of(crypto_then_exit);

	cr_assert_eq(status, 0, "status %#x", status);
}

static char *parents;

static void make_parents(void *arg)
{
	char **block = arg;

	*block = malloc(1000);
	memset(*block, 's', 1000);
}

static void free_parents(void)
{
	if (malloc_usable_size(parents))
		_exit(1);
	free(parents);
	free(parents);
	free(malloc(100));
}

Test(redirect, a_forked_child_may_free_what_it_has_not)
{
	int status;

	do_in_section(make_parents, &parents);
	status = exit_status_of(free_parents);
	cr_assert_eq(status, 0, "status %#x", status);
	cr_assert_eq(parents[999], 's');
	free(parents);
}

/* The command's output, with the library preloaded. */
static void run_preloaded(const char *command, char *output, size_t length)
{
	char line[1024];
	Dl_info library;
	FILE *pipe;
	size_t n;

	cr_assert(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &library));
	snprintf(line, sizeof(line), "LD_PRELOAD=%s exec %s", library.dli_fname, command);
	pipe = popen(line, "r");
	cr_assert_not_null(pipe);
	n = fread(output, 1, length - 1, pipe);
	output[n] = 0;
	cr_assert_eq(pclose(pipe), 0, "%s", line);
}

Test(redirect, preloads_into_programs_that_know_nothing_of_it)
{
	static char output[64 * 1024];

	run_preloaded("cat /proc/self/maps", output, sizeof(output));
	cr_assert_not_null(strstr(output, "liblethe-malloc.so"));
	cr_assert_not_null(strstr(output, "liblethe.so"));
	run_preloaded("sh -c 'seq 30000 | sort -rn | sort -n | tail -1'", output,
		      sizeof(output));
	cr_assert_str_eq(output, "30000\n");
	run_preloaded("openssl rand -hex 32", output, sizeof(output));
	cr_assert_eq(strlen(output), 65);
}
