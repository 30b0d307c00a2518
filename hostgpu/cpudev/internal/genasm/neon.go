package main

import "fmt"

// dotNEON is a tile of rows × 4 dot products of K-contiguous rows, sixteen
// bytes at a time with SDOT (Armv8.2 FEAT_DotProd), which Go's assembler does
// not know by name.
//
// Registers: V0..V15 sums, row by row; V16..V19 a; V20..V23 b; V24..V26 for
// the sums across lanes. R0..R3 rows of a, R4..R7 rows of b, R8 c, R9 its
// stride, R12 blocks left.
func dotNEON(f *file, rows int) {
	f.text(fmt.Sprintf("dot%dx4NEON", rows), 56,
		fmt.Sprintf("func dot%dx4NEON(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int)", rows))
	f.op("MOVD c+0(FP), R8")
	f.op("MOVD ldc+8(FP), R9")
	f.op("MOVD a+16(FP), R0")
	f.op("MOVD lda+24(FP), R10")
	f.op("MOVD b+32(FP), R4")
	f.op("MOVD ldb+40(FP), R11")
	f.op("MOVD blocks+48(FP), R12")
	for i := 1; i < rows; i++ {
		f.op("ADD R10, R%d, R%d", i-1, i)
	}
	for j := 1; j < 4; j++ {
		f.op("ADD R11, R%d, R%d", 3+j, 4+j)
	}
	for i := range 4 * rows {
		f.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	f.label("loop")
	for i := range rows {
		f.op("VLD1.P 16(R%d), [V%d.B16]", i, 16+i)
	}
	for j := range 4 {
		f.op("VLD1.P 16(R%d), [V%d.B16]", 4+j, 20+j)
		for i := range rows {
			f.op("WORD $%#x // SDOT V%d.B16, V%d.B16, V%d.S4", 0x4E809400|(20+j)<<16|(16+i)<<5|(4*i+j), 20+j, 16+i, 4*i+j)
		}
	}
	f.op("SUBS $1, R12, R12")
	f.op("BNE loop")
	for i := range rows {
		f.op("VADDP V%d.S4, V%d.S4, V24.S4", 4*i+1, 4*i)
		f.op("VADDP V%d.S4, V%d.S4, V25.S4", 4*i+3, 4*i+2)
		f.op("VADDP V25.S4, V24.S4, V26.S4")
		f.op("VST1 [V26.S4], (R8)")
		f.op("ADD R9, R8, R8")
	}
	f.op("RET")
	f.WriteString("\n")
}
