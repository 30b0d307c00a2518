package main

import "fmt"

// dot512 computes rows × cols dot products of K-contiguous rows, without
// packing, for one group of columns after another. VPDPBUSD multiplies unsigned
// by signed: b gets its top bit flipped (b+128), and init, the first value of
// every sum, takes 128·Σa back, exactly modulo 2^32.
//
// Registers: Z0..Z23 sums, row by row; Z24..Z27 b; Z28, Z29 a; Z31 0x80 bytes.
// AX a, BX its stride, R8 and R9 three and five times that; SI b, DX its
// stride, R10 three times that; R12 groups left; R13 what is fetched meanwhile,
// two lines a block, R11 how far it moves on; K1 the bytes of the last, partial
// block.
func dot512(f *file, rows, cols int) {
	f.text(fmt.Sprintf("dot%dx%dAVX512", rows, cols), 96,
		fmt.Sprintf("func dot%dx%dAVX512(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32, groups int, fetch *int8, ahead int)", rows, cols))
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ lda+24(FP), BX")
	f.op("MOVQ b+32(FP), SI")
	f.op("MOVQ ldb+40(FP), DX")
	f.op("MOVQ tail+56(FP), R11")
	f.op("MOVQ groups+72(FP), R12")
	f.op("LEAQ (BX)(BX*2), R8")
	f.op("LEAQ (BX)(BX*4), R9")
	f.op("LEAQ (DX)(DX*2), R10")
	f.op("KMOVQ R11, K1")
	f.op("MOVQ fetch+80(FP), R13")
	f.op("MOVQ ahead+88(FP), R11")
	f.op("MOVL $0x80808080, AX")
	f.op("VPBROADCASTD AX, Z31")
	f.label("group")
	f.op("MOVQ init+64(FP), AX")
	acc := func(i, j int) int { return i*cols + j }
	for i := range rows {
		for j := range cols {
			f.op("VMOVD %d(AX), X%d", 4*i, acc(i, j))
		}
	}
	f.op("MOVQ a+16(FP), AX")
	step := func() {
		for j := range cols {
			f.op("VPXORD Z31, Z%d, Z%d", 24+j, 24+j)
		}
		for i := range rows {
			f.op("VMOVDQU8 %s, Z%d", rowAddr(i, "AX", "BX", "R8", "R9"), 28+i%2)
			for j := range cols {
				f.op("VPDPBUSD Z%d, Z%d, Z%d", 28+i%2, 24+j, acc(i, j))
			}
		}
	}
	f.op("MOVQ blocks+48(FP), CX")
	f.op("TESTQ CX, CX")
	f.op("JZ tail")
	f.label("loop")
	for j := range cols {
		f.op("VMOVDQU8 %s, Z%d", rowAddr(j, "SI", "DX", "R10", ""), 24+j)
	}
	step()
	f.op("ADDQ $64, AX")
	f.op("ADDQ $64, SI")
	f.op("PREFETCHT1 (R13)")
	f.op("PREFETCHT1 64(R13)")
	f.op("ADDQ R11, R13")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.label("tail")
	f.op("KTESTQ K1, K1")
	f.op("JZ reduce")
	for j := range cols {
		f.op("VMOVDQU8.Z %s, K1, Z%d", rowAddr(j, "SI", "DX", "R10", ""), 24+j)
	}
	step()
	f.label("reduce")
	f.op("MOVQ ldc+8(FP), CX")
	f.op("MOVQ DI, AX")
	if cols == 4 {
		reduce4x512(f, rows)
	} else {
		for i := range rows {
			f.op("VEXTRACTI64X4 $1, Z%d, Y28", i)
			f.op("VPADDD Y28, Y%d, Y%d", i, i)
			reduceLanes(f, i)
			f.op("VPSHUFD $0xEE, X%d, X28", i)
			f.op("VPADDD X28, X%d, X%d", i, i)
			f.op("VPSHUFD $0x55, X%d, X28", i)
			f.op("VPADDD X28, X%d, X%d", i, i)
			f.op("VMOVD X%d, (AX)", i)
			f.op("ADDQ CX, AX")
		}
	}
	f.op("ADDQ $%d, DI", 4*cols)
	f.op("MOVQ blocks+48(FP), CX")
	f.op("SHLQ $6, CX")
	f.op("SUBQ CX, SI")
	f.op("LEAQ (SI)(DX*%d), SI", cols)
	f.op("DECQ R12")
	f.op("JNZ group")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}

