// Element-wise kernels, eight elements at a time: as 64-bit numbers those with
// even indexes in one register ("E"), those with odd indexes in another ("O"),
// because VPMULDQ multiplies the low halves. Formulas and names are those of
// docs/spec/ops.md. Counts are in vectors of eight and at least 1.
//
// AVX2 shifts 64-bit lanes right without sign only: x >> s is computed as
// ((x + 2^63) >> s) - (2^63 >> s). RHU's 2^(s-1) and 2^63 are added at once.

#include "textflag.h"

DATA exp2d<>+0(SB)/4, $32766
DATA exp2d<>+4(SB)/4, $42883 // -22653 as u16
DATA exp2d<>+8(SB)/4, $7563
DATA exp2d<>+12(SB)/4, $64242 // -1294 as u16
DATA exp2d<>+16(SB)/4, $0x7FFF
GLOBL exp2d<>(SB), RODATA|NOPTR, $20

// EXP2 of the dwords of F, below 2^15, into Y, by way of T.
#define EXP2(F, Y, T) \
	VPBROADCASTD exp2d<>+12(SB), T \
	VPMULHRSW    T, F, Y           \
	VPBROADCASTD exp2d<>+8(SB), T  \
	VPADDW       T, Y, Y           \
	VPMULHRSW    Y, F, Y           \
	VPBROADCASTD exp2d<>+4(SB), T  \
	VPADDW       T, Y, Y           \
	VPMULHRSW    Y, F, Y           \
	VPBROADCASTD exp2d<>+0(SB), T  \
	VPADDW       T, Y, Y

#define BROADCASTQ(value, x, y) \
	MOVQ         $value, AX \
	VMOVQ        AX, x      \
	VPBROADCASTQ x, y

#define BROADCASTD(value, x, y) \
	MOVL         $value, AX \
	VMOVD        AX, x      \
	VPBROADCASTD x, y

// Dwords of even index from E's low halves, of odd index from O's, into D. D
// may be O.
#define NARROW(E, O, D) \
	VPSLLQ   $32, O, D \
	VPBLENDD $0xAA, D, E, D

// sat32 of E and O into D, by way of T; MAX is 2^31-1 in every dword. E is lost.
#define SAT32(E, O, D, T, MAX) \
	VPSRLQ    $32, E, T        \
	VPBLENDD  $0xAA, O, T, T \
	VPSLLQ    $32, O, D        \
	VPBLENDD  $0xAA, D, E, D \
	VPSRAD    $31, D, E        \
	VPCMPEQD  T, E, E        \
	VPSRAD    $31, T, T        \
	VPXOR     MAX, T, T      \
	VBLENDVPS E, D, T, D

// Constants of RHU by a uniform s: ADD = half + 2^63, SUB = 2^63 >> s, from
// half in ADD and s in the low lane of xs.
#define RHU_LOAD(ADD, xt, SUB, xs) \
	MOVQ         $0x8000000000000000, AX \
	VMOVQ        AX, xt                  \
	VPBROADCASTQ xt, SUB                 \
	VPADDQ       SUB, ADD, ADD           \
	VPSRLQ       xs, SUB, SUB

#define RHU(R, ADD, SUB, xs) \
	VPADDQ ADD, R, R \
	VPSRLQ xs, R, R  \
	VPSUBQ SUB, R, R

// Largest dword of Y0, by op, into AX.
#define REDUCED(op) \
	VEXTRACTI128 $1, Y0, X1 \
	op           X1, X0, X0 \
	VPSHUFD      $0xEE, X0, X1 \
	op           X1, X0, X0 \
	VPSHUFD      $0x55, X0, X1 \
	op           X1, X0, X0 \
	VMOVD        X0, AX

// func rescaleAVX2(dst, acc *int32, cm *uint32, ce *int32, n int, m, e int64) int
// Stops at a vector with a shift outside [0, 62] and returns the vectors done.
TEXT ·rescaleAVX2(SB), NOSPLIT, $0-64
	MOVQ         dst+0(FP), DI
	MOVQ         acc+8(FP), SI
	MOVQ         cm+16(FP), DX
	MOVQ         ce+24(FP), BX
	MOVQ         n+32(FP), CX
	VPBROADCASTQ m+40(FP), Y15
	VPBROADCASTD e+48(FP), Y14
	BROADCASTQ(1, X13, Y13)
	BROADCASTD(62, X12, Y12)
	BROADCASTD(0x7FFFFFFF, X11, Y11)
	MOVQ         $0x8000000000000000, AX
	VMOVQ        AX, X10
	VPBROADCASTQ X10, Y10
	VPXOR        Y9, Y9, Y9

