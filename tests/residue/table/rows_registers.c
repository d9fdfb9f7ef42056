// SPDX-License-Identifier: MIT
/*
 * Rows: what is in registers as a section's function returns. Each fills one class of
 * them, and nothing else.
 */
#include "../../selftests/registers.h"
#include "fill.h"

static const char *without_avx512(void)
{
	return registers_have < HAVE_AVX512 ? "the processor has no AVX-512" : NULL;
}

static void general(uint8_t *secret)
{
	row_fill_general(secret);
}

static void x87(uint8_t *secret)
{
	fill_x87(secret);
}

static void vector(uint8_t *secret)
{
	fill_vector(secret);
}

static void upper(uint8_t *secret)
{
	fill_upper(secret);
}

static void high(uint8_t *secret)
{
	fill_high(secret);
}

static void masks(uint8_t *secret)
{
	fill_masks(secret);
}

/* Rounding, and which exceptions there are: six bits, that a secret may choose. */
static void control_words(uint8_t *secret)
{
	uint32_t mxcsr = 0x1f80 | 0x6000 | (secret[0] & 0x3f);
	uint16_t x87_control = 0x0f7f;

	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87_control));
}

const struct row rows_registers[] = {
	{ .name = "general registers", .where = "register r", .inside = general },
	{ .name = "x87/MMX", .where = "register st", .inside = x87 },
	{ .name = "MXCSR", .inside = control_words, .kind = ROW_CONTROL_WORDS },
	{ .name = "xmm/ymm 0-15", .where = "mm", .inside = vector },
	{ .name = "zmm 0-15 upper",
	  .where = "register zmm",
	  .inside = upper,
	  .cannot = without_avx512 },
	{ .name = "zmm16-31",
	  .where = "register zmm",
	  .inside = high,
	  .cannot = without_avx512 },
	{ .name = "k0-k7",
	  .where = "register k",
	  .inside = masks,
	  .cannot = without_avx512 },
	{ .name = NULL },
};