// reduceLanes adds the upper half of Yr to its lower.
func reduceLanes(f *file, r int) {
	f.op("VEXTRACTI32X4 $1, Y%d, X28", r)
	f.op("VPADDD X28, X%d, X%d", r, r)
}

// reduce4x512 sums the lanes of each of the rows × 4 vectors from Z0 on and
// stores them at AX, CX bytes a row.
func reduce4x512(f *file, rows int) {
	// Four columns of a row become one vector: a partial sum of each in every
	// 128-bit lane.
	for i := range rows {
		r := 4 * i
		f.op("VPUNPCKLDQ Z%d, Z%d, Z24", r+1, r)
		f.op("VPUNPCKHDQ Z%d, Z%d, Z25", r+1, r)
		f.op("VPUNPCKLDQ Z%d, Z%d, Z26", r+3, r+2)
		f.op("VPUNPCKHDQ Z%d, Z%d, Z27", r+3, r+2)
		f.op("VPADDD Z25, Z24, Z24")
		f.op("VPADDD Z27, Z26, Z26")
		f.op("VPUNPCKLQDQ Z26, Z24, Z25")
		f.op("VPUNPCKHQDQ Z26, Z24, Z27")
		f.op("VPADDD Z27, Z25, Z%d", r)
	}
	i := 0
	// Four rows become one vector, a row a lane.
	for ; i+4 <= rows; i += 4 {
		for h := range 2 {
			r := 4*i + 8*h
			f.op("VSHUFI32X4 $0x44, Z%d, Z%d, Z24", r+4, r)
			f.op("VSHUFI32X4 $0xEE, Z%d, Z%d, Z25", r+4, r)
			f.op("VPADDD Z25, Z24, Z%d", 26+h)
		}
		f.op("VSHUFI32X4 $0x88, Z27, Z26, Z24")
		f.op("VSHUFI32X4 $0xDD, Z27, Z26, Z25")
		f.op("VPADDD Z25, Z24, Z24")
		for row := range 4 {
			f.op("VEXTRACTI32X4 $%d, Z24, (AX)", row)
			f.op("ADDQ CX, AX")
		}
	}
	for ; i < rows; i++ {
		r := 4 * i
		f.op("VEXTRACTI64X4 $1, Z%d, Y28", r)
		f.op("VPADDD Y28, Y%d, Y%d", r, r)
		reduceLanes(f, r)
		f.op("VMOVDQU32 X%d, (AX)", r)
		f.op("ADDQ CX, AX")
	}
}

func loadDotArgs(f *file) {
	f.op("MOVQ a+16(FP), AX")
	f.op("MOVQ lda+24(FP), BX")
	f.op("MOVQ b+32(FP), SI")
	f.op("MOVQ ldb+40(FP), DX")
	f.op("MOVQ blocks+48(FP), CX")
	f.op("MOVQ tail+56(FP), R11")
	f.op("LEAQ (BX)(BX*2), R8")
	f.op("LEAQ (BX)(BX*4), R9")
	f.op("LEAQ (DX)(DX*2), R10")
}

// spare is a register that holds no sum when a tile is reduced: with four
// columns that of the second column, already taken.
func spare(cols int) int {
	if cols == 4 {
		return 1
	}
	return 15
}

// reduce256 sums the lanes of Y0..Y(cols-1) into the first cols lanes of X0.
func reduce256(f *file, cols int) {
	if cols == 4 {
		f.op("VPHADDD Y1, Y0, Y0")
		f.op("VPHADDD Y3, Y2, Y2")
		f.op("VPHADDD Y2, Y0, Y0")
	} else {
		f.op("VPHADDD Y0, Y0, Y0")
		f.op("VPHADDD Y0, Y0, Y0")
	}
	f.op("VEXTRACTI128 $1, Y0, X%d", spare(cols))
	f.op("VPADDD X%d, X0, X0", spare(cols))
}

