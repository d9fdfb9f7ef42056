/* SPDX-License-Identifier: MIT */
/*
 * The round keys that AES-256 makes of a key (FIPS 197, section 5.2), so that
 * they can be searched for: whoever has them has the key. For nothing else:
 * this code takes its time from the key's bytes.
 */
#ifndef RESIDUE_AES_SCHEDULE_H
#define RESIDUE_AES_SCHEDULE_H

#include <stdint.h>

#define AES256_KEY_SIZE 32
#define AES256_SCHEDULE_SIZE 240

/*
 * As libcrypto lays them out where the processor has AES instructions; its
 * bit-sliced code for others keeps another form. Holds no more than four bytes
 * of either in a register or on the stack, and leaves wiping @schedule to the
 * caller.
 */
void aes256_expand(const uint8_t key[AES256_KEY_SIZE],
		   uint8_t schedule[AES256_SCHEDULE_SIZE]);

#endif /* RESIDUE_AES_SCHEDULE_H */
