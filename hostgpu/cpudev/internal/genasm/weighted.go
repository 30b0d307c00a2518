package main

import "fmt"

// weighted512 sums rows of v, weighted by u16 in two limbs of u8, for 64
// columns and a number of queries at once. Four keys are interleaved on the
// fly, so that VPDPBUSD adds four products to the 32-bit sum of a column. Of
// the columns only those in the mask are read; the others' sums are 0.
//
// Registers: Z0..Z23 sums, four vectors a limb, two limbs a query; Z24..Z27
// weights; Z28..Z31 values. SI v, DX its stride, R9 three times that; R8
// weights, BX from limb to limb, R10 and R11 three and five times that; K1 mask.
func weighted512(f *file, queries int) {
	f.text(fmt.Sprintf("weighted%dAVX512", queries), 56,
		fmt.Sprintf("func weighted%dAVX512(sums *int32, v *int8, ld int, quads int, w *byte, limb int, columns uint64)", queries))
	f.op("MOVQ v+8(FP), SI")
	f.op("MOVQ ld+16(FP), DX")
	f.op("MOVQ quads+24(FP), CX")
	f.op("MOVQ w+32(FP), R8")
	f.op("MOVQ limb+40(FP), BX")
	f.op("KMOVQ columns+48(FP), K1")
	f.op("LEAQ (DX)(DX*2), R9")
	f.op("LEAQ (BX)(BX*2), R10")
	f.op("LEAQ (BX)(BX*4), R11")
	for i := range 8 * queries {
		f.op("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.label("loop")
	for _, pair := range [][4]string{{"(SI)", "(SI)(DX*1)", "Z24", "Z25"}, {"(SI)(DX*2)", "(SI)(R9*1)", "Z26", "Z27"}} {
		f.op("VMOVDQU8.Z %s, K1, Z28", pair[0])
		f.op("VMOVDQU8.Z %s, K1, Z29", pair[1])
		f.op("VPUNPCKLBW Z29, Z28, %s", pair[2])
		f.op("VPUNPCKHBW Z29, Z28, %s", pair[3])
	}
	f.op("VPUNPCKLWD Z26, Z24, Z28")
	f.op("VPUNPCKHWD Z26, Z24, Z29")
	f.op("VPUNPCKLWD Z27, Z25, Z30")
	f.op("VPUNPCKHWD Z27, Z25, Z31")
	for limb := range 2 * queries {
		f.op("VPBROADCASTD %s, Z%d", rowAddr(limb, "R8", "BX", "R10", "R11"), 24+limb%4)
		for c := range 4 {
			f.op("VPDPBUSD Z%d, Z%d, Z%d", 28+c, 24+limb%4, 4*limb+c)
		}
	}
	f.op("LEAQ (SI)(DX*4), SI")
	f.op("ADDQ $4, R8")
	f.op("DECQ CX")
	f.op("JNZ loop")
	// Lane l of vector c holds columns 16l + 4c ..: transpose the lanes.
	f.op("MOVQ sums+0(FP), DI")
	for limb := range 2 * queries {
		b := 4 * limb
		transposeLanes(f, [4]int{b, b + 1, b + 2, b + 3}, [5]int{24, 25, 26, 27, 28}, func(lane, z int) {
			f.op("VMOVDQU32 Z%d, %d(DI)", z, 256*limb+64*lane)
		})
	}
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}
