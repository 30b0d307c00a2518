// The two ceilings that the figures are compared with: multiply-accumulates
// on registers alone, and bytes read from memory and used for nothing.

#include "textflag.h"

// 24 sums in Z0..Z23, as many as a tile of the matrix kernel holds: no sum
// waits for itself, and no load is in the way.
#define ROW(c) \
	VPDPBUSD Z30, Z31, c

#define ROWS \
	ROW(Z0)  \
	ROW(Z1)  \
	ROW(Z2)  \
	ROW(Z3)  \
	ROW(Z4)  \
	ROW(Z5)  \
	ROW(Z6)  \
	ROW(Z7)  \
	ROW(Z8)  \
	ROW(Z9)  \
	ROW(Z10) \
	ROW(Z11) \
	ROW(Z12) \
	ROW(Z13) \
	ROW(Z14) \
	ROW(Z15) \
	ROW(Z16) \
	ROW(Z17) \
	ROW(Z18) \
	ROW(Z19) \
	ROW(Z20) \
	ROW(Z21) \
	ROW(Z22) \
	ROW(Z23)

// func peakAVX512(n int)
TEXT ·peakAVX512(SB), NOSPLIT, $0-8
	MOVQ   n+0(FP), CX
	VPXORQ Z30, Z30, Z30
	VPXORQ Z31, Z31, Z31

loop:
	ROWS
	ROWS
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// The AVX2 way of four multiply-accumulates a lane: VPMADDUBSW, VPMADDWD, VPADDD.
#define ROW2(t, c) \
	VPMADDUBSW Y14, Y15, t \
	VPMADDWD   Y13, t, t   \
	VPADDD     t, c, c

// func peakAVX2(n int)
TEXT ·peakAVX2(SB), NOSPLIT, $0-8
	MOVQ  n+0(FP), CX
	VPXOR Y13, Y13, Y13
	VPXOR Y14, Y14, Y14
	VPXOR Y15, Y15, Y15

loop:
	ROW2(Y8, Y0)
	ROW2(Y9, Y1)
	ROW2(Y10, Y2)
	ROW2(Y11, Y3)
	ROW2(Y8, Y4)
	ROW2(Y9, Y5)
	ROW2(Y10, Y6)
	ROW2(Y11, Y7)
	DECQ  CX
	JNZ   loop
	VZEROUPPER
	RET

// func readAVX2(p *byte, n int, ahead int)
// Reads n blocks of 256 bytes; ahead is the distance of prefetches in bytes.
TEXT ·readAVX2(SB), NOSPLIT, $0-24
	MOVQ  p+0(FP), SI
	MOVQ  n+8(FP), CX
	MOVQ  ahead+16(FP), DX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1

loop:
	PREFETCHT0 (SI)(DX*1)
	PREFETCHT0 64(SI)(DX*1)
	PREFETCHT0 128(SI)(DX*1)
	PREFETCHT0 192(SI)(DX*1)
	VPXOR      (SI), Y0, Y0
	VPXOR      32(SI), Y1, Y1
	VPXOR      64(SI), Y0, Y0
	VPXOR      96(SI), Y1, Y1
	VPXOR      128(SI), Y0, Y0
	VPXOR      160(SI), Y1, Y1
	VPXOR      192(SI), Y0, Y0
	VPXOR      224(SI), Y1, Y1
	ADDQ       $256, SI
	DECQ       CX
	JNZ        loop
	VZEROUPPER
	RET
