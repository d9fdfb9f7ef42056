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
#define VECTORS_AVX2 2 /* the same registers as AVX, and integers in all of them */
#define VECTORS_AVX512 3

/* The x87 status word's number of the register that is the top of its stack. */
#define X87_STATUS_TOP 0x3800

/* Bytes that section_wipe() looks at, and zeroes, at a time. */
#define WIPE_PIECE 256

/* Bytes that the functions "_in_room" zero: as much as the frames down to wipe_below() take. */
#define WIPE_ROOM 1024

/* What the kernel wants to find before an abort address: libc's choice. */
#define RSEQ_SIGNATURE 0x53053053

/* The assembler's files are marked for CET: each of their functions has endbr64. */
#if defined(__ASSEMBLER__) && defined(__CET__)
#include <cet.h>
#endif

#endif /* LETHE_SECTION_H */
