/* SPDX-License-Identifier: MIT */
/*
 * What rows_crypto.c lists, from the file of each library.
 */
#ifndef RESIDUE_ROWS_CRYPTO_H
#define RESIDUE_ROWS_CRYPTO_H

#include <stdint.h>

/* rows_random.c */
void random_watch(void);
void random_bytes(uint8_t *secret);

/* rows_tls.c */
void tls_handshake(uint8_t *secret);

/* rows_sodium.c */
void sodium_start(void);
void sodium_argon2id(uint8_t *secret);
void sodium_secretbox(uint8_t *secret);

/* rows_gcrypt.c */
void gcrypt_start(void);
void gcrypt_gcm(uint8_t *secret);

#endif /* RESIDUE_ROWS_CRYPTO_H */
