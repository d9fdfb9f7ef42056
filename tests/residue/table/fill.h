/* SPDX-License-Identifier: MIT */
/*
 * Registers and stacks full of a secret, and all registers emptied: what rows are made of.
 */
#ifndef RESIDUE_FILL_H
#define RESIDUE_FILL_H

#include "row.h"

#ifdef __cplusplus
extern "C" {
#endif

/* row_x86_64.S: of one class each; nothing else of the secret stays in a register. */
void fill_x87(const uint8_t *secret);
void fill_vector(const uint8_t *secret);
void fill_upper(const uint8_t *secret);
void fill_high(const uint8_t *secret);
void fill_masks(const uint8_t *secret);
void fill_red_zone(const uint8_t *secret);
/* With all of them full: a signal to this thread, or a fault. */
void signal_full(const uint8_t *secret, long pid, long tid, long number);
void fault_full(const uint8_t *secret);

/* Of ../peers/rows_x86_64.S. */
void row_fill_general(const uint8_t *secret);
void row_clear_registers(void);

/* A frame that holds it in several places, and is dead as this returns: 4 KiB; 64 KiB. */
void fill_frame(const uint8_t *secret);
void fill_deep_frame(const uint8_t *secret);
/* The same of any memory. */
void fill_memory(volatile uint8_t *start, size_t length, const uint8_t *secret);

#ifdef __cplusplus
}
#endif

#endif /* RESIDUE_FILL_H */
