package main

import "fmt"

// panel512 is a tile of rows × 64 columns over a packed panel of b: for every
// four k, 64 columns of four bytes, top bit flipped. Four bytes of a are
// broadcast at a time, so that nothing has to be summed across lanes.
//
// mode has bit 0 set to add to c and bit 1 to write c past the caches, which
// wants it aligned to lines and storeFence after the last tile.
//
// What is needed next is fetched meanwhile: the tile of c, which is written at
// the end, unless past the caches; the rows of a that the next tile takes, 16 bytes a step and thus
// every line four times, which costs nothing; and two lines a step from fetch
// on, advancing by ahead bytes: the next panel before it is packed.
//
// packedAVX512 is the same where the panels of b lie in memory, one after
// another, and are read for the first time by the first tile: it fetches four
// lines for every four k.
//
// Registers: Z0..Z23 sums, row by row; Z24..Z27 b; Z28..Z30 a. AX a, BX its
// stride, R8 and R9 three and five times that, R13 a of the next tile; SI the
// panel; DI c, DX its stride, R10 and R12 three and five times that, except in
// the loop: fetch and ahead.
func panel512(f *file, name string, rows, lines int) {
	f.text(fmt.Sprintf("%s%dAVX512", name, rows), 80,
		fmt.Sprintf("func %s%dAVX512(c *int32, ldc int, a *int8, lda int, b *byte, quads int, init *int32, mode int, fetch *int8, ahead int)", name, rows))
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), DX")
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ lda+24(FP), BX")
	f.op("MOVQ b+32(FP), SI")
	f.op("MOVQ quads+40(FP), CX")
	f.op("LEAQ (BX)(BX*2), R8")
	f.op("LEAQ (BX)(BX*4), R9")
	f.op("LEAQ (DX)(DX*2), R10")
	f.op("LEAQ (DX)(DX*4), R12")
	f.op("MOVQ mode+56(FP), R13")
	f.op("TESTQ $1, R13")
	f.op("JNZ more")
	f.op("MOVQ init+48(FP), R11")
	for i := range rows {
		for j := range 4 {
			f.op("VPBROADCASTD %d(R11), Z%d", 4*i, 4*i+j)
		}
	}
	f.op("TESTQ $2, R13")
	f.op("JNZ start")
	for i := range rows {
		for j := range 4 {
			f.op("PREFETCHT0 %d%s", 64*j, rowAddr(i, "DI", "DX", "R10", "R12"))
		}
	}
	f.op("JMP start")
	f.label("more")
	for i := range rows {
		for j := range 4 {
			f.op("VMOVDQU32 %d%s, Z%d", 64*j, rowAddr(i, "DI", "DX", "R10", "R12"), 4*i+j)
		}
	}
	f.label("start")
	step := func(quad int) {
		for j := range 4 {
			f.op("VMOVDQU8 %d(SI), Z%d", 256*quad+64*j, 24+j)
		}
		for i := range rows {
			f.op("VPBROADCASTD %d%s, Z%d", 4*quad, rowAddr(i, "AX", "BX", "R8", "R9"), 28+i%3)
			for j := range 4 {
				f.op("VPDPBUSD Z%d, Z%d, Z%d", 28+i%3, 24+j, 4*i+j)
			}
		}
	}
	f.op("MOVQ fetch+64(FP), R10")
	f.op("MOVQ ahead+72(FP), R12")
	f.op("IMUL3Q $%d, BX, R13", rows)
	f.op("ADDQ AX, R13")
	f.op("SUBQ $4, CX")
	f.op("JLT rest")
	f.label("loop")
	for quad := range 4 {
		step(quad)
		for i := quad; i < rows; i += 4 {
			f.op("PREFETCHT0 %s", rowAddr(i, "R13", "BX", "R8", "R9"))
		}
		for l := range lines {
			if l%4 == quad {
				f.op("PREFETCHT1 %d(R10)", 64*l)
			}
		}
	}
	f.op("ADDQ $16, AX")
	f.op("ADDQ $16, R13")
	f.op("ADDQ $1024, SI")
	f.op("ADDQ R12, R10")
	f.op("SUBQ $4, CX")
	f.op("JGE loop")
	f.label("rest")
	f.op("ADDQ $4, CX")
	f.op("JZ store")
	f.label("single")
	step(0)
	f.op("ADDQ $4, AX")
	f.op("ADDQ $256, SI")
	f.op("DECQ CX")
	f.op("JNZ single")
	f.label("store")
	f.op("LEAQ (DX)(DX*2), R10")
	f.op("LEAQ (DX)(DX*4), R12")
	f.op("MOVQ mode+56(FP), R13")
	f.op("TESTQ $2, R13")
	f.op("JNZ past")
	store := func(op string) {
		for i := range rows {
			for j := range 4 {
				f.op("%s Z%d, %d%s", op, 4*i+j, 64*j, rowAddr(i, "DI", "DX", "R10", "R12"))
			}
		}
		f.op("VZEROUPPER")
		f.op("RET")
	}
	store("VMOVDQU32")
	f.label("past")
	store("VMOVNTDQ")
	f.WriteString("\n")
}

