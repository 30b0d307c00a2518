// The parts of attention that are not matrix products. Formulas and names are
// those of docs/spec/ops.md; AVX2's shifts and divisions as in elem_avx2_amd64.s.

#include "textflag.h"

DATA exp2w<>+0(SB)/4, $32766
DATA exp2w<>+4(SB)/4, $42883 // -22653 as u16
DATA exp2w<>+8(SB)/4, $7563
DATA exp2w<>+12(SB)/4, $64242 // -1294 as u16
DATA exp2w<>+16(SB)/4, $0x7FFF
DATA exp2w<>+20(SB)/4, $1
DATA exp2w<>+24(SB)/4, $15
DATA exp2w<>+28(SB)/4, $17
GLOBL exp2w<>(SB), RODATA|NOPTR, $32

// func weightsAVX2(hi, lo *uint16, t *int32, mu *uint32, ve *int32, n int, top, eps int32) uint64
// Eight keys at a time; the limbs of a weight are 16-bit numbers below 256.
TEXT ·weightsAVX2(SB), NOSPLIT, $0-64
	MOVQ         hi+0(FP), DI
	MOVQ         lo+8(FP), R8
	MOVQ         t+16(FP), SI
	MOVQ         mu+24(FP), DX
	MOVQ         ve+32(FP), BX
	MOVQ         n+40(FP), CX
	MOVL         top+48(FP), AX
	VMOVD        AX, X15
	VPBROADCASTD X15, Y15
	MOVL         eps+52(FP), AX
	VMOVD        AX, X14
	VPBROADCASTD X14, Y14
	VPBROADCASTD exp2w<>+0(SB), Y13
	VPBROADCASTD exp2w<>+4(SB), Y12
	VPBROADCASTD exp2w<>+8(SB), Y11
	VPBROADCASTD exp2w<>+12(SB), Y10
	VPBROADCASTD exp2w<>+16(SB), Y9
	VPBROADCASTD exp2w<>+20(SB), Y8
	VPBROADCASTD exp2w<>+24(SB), Y7
	VPBROADCASTD exp2w<>+28(SB), Y6
	VPXOR        Y0, Y0, Y0

loop:
	VPSUBD       (SI), Y15, Y1   // d
	VPSRLD       $15, Y1, Y2
	VPMINUD      Y6, Y2, Y2      // n
	VPAND        Y9, Y1, Y1
	VPMULHRSW    Y10, Y1, Y3
	VPADDW       Y11, Y3, Y3
	VPMULHRSW    Y3, Y1, Y3
	VPADDW       Y12, Y3, Y3
	VPMULHRSW    Y3, Y1, Y3
	VPADDW       Y13, Y3, Y3     // EXP2
	VPSLLD       $1, Y3, Y3
	VPSLLVD      Y2, Y8, Y4
	VPSRLD       $1, Y4, Y4
	VPADDD       Y4, Y3, Y3
	VPSRLVD      Y2, Y3, Y3      // p
	VPADDD       Y3, Y0, Y0
	VMOVDQU      (BX), Y4
	VPSUBD       Y14, Y4, Y4     // delta
	VPMINUD      Y7, Y4, Y5
	VPCMPEQD     Y4, Y5, Y5      // delta <= 15
	VPADDD       Y7, Y4, Y4
	VPMULLD      (DX), Y3, Y3
	VPSRLVD      Y4, Y3, Y3
	VPADDD       Y8, Y3, Y3
	VPSRLD       $1, Y3, Y3
	VPAND        Y5, Y3, Y3      // w
	VPSRLD       $8, Y3, Y4
	VPSLLD       $8, Y4, Y5
	VPSUBD       Y5, Y3, Y5
	VEXTRACTI128 $1, Y4, X1
	VPACKUSDW    X1, X4, X4
	VMOVDQU      X4, (DI)
	VEXTRACTI128 $1, Y5, X1
	VPACKUSDW    X1, X5, X5
	VMOVDQU      X5, (R8)
	ADDQ         $32, SI
	ADDQ         $32, DX
	ADDQ         $32, BX
	ADDQ         $16, DI
	ADDQ         $16, R8
	DECQ         CX
	JNZ          loop
	// At most 8,192 numbers below 2^16 a lane: 32 bits hold the sums.
	VPSRLQ       $32, Y0, Y1
	VPSLLQ       $32, Y0, Y0
	VPSRLQ       $32, Y0, Y0
	VPADDQ       Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSHUFD      $0xEE, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, AX
	MOVQ         AX, ret+56(FP)
	VZEROUPPER
	RET

// Adds two keys' values, weighted by a pair of limbs at ADDR, to the sums of
// columns 0..3, 8..11 (L) and 4..7, 12..15 (H).
#define LIMB(ADDR, L, H) \
	VPBROADCASTD ADDR, Y12     \
	VPMADDWD     Y10, Y12, Y13 \
	VPADDD       Y13, L, L     \
	VPMADDWD     Y11, Y12, Y14 \
	VPADDD       Y14, H, H

#define LIMBS \
	VPUNPCKLWD Y9, Y8, Y10     \
	VPUNPCKHWD Y9, Y8, Y11     \
	LIMB((R8), Y0, Y1)         \
	LIMB((R8)(BX*1), Y2, Y3)   \
	LIMB((R8)(R9*1), Y4, Y5)   \
	LIMB((R8)(R10*1), Y6, Y7)

