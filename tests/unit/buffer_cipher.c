// SPDX-License-Identifier: MIT
/*
 * ChaCha20-Poly1305 by RFC 8439's own vectors, and beside libcrypto's. The numbers are
 * those of the RFC's parts.
 */
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"

static void from_hex(unsigned char *out, const char *hex)
{
	unsigned int byte;
	int n;

	for (; sscanf(hex, " %2x%n", &byte, &n) == 1; hex += n)
		*out++ = (unsigned char)byte;
}

static void count_up(unsigned char *bytes, unsigned int from, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = (unsigned char)(from + i);
}

/* 2.3.2 */
Test(buffer_cipher, chacha20_makes_the_block_of_the_rfc)
{
	unsigned char key[32], nonce[12], block[64], expect[64];

	count_up(key, 0, 32);
	from_hex(nonce, "00 00 00 09 00 00 00 4a 00 00 00 00");
	from_hex(expect,
		 "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
		 "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
	chacha20_block(block, key, 1, nonce);
	cr_assert_eq(memcmp(block, expect, 64), 0);
	/* A.1, vector 1 */
	memset(key, 0, sizeof(key));
	memset(nonce, 0, sizeof(nonce));
	from_hex(expect,
		 "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
		 "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
	chacha20_block(block, key, 0, nonce);
	cr_assert_eq(memcmp(block, expect, 64), 0);
}

/* A.3, 7 to 13: where the numbers pass the modulus. */
static const struct {
	const char *key, *data, *tag;
} edges[] = {
	{ "02000000000000000000000000000000 00000000000000000000000000000000",
	  "ffffffffffffffffffffffffffffffff", "03000000000000000000000000000000" },
	{ "02000000000000000000000000000000 ffffffffffffffffffffffffffffffff",
	  "02000000000000000000000000000000", "03000000000000000000000000000000" },
	{ "01000000000000000000000000000000 00000000000000000000000000000000",
	  "ffffffffffffffffffffffffffffffff f0ffffffffffffffffffffffffffffff"
	  "11000000000000000000000000000000",
	  "05000000000000000000000000000000" },
	{ "01000000000000000000000000000000 00000000000000000000000000000000",
	  "ffffffffffffffffffffffffffffffff fbfefefefefefefefefefefefefefefe"
	  "01010101010101010101010101010101",
	  "00000000000000000000000000000000" },
	{ "02000000000000000000000000000000 00000000000000000000000000000000",
	  "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff" },
	{ "01000000000000000400000000000000 00000000000000000000000000000000",
	  "e33594d7505e43b90000000000000000 33 94d7505e4379cd0100000000000000"
	  "00000000000000000000000000000000 01000000000000000000000000000000",
	  "14000000000000005500000000000000" },
	{ "01000000000000000400000000000000 00000000000000000000000000000000",
	  "e33594d7505e43b90000000000000000 33 94d7505e4379cd0100000000000000"
	  "00000000000000000000000000000000",
	  "13000000000000000000000000000000" },
};

Test(buffer_cipher, poly1305_is_right_where_its_numbers_wrap)
{
	unsigned char key[32], data[64], tag[16], expect[16];
	struct poly1305 poly;
	size_t i, length;
	const char *p;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		from_hex(key, edges[i].key);
		from_hex(data, edges[i].data);
		from_hex(expect, edges[i].tag);
		for (length = 0, p = edges[i].data; *p; p++)
			length += *p != ' ';
		poly1305_begin(&poly, key);
		poly1305_add(&poly, data, length / 2);
		poly1305_end(&poly, tag);
		cr_assert_eq(memcmp(tag, expect, 16), 0, "vector %zu", i + 7);
	}
}

/* 2.8.2 */
Test(buffer_cipher, the_cipher_is_the_rfcs)
{
	static char plain[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
	unsigned char key[32], known[12], text[114 + 16], expect[114 + 16], back[114];
	struct cipher cipher = { .key = key,
				 .known = known,
				 .known_length = sizeof(known),
				 .plain = (unsigned char *)plain,
				 .text = text,
				 .length = 114 };

	count_up(key, 0x80, 32);
	from_hex(cipher.nonce, "07 00 00 00 40 41 42 43 44 45 46 47");
	from_hex(known, "50 51 52 53 c0 c1 c2 c3 c4 c5 c6 c7");
	from_hex(expect,
		 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
		 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
		 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		 "3ff4def08e4b7a9de576d26586cec64b6116"
		 "1ae10b594f09e26a7e902ecbd0600691");
	cipher_encrypt(&cipher);
	cr_assert_eq(memcmp(text, expect, sizeof(text)), 0);
	cipher.plain = back;
	cr_assert(cipher_decrypt(&cipher));
	cr_assert_eq(memcmp(back, plain, 114), 0);
}

static void by_libcrypto(const struct cipher *cipher, unsigned char *text)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n;

	cr_assert(EVP_EncryptInit_ex(context, EVP_chacha20_poly1305(), NULL, cipher->key,
				     cipher->nonce));
	cr_assert(EVP_EncryptUpdate(context, NULL, &n, cipher->known,
				    (int)cipher->known_length));
	cr_assert(
		EVP_EncryptUpdate(context, text, &n, cipher->plain, (int)cipher->length));
	cr_assert(EVP_EncryptFinal_ex(context, text + n, &n));
	cr_assert(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_SIZE,
				      text + cipher->length));
	EVP_CIPHER_CTX_free(context);
}

Test(buffer_cipher, the_cipher_agrees_with_libcryptos_at_every_length)
{
	static unsigned char plain[1100], text[1100 + 16], theirs[1100 + 16], back[1100];
	unsigned char key[32], known[40];
	struct cipher cipher = { .key = key, .known = known, .text = text };
	size_t bad;

	for (cipher.length = 0; cipher.length <= 1050; cipher.length++) {
		cr_assert_eq(getentropy(key, sizeof(key)), 0);
		cr_assert_eq(getentropy(known, sizeof(known)), 0);
		cr_assert_eq(getentropy(cipher.nonce, sizeof(cipher.nonce)), 0);
		cr_assert_eq(getentropy(plain, 256), 0);
		memcpy(plain + 256, plain, 256);
		memcpy(plain + 512, plain, 512);
		cipher.known_length = cipher.length % 41;
		cipher.plain = plain;
		cipher_encrypt(&cipher);
		by_libcrypto(&cipher, theirs);
		cr_assert_eq(memcmp(text, theirs, cipher.length + 16), 0, "%zu bytes",
			     cipher.length);
		cipher.plain = back;
		cr_assert(cipher_decrypt(&cipher));
		cr_assert(!cipher.length || !memcmp(back, plain, cipher.length));
		/* One bit anywhere, and nothing is decrypted. */
		memset(back, 0x5a, sizeof(back));
		bad = cipher.length * 7919 % (cipher.length + 16);
		text[bad] ^= 1U << cipher.length % 8;
		cr_assert_not(cipher_decrypt(&cipher));
		cr_assert(back[0] == 0x5a && back[cipher.length / 2] == 0x5a);
	}
}