// fence orders what was written past the caches before all that is written later.
func fence(f *file) {
	f.text("storeFence", 0, "func storeFence()")
	f.op("SFENCE")
	f.op("RET")
	f.WriteString("\n")
}

// pack512 transposes 16 rows of 64 bytes, as a 16 × 16 matrix of four bytes,
// into a panel.
func pack512(f *file) {
	f.text("pack16AVX512", 32, "func pack16AVX512(dst *byte, src *int8, ld int, blocks int)")
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ src+8(FP), SI")
	f.op("MOVQ ld+16(FP), DX")
	f.op("MOVQ blocks+24(FP), CX")
	f.op("MOVL $0x80808080, R12")
	f.label("loop")
	f.op("MOVQ SI, R8")
	for i := range 16 {
		f.op("VMOVDQU8 (R8), Z%d", i)
		f.op("ADDQ DX, R8")
	}
	f.op("VPBROADCASTD R12, Z31")
	transpose512(f, func(d, z int) {
		f.op("VPXORD Z31, Z%d, Z%d", z, z)
		f.op("VMOVDQU8 Z%d, %d(DI)", z, 256*d)
	})
	f.op("ADDQ $64, SI")
	f.op("ADDQ $4096, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}

// transpose512 transposes the 16 × 16 matrix of dwords in Z0..Z15 and gives
// store each row of the result, in some order. It uses Z16..Z20.
func transpose512(f *file, store func(row, register int)) {
	// Rows r, r+1 interleaved by dwords, then pairs of pairs by quadwords: lane
	// l of Z(4g+c) ends with dword 4l+c of rows 4g .. 4g+3.
	for g := range 4 {
		r := 4 * g
		f.op("VPUNPCKLDQ Z%d, Z%d, Z16", r+1, r)
		f.op("VPUNPCKHDQ Z%d, Z%d, Z17", r+1, r)
		f.op("VPUNPCKLDQ Z%d, Z%d, Z18", r+3, r+2)
		f.op("VPUNPCKHDQ Z%d, Z%d, Z19", r+3, r+2)
		f.op("VPUNPCKLQDQ Z18, Z16, Z%d", r)
		f.op("VPUNPCKHQDQ Z18, Z16, Z%d", r+1)
		f.op("VPUNPCKLQDQ Z19, Z17, Z%d", r+2)
		f.op("VPUNPCKHQDQ Z19, Z17, Z%d", r+3)
	}
	for c := range 4 {
		transposeLanes(f, [4]int{c, 4 + c, 8 + c, 12 + c}, [5]int{16, 17, 18, 19, 20}, func(lane, z int) {
			store(4*lane+c, z)
		})
	}
}

// transposeLanes transposes the 4 × 4 matrix of 128-bit lanes of four
// registers, with five others as scratch.
func transposeLanes(f *file, in [4]int, tmp [5]int, store func(lane, register int)) {
	f.op("VSHUFI32X4 $0x44, Z%d, Z%d, Z%d", in[1], in[0], tmp[0])
	f.op("VSHUFI32X4 $0xEE, Z%d, Z%d, Z%d", in[1], in[0], tmp[1])
	f.op("VSHUFI32X4 $0x44, Z%d, Z%d, Z%d", in[3], in[2], tmp[2])
	f.op("VSHUFI32X4 $0xEE, Z%d, Z%d, Z%d", in[3], in[2], tmp[3])
	for lane := range 4 {
		half, pick := lane/2, [2]int{0x88, 0xDD}[lane%2]
		f.op("VSHUFI32X4 $%#x, Z%d, Z%d, Z%d", pick, tmp[2+half], tmp[half], tmp[4])
		store(lane, tmp[4])
	}
}
