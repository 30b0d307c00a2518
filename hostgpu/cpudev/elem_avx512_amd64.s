// Element-wise kernels, eight 64-bit lanes at a time. Formulas and names are
// those of docs/spec/ops.md. Counts are in vectors and at least 1.

#include "textflag.h"

DATA exp2c<>+0(SB)/4, $32766
DATA exp2c<>+4(SB)/4, $42883 // -22653 as u16
DATA exp2c<>+8(SB)/4, $7563
DATA exp2c<>+12(SB)/4, $64242 // -1294 as u16
GLOBL exp2c<>(SB), RODATA|NOPTR, $16

// EXP2 of the low 16 bits of each dword of F, whose high half is 0, into Y.
#define EXP2_LOAD \
	VPBROADCASTD exp2c<>+0(SB), Z28 \
	VPBROADCASTD exp2c<>+4(SB), Z29 \
	VPBROADCASTD exp2c<>+8(SB), Z30 \
	VPBROADCASTD exp2c<>+12(SB), Z31

#define EXP2(F, Y) \
	VPMULHRSW Z31, F, Y \
	VPADDW    Z30, Y, Y \
	VPMULHRSW Y, F, Y   \
	VPADDW    Z29, Y, Y \
	VPMULHRSW Y, F, Y   \
	VPADDW    Z28, Y, Y

#define BROADCASTQ(value, z) \
	MOVQ         $value, AX \
	VPBROADCASTQ AX, z

// Largest of the eight quadwords of Z0, by op, into AX.
#define REDUCEQ(op) \
	VEXTRACTI64X4 $1, Z0, Y1 \
	op            Y1, Y0, Y0 \
	VEXTRACTI128  $1, Y0, X1 \
	op            X1, X0, X0 \
	VPSHUFD       $0xEE, X0, X1 \
	op            X1, X0, X0 \
	VMOVQ         X0, AX

#define REDUCED(op) \
	VEXTRACTI64X4 $1, Z0, Y1 \
	op            Y1, Y0, Y0 \
	VEXTRACTI128  $1, Y0, X1 \
	op            X1, X0, X0 \
	VPSHUFD       $0xEE, X0, X1 \
	op            X1, X0, X0 \
	VPSHUFD       $0x55, X0, X1 \
	op            X1, X0, X0 \
	VMOVD         X0, AX

