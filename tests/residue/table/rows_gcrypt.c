// SPDX-License-Identifier: MIT
/*
 * libgcrypt's row: AES-256-GCM. As its manual lets a program do that has a better place for
 * secrets, it is started without a pool of its own: what it allocates then comes from
 * malloc(). (The pool is a mapping of libgcrypt's, which no section makes secret.)
 */
#include <gcrypt.h>

#include "row.h"
#include "rows_crypto.h"

#define TEXT 64

static gcry_cipher_hd_t kept;

void gcrypt_start(void)
{
	if (!gcry_check_version(GCRYPT_VERSION))
		row_die("libgcrypt");
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

/*
 * The handle outlives the section, as with libcrypto: when it is closed the round keys are
 * wiped, but for those that stay in registers of a processor with AVX-512.
 */
void gcrypt_gcm(uint8_t *secret)
{
	static const uint8_t text[TEXT] = "a record", iv[12] = "nor an iv";
	uint8_t sealed[TEXT], tag[16];

	if (gcry_cipher_open(&kept, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, 0) ||
	    gcry_cipher_setkey(kept, secret, ROW_SECRET) ||
	    gcry_cipher_setiv(kept, iv, sizeof(iv)) ||
	    gcry_cipher_encrypt(kept, sealed, TEXT, text, TEXT) ||
	    gcry_cipher_gettag(kept, tag, sizeof(tag)))
		row_die("AES-256-GCM of libgcrypt");
}