loop:
	VPADDD    (BX), Y14, Y8      // s
	VPMINUD   Y12, Y8, Y0
	VPCMPEQD  Y8, Y0, Y0
	VMOVMSKPS Y0, AX
	CMPL      AX, $0xFF
	JNE       done
	VMOVDQU   (DX), Y0
	VPSRLQ    $32, Y0, Y1
	VPMULUDQ  Y15, Y0, Y0
	VPMULUDQ  Y15, Y1, Y1
	VPSRLQ    $31, Y0, Y0        // c
	VPSRLQ    $31, Y1, Y1
	VMOVDQU   (SI), Y2
	VPSRLQ    $32, Y2, Y3
	VPMULDQ   Y2, Y0, Y0         // p
	VPMULDQ   Y3, Y1, Y1
	VPBLENDD  $0xAA, Y9, Y8, Y2  // s of E
	VPSRLQ    $32, Y8, Y3        // s of O
	VPSLLVQ   Y2, Y13, Y4
	VPSLLVQ   Y3, Y13, Y5
	VPSRLQ    $1, Y4, Y4         // 2^(s-1); 0 for s = 0
	VPSRLQ    $1, Y5, Y5
	VPADDQ    Y4, Y0, Y0
	VPADDQ    Y5, Y1, Y1
	VPADDQ    Y10, Y0, Y0
	VPADDQ    Y10, Y1, Y1
	VPSRLVQ   Y2, Y0, Y0
	VPSRLVQ   Y3, Y1, Y1
	VPSRLVQ   Y2, Y10, Y4
	VPSRLVQ   Y3, Y10, Y5
	VPSUBQ    Y4, Y0, Y0
	VPSUBQ    Y5, Y1, Y1
	SAT32(Y0, Y1, Y2, Y3, Y11)
	VMOVDQU   Y2, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $32, BX
	ADDQ      $32, DI
	DECQ      CX
	JNZ       loop

done:
	MOVQ n+32(FP), AX
	SUBQ CX, AX
	MOVQ AX, ret+56(FP)
	VZEROUPPER
	RET

// func addAVX2(dst, a, b *int32, n int)
TEXT ·addAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	BROADCASTD(0x7FFFFFFF, X11, Y11)

loop:
	VMOVDQU   (SI), Y0
	VMOVDQU   (DX), Y1
	VPADDD    Y1, Y0, Y2
	VPXOR     Y0, Y2, Y3
	VPXOR     Y1, Y2, Y4
	VPAND     Y3, Y4, Y3     // sign bit: both signs differ from the sum's
	VPSRAD    $31, Y0, Y0
	VPXOR     Y11, Y0, Y0    // what it saturates to
	VBLENDVPS Y3, Y0, Y2, Y2
	VMOVDQU   Y2, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $32, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func rowMaxAVX2(v *int32, n int) uint32
TEXT ·rowMaxAVX2(SB), NOSPLIT, $0-20
	MOVQ  v+0(FP), SI
	MOVQ  n+8(FP), CX
	VPXOR Y0, Y0, Y0

loop:
	VPABSD  (SI), Y1
	VPMAXUD Y1, Y0, Y0
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop
	REDUCED(VPMAXUD)
	MOVL    AX, ret+16(FP)
	VZEROUPPER
	RET

// func maxAVX2(v *int32, n int) int32
TEXT ·maxAVX2(SB), NOSPLIT, $0-20
	MOVQ    v+0(FP), SI
	MOVQ    n+8(FP), CX
	VMOVDQU (SI), Y0

loop:
	VPMAXSD (SI), Y0, Y0
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop
	REDUCED(VPMAXSD)
	MOVL    AX, ret+16(FP)
	VZEROUPPER
	RET

// The dwords of D, in s32, clamped to [-127, 127] as eight bytes to (DI); the
// lanes of MIN hold -127.
#define STORE8(D, xd, xt, MIN) \
	VPMAXSD      MIN, D, D   \
	VEXTRACTI128 $1, D, xt   \
	VPACKSSDW    xt, xd, xd  \
	VPACKSSWB    xd, xd, xd  \
	VMOVQ        xd, (DI)