// func rescaleAVX512(dst, acc *int32, cm *uint32, ce *int32, n int, m, e int64)
TEXT ·rescaleAVX512(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         acc+8(FP), SI
	MOVQ         cm+16(FP), DX
	MOVQ         ce+24(FP), BX
	MOVQ         n+32(FP), CX
	VPBROADCASTQ m+40(FP), Z16
	VPBROADCASTQ e+48(FP), Z17
	BROADCASTQ(1, Z18)
	BROADCASTQ(62, Z19)
	BROADCASTQ(31, Z20)

loop:
	VPMOVSXDQ (SI), Z0
	VPMOVZXDQ (DX), Z1
	VPMULUDQ  Z16, Z1, Z1
	VPSRLQ    $31, Z1, Z1        // c
	VPMULDQ   Z1, Z0, Z0         // p
	VPMOVSXDQ (BX), Z2
	VPADDQ    Z17, Z2, Z2        // s
	VPCMPUQ   $6, Z19, Z2, K1    // s > 62 or s < 0
	VPSUBQ    Z18, Z2, Z3
	VPSLLVQ   Z3, Z18, Z3        // 2^(s-1); 0 for s = 0
	VPADDQ    Z3, Z0, Z4
	VPSRAVQ   Z2, Z4, Z4
	KMOVB     K1, AX
	TESTL     AX, AX
	JNZ       odd

store:
	VPMOVSQD Z4, (DI)
	ADDQ     $32, SI
	ADDQ     $32, DX
	ADDQ     $32, BX
	ADDQ     $32, DI
	DECQ     CX
	JNZ      loop
	VZEROUPPER
	RET

odd:
	VPXORQ    Z5, Z5, Z5
	VPCMPQ    $1, Z5, Z2, K2     // s < 0
	VPMOVSQD  Z0, Y6
	VPMOVSXDQ Y6, Z6             // sat32(p)
	VPSUBQ    Z2, Z5, Z7
	VPMINSQ   Z20, Z7, Z7
	VPSLLVQ   Z7, Z6, Z6
	VPXORQ    Z4, Z4, K1, Z4
	VMOVDQA64 Z6, K2, Z4
	JMP       store

// func addAVX512(dst, a, b *int32, n int)
TEXT ·addAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	VPMOVSXDQ (SI), Z0
	VPMOVSXDQ (DX), Z1
	VPADDQ    Z1, Z0, Z0
	VPMOVSQD  Z0, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $32, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func rowMaxAVX512(v *int32, n int) uint32
TEXT ·rowMaxAVX512(SB), NOSPLIT, $0-20
	MOVQ   v+0(FP), SI
	MOVQ   n+8(FP), CX
	VPXORQ Z0, Z0, Z0

loop:
	VPABSD  (SI), Z1
	VPMAXUD Z1, Z0, Z0
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop
	REDUCED(VPMAXUD)
	MOVL    AX, ret+16(FP)
	VZEROUPPER
	RET

// func maxAVX512(v *int32, n int) int32
TEXT ·maxAVX512(SB), NOSPLIT, $0-20
	MOVQ      v+0(FP), SI
	MOVQ      n+8(FP), CX
	VMOVDQU32 (SI), Z0

loop:
	VPMAXSD (SI), Z0, Z0
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop
	REDUCED(VPMAXSD)
	MOVL    AX, ret+16(FP)
	VZEROUPPER
	RET

// func quantAVX512(q *int8, v *int32, n int, r, half, s int64)
TEXT ·quantAVX512(SB), NOSPLIT, $0-48
	MOVQ         q+0(FP), DI
	MOVQ         v+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTQ r+24(FP), Z16
	VPBROADCASTQ half+32(FP), Z17
	VMOVQ        s+40(FP), X18
	BROADCASTQ(-127, Z19)

loop:
	VPMOVSXDQ (SI), Z0
	VPMULDQ   Z16, Z0, Z0
	VPADDQ    Z17, Z0, Z0
	VPSRAQ    X18, Z0, Z0
	VPMAXSQ   Z19, Z0, Z0
	VPMOVSQB  Z0, (DI)
	ADDQ      $32, SI
	ADDQ      $8, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func sumSquaresAVX512(x *int32, n int, t int64) uint64
TEXT ·sumSquaresAVX512(SB), NOSPLIT, $0-32
	MOVQ   x+0(FP), SI
	MOVQ   n+8(FP), CX
	VMOVQ  t+16(FP), X16
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1

loop:
	VMOVDQU32 (SI), Z2
	VPSRAD    X16, Z2, Z2
	VPMULDQ   Z2, Z2, Z3
	VPADDQ    Z3, Z0, Z0
	VPSRLQ    $32, Z2, Z2
	VPMULDQ   Z2, Z2, Z2
	VPADDQ    Z2, Z1, Z1
	ADDQ      $64, SI
	DECQ      CX
	JNZ       loop
	VPADDQ    Z1, Z0, Z0
	REDUCEQ(VPADDQ)
	MOVQ      AX, ret+24(FP)
	VZEROUPPER
	RET

// func normAVX512(dst, x, gain *int32, n int, m, half, s int64)
TEXT ·normAVX512(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         gain+16(FP), DX
	MOVQ         n+24(FP), CX
	VPBROADCASTQ m+32(FP), Z16
	VPBROADCASTQ half+40(FP), Z17
	VMOVQ        s+48(FP), X18
	BROADCASTQ(0x200000, Z19)

loop:
	VPMOVSXDQ (SI), Z0
	VPMULDQ   Z16, Z0, Z0
	VPADDQ    Z17, Z0, Z0
	VPSRAQ    X18, Z0, Z0
	VPMOVSQD  Z0, Y0
	VPMOVSXDQ Y0, Z0
	VPMOVSXDQ (DX), Z1
	VPMULDQ   Z1, Z0, Z0
	VPADDQ    Z19, Z0, Z0
	VPSRAQ    $22, Z0, Z0
	VPMOVSQD  Z0, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $32, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func maxProductAVX512(x, gain *int32, n int) uint64
TEXT ·maxProductAVX512(SB), NOSPLIT, $0-32
	MOVQ   x+0(FP), SI
	MOVQ   gain+8(FP), DX
	MOVQ   n+16(FP), CX
	VPXORQ Z0, Z0, Z0

loop:
	VPMOVSXDQ (SI), Z1
	VPMOVSXDQ (DX), Z2
	VPMULDQ   Z2, Z1, Z1
	VPABSQ    Z1, Z1
	VPMAXUQ   Z1, Z0, Z0
	ADDQ      $32, SI
	ADDQ      $32, DX
	DECQ      CX
	JNZ       loop
	REDUCEQ(VPMAXUQ)
	MOVQ      AX, ret+24(FP)
	VZEROUPPER
	RET

// func quantProductAVX512(q *int8, x, gain *int32, n int, w, r, half, s int64)
TEXT ·quantProductAVX512(SB), NOSPLIT, $0-64
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         gain+16(FP), DX
	MOVQ         n+24(FP), CX
	VMOVQ        w+32(FP), X20
	VPBROADCASTQ r+40(FP), Z16
	VPBROADCASTQ half+48(FP), Z17
	VMOVQ        s+56(FP), X18
	BROADCASTQ(-127, Z19)

loop:
	VPMOVSXDQ (SI), Z0
	VPMOVSXDQ (DX), Z1
	VPMULDQ   Z1, Z0, Z0
	VPSRAQ    X20, Z0, Z0
	VPMULDQ   Z16, Z0, Z0
	VPADDQ    Z17, Z0, Z0
	VPSRAQ    X18, Z0, Z0
	VPMAXSQ   Z19, Z0, Z0
	VPMOVSQB  Z0, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DX
	ADDQ      $8, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func ropeAVX512(y0, y1, x0, x1, cos, sin *int32, n int)
TEXT ·ropeAVX512(SB), NOSPLIT, $0-56
	MOVQ y0+0(FP), DI
	MOVQ y1+8(FP), R8
	MOVQ x0+16(FP), SI
	MOVQ x1+24(FP), R9
	MOVQ cos+32(FP), R10
	MOVQ sin+40(FP), R11
	MOVQ n+48(FP), CX
	BROADCASTQ(0x40000000, Z16)
	BROADCASTQ(-0x40000000, Z17)
	BROADCASTQ(0x20000000, Z18)

loop:
	VPMOVSXDQ (SI), Z0
	VPMOVSXDQ (R9), Z1
	VPMOVSXDQ (R10), Z2
	VPMOVSXDQ (R11), Z3
	VPMINSQ   Z16, Z2, Z2
	VPMAXSQ   Z17, Z2, Z2
	VPMINSQ   Z16, Z3, Z3
	VPMAXSQ   Z17, Z3, Z3
	VPMULDQ   Z2, Z0, Z4
	VPMULDQ   Z3, Z1, Z5
	VPSUBQ    Z5, Z4, Z4
	VPMULDQ   Z2, Z1, Z5
	VPMULDQ   Z3, Z0, Z6
	VPADDQ    Z6, Z5, Z5
	VPADDQ    Z18, Z4, Z4
	VPADDQ    Z18, Z5, Z5
	VPSRAQ    $30, Z4, Z4
	VPSRAQ    $30, Z5, Z5
	VPMOVSQD  Z4, (DI)
	VPMOVSQD  Z5, (R8)
	ADDQ      $32, DI
	ADDQ      $32, R8
	ADDQ      $32, SI
	ADDQ      $32, R9
	ADDQ      $32, R10
	ADDQ      $32, R11
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func siluAVX512(dst, gate, up *int32, n int)
TEXT ·siluAVX512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ up+16(FP), DX
	MOVQ n+24(FP), CX
	EXP2_LOAD
	BROADCASTQ(1549082005, Z16)
	BROADCASTQ(0x40000000, Z17)
	BROADCASTQ(0x1000000, Z18)
	BROADCASTQ(31, Z19)
	BROADCASTQ(0x7FFF, Z20)
	BROADCASTQ(0x3FE0000000000000, Z21) // 0.5
	BROADCASTQ(0x800000, Z22)
	BROADCASTQ(0x8000, Z23)

loop:
	VPMOVSXDQ   (SI), Z0
	VPABSQ      Z0, Z1
	VPMULUDQ    Z16, Z1, Z1
	VPADDQ      Z17, Z1, Z1
	VPSRLQ      $31, Z1, Z1       // d
	VPSRLQ      $15, Z1, Z2
	VPMINUQ     Z19, Z2, Z2       // n
	VPANDQ      Z20, Z1, Z1
	EXP2(Z1, Z3)
	VPANDQ      Z20, Z3, Z3       // the high dword holds EXP2(0)
	VPSLLQ      $9, Z3, Z3
	VPSRLVQ     Z2, Z3, Z3        // p
	VPADDQ      Z18, Z3, Z4       // D
	VPMOVQ2M    Z0, K1
	VMOVDQA64   Z18, Z5
	VMOVDQA64   Z3, K1, Z5        // numerator
	VPSLLQ      $24, Z5, Z5
	VCVTUQQ2PD  Z5, Z5
	VCVTUQQ2PD  Z4, Z4
	VDIVPD      Z4, Z5, Z5
	VADDPD      Z21, Z5, Z5
	VCVTTPD2UQQ Z5, Z5            // sigma
	VPMULDQ     Z5, Z0, Z0
	VPADDQ      Z22, Z0, Z0
	VPSRAQ      $24, Z0, Z0       // g
	VPMOVSXDQ   (DX), Z1
	VPMULDQ     Z1, Z0, Z0
	VPADDQ      Z23, Z0, Z0
	VPSRAQ      $16, Z0, Z0
	VPMOVSQD    Z0, (DI)
	ADDQ        $32, SI
	ADDQ        $32, DX
	ADDQ        $32, DI
	DECQ        CX
	JNZ         loop
	VZEROUPPER
	RET

// func weightsAVX512(hi, lo *byte, t *int32, mu *uint32, ve *int32, n int, top, eps int32) uint64
TEXT ·weightsAVX512(SB), NOSPLIT, $0-64
	MOVQ         hi+0(FP), DI
	MOVQ         lo+8(FP), R8
	MOVQ         t+16(FP), SI
	MOVQ         mu+24(FP), DX
	MOVQ         ve+32(FP), BX
	MOVQ         n+40(FP), CX
	MOVL         top+48(FP), AX
	VPBROADCASTD AX, Z16
	MOVL         eps+52(FP), AX
	VPBROADCASTD AX, Z17
	EXP2_LOAD
	MOVL         $17, AX
	VPBROADCASTD AX, Z18
	MOVL         $0x7FFF, AX
	VPBROADCASTD AX, Z19
	MOVL         $1, AX
	VPBROADCASTD AX, Z20
	MOVL         $15, AX
	VPBROADCASTD AX, Z21
	VPXORQ       Z0, Z0, Z0

loop:
	VPSUBD   (SI), Z16, Z1     // d
	VPSRLD   $15, Z1, Z2
	VPMINUD  Z18, Z2, Z2       // n
	VPANDD   Z19, Z1, Z1
	EXP2(Z1, Z3)
	VPSLLD   $1, Z3, Z3
	VPSLLVD  Z2, Z20, Z4
	VPSRLD   $1, Z4, Z4
	VPADDD   Z4, Z3, Z3
	VPSRLVD  Z2, Z3, Z3        // p
	VPADDD   Z3, Z0, Z0
	VMOVDQU32 (BX), Z4
	VPSUBD   Z17, Z4, Z4       // delta
	VPCMPUD  $2, Z21, Z4, K1   // delta <= 15
	VPADDD   Z21, Z4, Z4
	VPMULLD  (DX), Z3, Z3
	VPSRLVD  Z4, Z3, Z3
	VPADDD   Z20, Z3, Z3
	VPSRLD.Z $1, Z3, K1, Z3    // w
	VPMOVDB  Z3, (R8)
	VPSRLD   $8, Z3, Z3
	VPMOVDB  Z3, (DI)
	ADDQ     $64, SI
	ADDQ     $64, DX
	ADDQ     $64, BX
	ADDQ     $16, DI
	ADDQ     $16, R8
	DECQ     CX
	JNZ      loop
	// At most 4,096 numbers below 2^16 a lane: 32 bits hold the sums.
	VPMOVZXDQ     Y0, Z1
	VEXTRACTI64X4 $1, Z0, Y0
	VPMOVZXDQ     Y0, Z0
	VPADDQ        Z1, Z0, Z0
	REDUCEQ(VPADDQ)
	MOVQ          AX, ret+56(FP)
	VZEROUPPER
	RET

// func meanAVX512(dst, hi, lo *int32, n int, total, half, s int64)
TEXT ·meanAVX512(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         hi+8(FP), SI
	MOVQ         lo+16(FP), DX
	MOVQ         n+24(FP), CX
	VPBROADCASTQ total+32(FP), Z16
	VPBROADCASTQ half+40(FP), Z17
	VMOVQ        s+48(FP), X18
	VPSRLQ       $1, Z16, Z19
	VCVTUQQ2PD   Z16, Z20
	BROADCASTQ(1, Z21)
	VPXORQ       Z22, Z22, Z22

loop:
	VPMOVSXDQ   (SI), Z0
	VPMOVSXDQ   (DX), Z1
	VPSLLQ      $8, Z0, Z0
	VPADDQ      Z1, Z0, Z0        // N
	VPMOVQ2M    Z0, K1
	VPABSQ      Z0, Z0
	VPSLLQ      $24, Z0, Z0
	VPADDQ      Z19, Z0, Z0       // a = |N|·2^24 + L/2
	VCVTUQQ2PD  Z0, Z1
	VDIVPD      Z20, Z1, Z1
	VCVTTPD2UQQ Z1, Z1            // a/L, off by at most one
	VPMULUDQ    Z16, Z1, Z2
	VPSUBQ      Z2, Z0, Z0        // remainder
	VPCMPQ      $1, Z22, Z0, K2   // below 0
	VPSUBQ      Z21, Z1, K2, Z1
	VPCMPQ      $5, Z16, Z0, K3   // at least L
	VPADDQ      Z21, Z1, K3, Z1
	VPSUBQ      Z1, Z22, K1, Z1
	VPADDQ      Z17, Z1, Z1
	VPSRAQ      X18, Z1, Z1
	VPMOVSQD    Z1, (DI)
	ADDQ        $32, SI
	ADDQ        $32, DX
	ADDQ        $32, DI
	DECQ        CX
	JNZ         loop
	VZEROUPPER
	RET
