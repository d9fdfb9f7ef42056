// SPDX-License-Identifier: MIT
/*
 * libgcrypt's row: AES-256-GCM, started as its manual has it, with its secure memory.
 */
#include <gcrypt.h>

#include "row.h"
#include "rows_crypto.h"

#define POOL 16384
#define TEXT 64

void gcrypt_start(void)
{
	if (!gcry_check_version(GCRYPT_VERSION))
		row_die("libgcrypt");
	gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
	gcry_control(GCRYCTL_INIT_SECMEM, POOL, 0);
	gcry_control(GCRYCTL_RESUME_SECMEM_WARN);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void gcrypt_gcm(uint8_t *secret)
{
	static const uint8_t text[TEXT] = "a text that is sealed", iv[12] = "nor an iv";
	uint8_t sealed[TEXT], tag[16];
	gcry_cipher_hd_t cipher;

	if (gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM,
			     GCRY_CIPHER_SECURE) ||
	    gcry_cipher_setkey(cipher, secret, ROW_SECRET) ||
	    gcry_cipher_setiv(cipher, iv, sizeof(iv)) ||
	    gcry_cipher_encrypt(cipher, sealed, TEXT, text, TEXT) ||
	    gcry_cipher_gettag(cipher, tag, sizeof(tag)))
		row_die("AES-256-GCM of libgcrypt");
	gcry_cipher_close(cipher);
}
