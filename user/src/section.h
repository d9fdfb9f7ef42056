/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What section_x86_64.S and the C files agree on. No C in here: the assembler
 * reads it too.
 */
#ifndef LETHE_SECTION_H
#define LETHE_SECTION_H

/* registers_vectors: the widest vector registers that there are */
#define VECTORS_SSE 0
#define VECTORS_AVX 1
#define VECTORS_AVX512 2

#define MXCSR_CONTROL_MASK 0xffc0

#endif /* LETHE_SECTION_H */
