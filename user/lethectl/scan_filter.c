// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The filter, which all that is searched goes through: for every fourth byte a hash and
 * one bit tell that no window of the table begins there. Eight at a time where the
 * processor has AVX2. It knows nothing of what is searched for.
 */
#include <immintrin.h>

#include "scan_table.h"

#define AT_A_TIME 8

static size_t next_of_one(const struct table *table, const uint8_t *bytes, size_t i,
			  size_t length)
{
	uint32_t h;

	for (; i + WINDOW <= length; i += STRIDE) {
		h = window_hash(table, bytes + i) >> (32 - table->filter_bits);
		if (table->filter[h / 32] >> (h % 32) & 1)
			return i;
	}
	return length;
}

/* For each of eight places a bit. */
__attribute__((target("avx2"))) static inline unsigned int
eight(const struct table *table, const uint8_t *bytes)
{
	const __m256i first = _mm256_loadu_si256((const void *)bytes);
	const __m256i last = _mm256_and_si256(
		_mm256_loadu_si256((const void *)(bytes + 4)), _mm256_set1_epi32(0xff));
	__m256i h, bits;

	h = _mm256_add_epi32(
		_mm256_mullo_epi32(first, _mm256_set1_epi32((int)table->key)),
		_mm256_mullo_epi32(last, _mm256_set1_epi32((int)table->key_of_last)));
	h = _mm256_srl_epi32(h, _mm_cvtsi32_si128((int)(32 - table->filter_bits)));
	bits = _mm256_i32gather_epi32((const int *)table->filter, _mm256_srli_epi32(h, 5),
				      4);
	/* Its bit becomes the sign. */
	bits = _mm256_sllv_epi32(bits, _mm256_andnot_si256(h, _mm256_set1_epi32(31)));
	return (unsigned int)_mm256_movemask_ps(_mm256_castsi256_ps(bits));
}

__attribute__((target("avx2"))) static size_t
next_of_eight(const struct table *table, const uint8_t *bytes, size_t i, size_t length)
{
	unsigned int hits;

	for (; i + AT_A_TIME * STRIDE + WINDOW <= length; i += AT_A_TIME * STRIDE) {
		hits = eight(table, bytes + i);
		if (__builtin_expect(hits, 0))
			return i + (size_t)__builtin_ctz(hits) * STRIDE;
	}
	return next_of_one(table, bytes, i, length);
}

size_t filter_next(const struct table *table, const uint8_t *bytes, size_t from,
		   size_t length)
{
	return __builtin_cpu_supports("avx2") ?
		       next_of_eight(table, bytes, from, length) :
		       next_of_one(table, bytes, from, length);
}
