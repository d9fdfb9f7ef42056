// SPDX-License-Identifier: MIT

#include "textflag.h"

// func FillGeneral(secret *[32]byte)
TEXT ·FillGeneral(SB), NOSPLIT, $0-8
	MOVQ secret+0(FP), DX
	MOVQ 0(DX), R8
	MOVQ 8(DX), R9
	MOVQ 16(DX), R10
	MOVQ 24(DX), R11
	MOVQ 0(DX), R12
	MOVQ 8(DX), R13
	MOVQ 16(DX), SI
	MOVQ 24(DX), DI
	RET

// X15 is zero in Go's code.
#define FILL_LOW \
	MOVOU 0(DX), X0 \
	MOVOU 16(DX), X1 \
	MOVOU 0(DX), X10 \
	MOVOU 16(DX), X11

#define FILL_HIGH \
	VMOVDQU64 0(DX), Y16 \
	VMOVDQU64 0(DX), Y17 \
	VMOVDQU64 0(DX), Y30 \
	VMOVDQU64 0(DX), Y31

// func FillVector(secret *[32]byte)
TEXT ·FillVector(SB), NOSPLIT, $0-8
	MOVQ secret+0(FP), DX
	FILL_LOW
	CMPB ·avx512(SB), $0
	JEQ  done
	FILL_HIGH
done:
	RET

// func interrupt(secret *[32]byte, pid, tid, signal int)
TEXT ·interrupt(SB), NOSPLIT, $0-32
	MOVQ secret+0(FP), DX
	FILL_LOW
	CMPB ·avx512(SB), $0
	JEQ  send
	FILL_HIGH
send:
	MOVQ 0(DX), R8
	MOVQ 8(DX), R9
	MOVQ 16(DX), R10
	MOVQ 24(DX), R12
	MOVQ pid+8(FP), DI
	MOVQ tid+16(FP), SI
	MOVQ signal+24(FP), DX
	MOVQ $234, AX // tgkill
	SYSCALL
	XORQ R8, R8
	XORQ R9, R9
	XORQ R10, R10
	XORQ R12, R12
	PXOR X0, X0
	PXOR X1, X1
	PXOR X10, X10
	PXOR X11, X11
	CMPB ·avx512(SB), $0
	JEQ  done
	VPXORQ Y16, Y16, Y16
	VPXORQ Y17, Y17, Y17
	VPXORQ Y30, Y30, Y30
	VPXORQ Y31, Y31, Y31
done:
	RET

// func Forever()
TEXT ·Forever(SB), NOSPLIT, $0-0
again:
	MOVQ $34, AX // pause
	SYSCALL
	JMP  again