// storeSums adds init[i] to the sums in X0 and stores them to row i of c.
func storeSums(f *file, cols, i int) {
	f.op("VPBROADCASTD %d(SI), X%d", 4*i, spare(cols))
	f.op("VPADDD X%d, X0, X0", spare(cols))
	if cols == 4 {
		f.op("VMOVDQU X0, (DI)")
	} else {
		f.op("VMOVD X0, (DI)")
	}
	f.op("ADDQ DX, DI")
}

// sum512 is the sum of a row of blocks of 64 signed bytes.
func sum512(f *file) {
	f.text("sumAVX512", 24, "func sumAVX512(a *int8, blocks int) int64")
	f.op("MOVQ a+0(FP), AX")
	f.op("MOVQ blocks+8(FP), CX")
	f.op("MOVL $0x01010101, R12")
	f.op("VPBROADCASTD R12, Z31")
	f.op("VPXORD Z0, Z0, Z0")
	f.label("loop")
	f.op("VPDPBUSD (AX), Z31, Z0")
	f.op("ADDQ $64, AX")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("VEXTRACTI64X4 $1, Z0, Y1")
	f.op("VPADDD Y1, Y0, Y0")
	reduce256(f, 1)
	f.op("VMOVD X0, AX")
	f.op("MOVLQSX AX, AX")
	f.op("MOVQ AX, ret+16(FP)")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}

// dot256 is the AVX2 tile. VPMADDUBSW takes |a| and b with a's sign: pairs are
// at most 2·127² = 32,258, so that nothing saturates. tail is not 0 where 16
// bytes follow the blocks.
//
// Registers: Y0..Y7 sums, row by row; Y8, Y9 a; Y10, Y11 |a|; Y12 b; Y13, Y14
// products; Y15 ones. AX a, BX its stride; SI b, DX its stride, R10 three times
// that; CX blocks left.
func dot256(f *file, rows, cols int) {
	f.text(fmt.Sprintf("dot%dx%dAVX2", rows, cols), 72,
		fmt.Sprintf("func dot%dx%dAVX2(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32)", rows, cols))
	loadDotArgs(f)
	f.op("VPCMPEQW Y15, Y15, Y15")
	f.op("VPSRLW $15, Y15, Y15") // sixteen ones
	for i := range rows * cols {
		f.op("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	step := func(v string) { // Y: 32 bytes; X: 16, the others 0
		for i := range rows {
			f.op("VMOVDQU %s, %s%d", rowAddr(i, "AX", "BX", "R8", "R9"), v, 8+i)
			f.op("VPABSB Y%d, Y%d", 8+i, 10+i)
		}
		for j := range cols {
			f.op("VMOVDQU %s, %s12", rowAddr(j, "SI", "DX", "R10", ""), v)
			for i := range rows {
				f.op("VPSIGNB Y%d, Y12, Y%d", 8+i, 13+i%2)
				f.op("VPMADDUBSW Y%d, Y%d, Y%d", 13+i%2, 10+i, 13+i%2)
				f.op("VPMADDWD Y15, Y%d, Y%d", 13+i%2, 13+i%2)
				f.op("VPADDD Y%d, Y%d, Y%d", 13+i%2, i*cols+j, i*cols+j)
			}
		}
	}
	f.op("TESTQ CX, CX")
	f.op("JZ tail")
	f.label("loop")
	step("Y")
	f.op("ADDQ $32, AX")
	f.op("ADDQ $32, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.label("tail")
	f.op("TESTQ R11, R11")
	f.op("JZ reduce")
	step("X")
	f.label("reduce")
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), DX")
	f.op("MOVQ init+64(FP), SI")
	for i := range rows {
		if i > 0 {
			for j := range cols {
				f.op("VMOVDQA Y%d, Y%d", i*cols+j, j)
			}
		}
		reduce256(f, cols)
		storeSums(f, cols, i)
	}
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}