// func quantAVX2(q *int8, v *int32, n int, r, half, s int64)
TEXT ·quantAVX2(SB), NOSPLIT, $0-48
	MOVQ         q+0(FP), DI
	MOVQ         v+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTQ r+24(FP), Y15
	VPBROADCASTQ half+32(FP), Y14
	VMOVQ        s+40(FP), X13
	RHU_LOAD(Y14, X12, Y12, X13)
	BROADCASTD(-127, X11, Y11)

loop:
	VMOVDQU (SI), Y0
	VPSRLQ  $32, Y0, Y1
	VPMULDQ Y15, Y0, Y0
	VPMULDQ Y15, Y1, Y1
	RHU(Y0, Y14, Y12, X13)
	RHU(Y1, Y14, Y12, X13)
	NARROW(Y0, Y1, Y1)
	STORE8(Y1, X1, X2, Y11)
	ADDQ    $32, SI
	ADDQ    $8, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func sumSquaresAVX2(x *int32, n int, t int64) uint64
TEXT ·sumSquaresAVX2(SB), NOSPLIT, $0-32
	MOVQ  x+0(FP), SI
	MOVQ  n+8(FP), CX
	VMOVQ t+16(FP), X15
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1

loop:
	VMOVDQU (SI), Y2
	VPSRAD  X15, Y2, Y2
	VPMULDQ Y2, Y2, Y3
	VPADDQ  Y3, Y0, Y0
	VPSRLQ  $32, Y2, Y2
	VPMULDQ Y2, Y2, Y2
	VPADDQ  Y2, Y1, Y1
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop
	VPADDQ       Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSHUFD      $0xEE, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, AX
	MOVQ         AX, ret+24(FP)
	VZEROUPPER
	RET