#define STORE16(L, H, at) \
	VPERM2I128 $0x20, H, L, Y8 \
	VPERM2I128 $0x31, H, L, Y9 \
	VMOVDQU    Y8, at(DI)      \
	VMOVDQU    Y9, (at+32)(DI)

// func weighted2AVX2(sums *int32, v *int8, ld int, keys int, w *uint16, limb, step int)
// The weighted sums of 16 columns for two queries: of each, 16 sums with the
// high limbs, then 16 with the low ones. limb is the bytes from the high limbs
// to the low ones, step those from one query to the next.
TEXT ·weighted2AVX2(SB), NOSPLIT, $0-56
	MOVQ  sums+0(FP), DI
	MOVQ  v+8(FP), SI
	MOVQ  ld+16(FP), DX
	MOVQ  keys+24(FP), CX
	MOVQ  w+32(FP), R8
	MOVQ  limb+40(FP), BX
	MOVQ  step+48(FP), R9
	LEAQ  (R9)(BX*1), R10
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	SUBQ  $2, CX
	JLT   odd

loop:
	VPMOVSXBW (SI), Y8
	VPMOVSXBW (SI)(DX*1), Y9
	LIMBS
	LEAQ      (SI)(DX*2), SI
	ADDQ      $4, R8
	SUBQ      $2, CX
	JGE       loop

odd:
	ADDQ      $2, CX
	JZ        store
	VPMOVSXBW (SI), Y8
	VPXOR     Y9, Y9, Y9
	LIMBS

store:
	STORE16(Y0, Y1, 0)
	STORE16(Y2, Y3, 64)
	STORE16(Y4, Y5, 128)
	STORE16(Y6, Y7, 192)
	VZEROUPPER
	RET

// func meanAVX2(dst, hi, lo *int32, n int, total, half, s int64)
// Four columns at a time.
TEXT ·meanAVX2(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         hi+8(FP), SI
	MOVQ         lo+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVQ         total+32(FP), AX
	VPBROADCASTQ total+32(FP), Y15
	VXORPD       X14, X14, X14
	VCVTSI2SDQ   AX, X14, X14
	VBROADCASTSD X14, Y14
	VPSRLQ       $1, Y15, Y13
	VPCMPEQD     Y12, Y12, Y12
	VPADDQ       Y12, Y15, Y12               // L - 1
	MOVQ         $0x4330000000000000, AX     // 2^52 as a double
	VMOVQ        AX, X11
	VPBROADCASTQ X11, Y11
	MOVQ         $0x4170000000000000, AX     // 2^24 as a double
	VMOVQ        AX, X10
	VPBROADCASTQ X10, Y10
	MOVQ         $0x3FE0000000000000, AX     // 0.5 as a double
	VMOVQ        AX, X9
	VPBROADCASTQ X9, Y9
	VPBROADCASTQ half+40(FP), Y8
	MOVQ         $0x8000000000000000, AX
	VMOVQ        AX, X7
	VPBROADCASTQ X7, Y7
	VPADDQ       Y7, Y8, Y8
	VMOVQ        s+48(FP), X6
	VPSRLQ       X6, Y7, Y7
	VPXOR        Y5, Y5, Y5

loop:
	VPMOVSXDQ    (SI), Y0
	VPMOVSXDQ    (DX), Y1
	VPSLLQ       $8, Y0, Y0
	VPADDQ       Y1, Y0, Y0       // N, |N| < 2^39
	VPCMPGTQ     Y0, Y5, Y2
	VPXOR        Y2, Y0, Y0
	VPSUBQ       Y2, Y0, Y0
	VPOR         Y11, Y0, Y1
	VSUBPD       Y11, Y1, Y1      // |N| as a double, exact
	VMULPD       Y10, Y1, Y1
	VDIVPD       Y14, Y1, Y1
	VADDPD       Y9, Y1, Y1
	VCVTTPD2DQY  Y1, X1
	VPMOVZXDQ    X1, Y1           // a/L, off by at most one
	VPSLLQ       $24, Y0, Y0
	VPADDQ       Y13, Y0, Y0      // a = |N|·2^24 + L/2
	VPMULUDQ     Y15, Y1, Y3
	VPSUBQ       Y3, Y0, Y0       // remainder
	VPCMPGTQ     Y0, Y5, Y3       // below 0
	VPADDQ       Y3, Y1, Y1
	VPCMPGTQ     Y12, Y0, Y3      // at least L
	VPSUBQ       Y3, Y1, Y1
	VPXOR        Y2, Y1, Y1
	VPSUBQ       Y2, Y1, Y1
	VPADDQ       Y8, Y1, Y1
	VPSRLQ       X6, Y1, Y1
	VPSUBQ       Y7, Y1, Y1
	VEXTRACTI128 $1, Y1, X3
	VSHUFPS      $0x88, X3, X1, X1
	VMOVDQU      X1, (DI)
	ADDQ         $16, SI
	ADDQ         $16, DX
	ADDQ         $16, DI
	DECQ         CX
	JNZ          loop
	VZEROUPPER
	RET
