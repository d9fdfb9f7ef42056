// SPDX-License-Identifier: MIT
/*
 * Frames full of a secret, as functions leave them that had it in variables and returned.
 * Byte by byte, in one general register.
 */
#include "fill.h"

void fill_memory(volatile uint8_t *start, size_t length, const uint8_t *secret)
{
	/* At the far end, in the middle, and at the near end. */
	for (size_t i = 0; i < ROW_SECRET; i++) {
		start[i] = secret[i];
		start[length / 2 + i] = secret[i];
		start[length - ROW_SECRET + i] = secret[i];
	}
}

void fill_frame(const uint8_t *secret)
{
	uint8_t frame[4096];

	fill_memory(frame, sizeof(frame), secret);
}

void fill_deep_frame(const uint8_t *secret)
{
	uint8_t frame[64 * 1024];

	fill_memory(frame, sizeof(frame), secret);
}