// func normAVX2(dst, x, gain *int32, n int, m, half, s int64)
TEXT ·normAVX2(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         gain+16(FP), DX
	MOVQ         n+24(FP), CX
	VPBROADCASTQ m+32(FP), Y15
	VPBROADCASTQ half+40(FP), Y14
	VMOVQ        s+48(FP), X13
	RHU_LOAD(Y14, X12, Y12, X13)
	BROADCASTQ(22, X10, Y10)
	BROADCASTQ(0x200000, X9, Y9)
	RHU_LOAD(Y9, X8, Y8, X10)
	BROADCASTD(0x7FFFFFFF, X11, Y11)

loop:
	VMOVDQU (SI), Y0
	VPSRLQ  $32, Y0, Y1
	VPMULDQ Y15, Y0, Y0
	VPMULDQ Y15, Y1, Y1
	RHU(Y0, Y14, Y12, X13)
	RHU(Y1, Y14, Y12, X13)
	SAT32(Y0, Y1, Y2, Y3, Y11)
	VMOVDQU (DX), Y4
	VPSRLQ  $32, Y2, Y3
	VPSRLQ  $32, Y4, Y5
	VPMULDQ Y4, Y2, Y2
	VPMULDQ Y5, Y3, Y3
	RHU(Y2, Y9, Y8, X10)
	RHU(Y3, Y9, Y8, X10)
	SAT32(Y2, Y3, Y4, Y5, Y11)
	VMOVDQU Y4, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// |P| into P, and the larger of it and A into A; T and U are lost, ZERO is 0.
#define MAXABSQ(P, A, T, U, ZERO) \
	VPCMPGTQ  P, ZERO, T \
	VPXOR     T, P, P    \
	VPSUBQ    T, P, P    \
	VPCMPGTQ  A, P, U    \
	VBLENDVPD U, P, A, A

// func maxProductAVX2(x, gain *int32, n int) uint64
TEXT ·maxProductAVX2(SB), NOSPLIT, $0-32
	MOVQ  x+0(FP), SI
	MOVQ  gain+8(FP), DX
	MOVQ  n+16(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y15, Y15, Y15

loop:
	VMOVDQU (SI), Y2
	VMOVDQU (DX), Y3
	VPSRLQ  $32, Y2, Y4
	VPSRLQ  $32, Y3, Y5
	VPMULDQ Y3, Y2, Y2
	VPMULDQ Y5, Y4, Y4
	MAXABSQ(Y2, Y0, Y6, Y7, Y15)
	MAXABSQ(Y4, Y1, Y8, Y9, Y15)
	ADDQ    $32, SI
	ADDQ    $32, DX
	DECQ    CX
	JNZ     loop
	MAXABSQ(Y1, Y0, Y6, Y7, Y15)
	VEXTRACTI128 $1, Y0, X1
	MAXABSQ(X1, X0, X6, X7, X15)
	VPSHUFD      $0xEE, X0, X1
	MAXABSQ(X1, X0, X6, X7, X15)
	VMOVQ   X0, AX
	MOVQ    AX, ret+24(FP)
	VZEROUPPER
	RET

// func quantProductAVX2(q *int8, x, gain *int32, n int, w, r, half, s int64)
TEXT ·quantProductAVX2(SB), NOSPLIT, $0-64
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         gain+16(FP), DX
	MOVQ         n+24(FP), CX
	VMOVQ        w+32(FP), X10
	VPBROADCASTQ r+40(FP), Y15
	VPBROADCASTQ half+48(FP), Y14
	VMOVQ        s+56(FP), X13
	RHU_LOAD(Y14, X12, Y12, X13)
	BROADCASTD(-127, X11, Y11)

loop:
	VMOVDQU (SI), Y0
	VMOVDQU (DX), Y1
	VPSRLQ  $32, Y0, Y2
	VPSRLQ  $32, Y1, Y3
	VPMULDQ Y1, Y0, Y0
	VPMULDQ Y3, Y2, Y2
	VPSRLQ  X10, Y0, Y0 // v fits s32: its low half is right without the sign
	VPSRLQ  X10, Y2, Y2
	VPMULDQ Y15, Y0, Y0
	VPMULDQ Y15, Y2, Y2
	RHU(Y0, Y14, Y12, X13)
	RHU(Y2, Y14, Y12, X13)
	NARROW(Y0, Y2, Y2)
	STORE8(Y2, X2, X3, Y11)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $8, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func ropeAVX2(y0, y1, x0, x1, cos, sin *int32, n int)
TEXT ·ropeAVX2(SB), NOSPLIT, $0-56
	MOVQ y0+0(FP), DI
	MOVQ y1+8(FP), R8
	MOVQ x0+16(FP), SI
	MOVQ x1+24(FP), R9
	MOVQ cos+32(FP), R10
	MOVQ sin+40(FP), R11
	MOVQ n+48(FP), CX
	BROADCASTQ(30, X15, Y15)
	BROADCASTQ(0x20000000, X14, Y14)
	RHU_LOAD(Y14, X13, Y13, X15)
	BROADCASTD(0x40000000, X12, Y12)
	BROADCASTD(0x7FFFFFFF, X11, Y11)

loop:
	VMOVDQU (R10), Y2
	VMOVDQU (R11), Y3
	VPMINSD Y12, Y2, Y2
	VPMINSD Y12, Y3, Y3
	VPXOR   Y10, Y10, Y10
	VPSUBD  Y12, Y10, Y10
	VPMAXSD Y10, Y2, Y2
	VPMAXSD Y10, Y3, Y3
	VMOVDQU (SI), Y0
	VMOVDQU (R9), Y1
	VPSRLQ  $32, Y0, Y4
	VPSRLQ  $32, Y1, Y5
	VPSRLQ  $32, Y2, Y6
	VPSRLQ  $32, Y3, Y7
	VPMULDQ Y2, Y0, Y8   // x0·cos
	VPMULDQ Y3, Y1, Y9   // x1·sin
	VPSUBQ  Y9, Y8, Y8
	VPMULDQ Y2, Y1, Y9   // x1·cos
	VPMULDQ Y3, Y0, Y10  // x0·sin
	VPADDQ  Y10, Y9, Y9
	VPMULDQ Y6, Y4, Y0   // the same of O
	VPMULDQ Y7, Y5, Y1
	VPSUBQ  Y1, Y0, Y0
	VPMULDQ Y6, Y5, Y1
	VPMULDQ Y7, Y4, Y10
	VPADDQ  Y10, Y1, Y1
	RHU(Y8, Y14, Y13, X15)
	RHU(Y9, Y14, Y13, X15)
	RHU(Y0, Y14, Y13, X15)
	RHU(Y1, Y14, Y13, X15)
	SAT32(Y8, Y0, Y2, Y3, Y11)
	SAT32(Y9, Y1, Y4, Y5, Y11)
	VMOVDQU Y2, (DI)
	VMOVDQU Y4, (R8)
	ADDQ    $32, DI
	ADDQ    $32, R8
	ADDQ    $32, SI
	ADDQ    $32, R9
	ADDQ    $32, R10
	ADDQ    $32, R11
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

DATA siluc<>+0(SB)/8, $1549082005          // log2(e), Q30
DATA siluc<>+8(SB)/8, $0x40000000          // half of 2^31
DATA siluc<>+16(SB)/8, $0x4170000000000000 // 2^24 as a double
DATA siluc<>+24(SB)/8, $0x3FE0000000000000 // 0.5 as a double
GLOBL siluc<>(SB), RODATA|NOPTR, $32

// σ of four dwords: NUM·2^24 / DEN rounded, into SIGMA; yN and yD are lost.
#define SIGMA4(NUM, DEN, yN, yD, SIGMA) \
	VCVTDQ2PD   NUM, yN              \
	VCVTDQ2PD   DEN, yD              \
	VMULPD      Y13, yN, yN          \
	VDIVPD      yD, yN, yN           \
	VADDPD      Y12, yN, yN          \
	VCVTTPD2DQY yN, SIGMA

// func siluAVX2(dst, gate, up *int32, n int)
TEXT ·siluAVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         gate+8(FP), SI
	MOVQ         up+16(FP), DX
	MOVQ         n+24(FP), CX
	VPBROADCASTQ siluc<>+0(SB), Y15
	VPBROADCASTQ siluc<>+8(SB), Y14
	VPBROADCASTQ siluc<>+16(SB), Y13
	VPBROADCASTQ siluc<>+24(SB), Y12
	BROADCASTD(0x7FFFFFFF, X11, Y11)
	BROADCASTD(0x1000000, X10, Y10)
	BROADCASTD(31, X9, Y9)

loop:
	VMOVDQU      (SI), Y0
	VPABSD       Y0, Y1
	VPSRLQ       $32, Y1, Y2
	VPMULUDQ     Y15, Y1, Y1
	VPMULUDQ     Y15, Y2, Y2
	VPADDQ       Y14, Y1, Y1
	VPADDQ       Y14, Y2, Y2
	VPSRLQ       $31, Y1, Y1
	VPSRLQ       $31, Y2, Y2
	NARROW(Y1, Y2, Y2)              // d, below 2^31
	VPSRLD       $15, Y2, Y1
	VPMINUD      Y9, Y1, Y1         // n
	VPBROADCASTD exp2d<>+16(SB), Y3
	VPAND        Y3, Y2, Y2
	EXP2(Y2, Y3, Y4)
	VPSLLD       $9, Y3, Y3
	VPSRLVD      Y1, Y3, Y3         // p
	VPADDD       Y10, Y3, Y4        // D
	VBLENDVPS    Y0, Y3, Y10, Y5    // numerator: p where x < 0
	VEXTRACTI128 $1, Y5, X6
	VEXTRACTI128 $1, Y4, X7
	SIGMA4(X5, X4, Y5, Y4, X5)
	SIGMA4(X6, X7, Y6, Y7, X6)
	VINSERTI128  $1, X6, Y5, Y5     // sigma
	VPSRLQ       $32, Y5, Y6
	VPSRLQ       $32, Y0, Y1
	VPMULDQ      Y5, Y0, Y0
	VPMULDQ      Y6, Y1, Y1
	BROADCASTQ(0x800000, X2, Y2)
	VPADDQ       Y2, Y0, Y0
	VPADDQ       Y2, Y1, Y1
	VPSRLQ       $24, Y0, Y0        // g fits s32: its low half is right without the sign
	VPSRLQ       $24, Y1, Y1
	VMOVDQU      (DX), Y2
	VPSRLQ       $32, Y2, Y3
	VPMULDQ      Y2, Y0, Y0
	VPMULDQ      Y3, Y1, Y1
	MOVQ         $0x8000000000008000, AX
	VMOVQ        AX, X2
	VPBROADCASTQ X2, Y2
	BROADCASTQ(0x800000000000, X3, Y3)
	VPADDQ       Y2, Y0, Y0
	VPADDQ       Y2, Y1, Y1
	VPSRLQ       $16, Y0, Y0
	VPSRLQ       $16, Y1, Y1
	VPSUBQ       Y3, Y0, Y0
	VPSUBQ       Y3, Y1, Y1
	SAT32(Y0, Y1, Y2, Y3, Y11)
	VMOVDQU      Y2, (DI)
	ADDQ         $32, SI
	ADDQ         $32, DX
	ADDQ         $32, DI
	DECQ         CX
	JNZ          loop
	VZEROUPPER
	RET
