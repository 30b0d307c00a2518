package main

import "fmt"

// dot512 is a tile of rows × cols dot products of K-contiguous rows, without
// packing. VPDPBUSD multiplies unsigned by signed: b gets its top bit flipped
// (b+128), and init takes 128·Σa back, exactly modulo 2^32.
func dot512(f *file, rows, cols int) {
	f.text(fmt.Sprintf("dot%dx%dAVX512", rows, cols), 72,
		fmt.Sprintf("func dot%dx%dAVX512(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32)", rows, cols))
	loadDotArgs(f)
	f.op("MOVL $0x80808080, R12")
	f.op("VPBROADCASTD R12, Z31")
	for i := range rows * cols {
		f.op("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	acc := func(i, j int) int { return i*cols + j }
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
	f.op("TESTQ CX, CX")
	f.op("JZ tail")
	f.label("loop")
	for j := range cols {
		f.op("VMOVDQU8 %s, Z%d", rowAddr(j, "SI", "DX", "R10", ""), 24+j)
	}
	step()
	f.op("ADDQ $64, AX")
	f.op("ADDQ $64, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.label("tail")
	f.op("TESTQ R11, R11")
	f.op("JZ reduce")
	f.op("KMOVQ R11, K1")
	for j := range cols {
		f.op("VMOVDQU8.Z %s, K1, Z%d", rowAddr(j, "SI", "DX", "R10", ""), 24+j)
	}
	step()
	f.label("reduce")
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ ldc+8(FP), DX")
	f.op("MOVQ init+64(FP), SI")
	for i := range rows {
		for j := range cols {
			f.op("VEXTRACTI64X4 $1, Z%d, Y28", acc(i, j))
			f.op("VPADDD Y28, Y%d, Y%d", acc(i, j), j)
		}
		reduce256(f, cols)
		storeSums(f, cols, i)
	}
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
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
// at most 2·127² = 32,258, so that nothing saturates.
func dot256(f *file, rows, cols int) {
	f.text(fmt.Sprintf("dot%dx%dAVX2", rows, cols), 72,
		fmt.Sprintf("func dot%dx%dAVX2(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32)", rows, cols))
	loadDotArgs(f)
	f.op("VPCMPEQW Y15, Y15, Y15")
	f.op("VPSRLW $15, Y15, Y15") // sixteen ones
	for i := range rows * cols {
		f.op("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	f.label("loop")
	for i := range rows {
		f.op("VMOVDQU %s, Y%d", rowAddr(i, "AX", "BX", "R8", "R9"), 8+i)
		f.op("VPABSB Y%d, Y%d", 8+i, 10+i)
	}
	for j := range cols {
		f.op("VMOVDQU %s, Y12", rowAddr(j, "SI", "DX", "R10", ""))
		for i := range rows {
			f.op("VPSIGNB Y%d, Y12, Y%d", 8+i, 13+i%2)
			f.op("VPMADDUBSW Y%d, Y%d, Y%d", 13+i%2, 10+i, 13+i%2)
			f.op("VPMADDWD Y15, Y%d, Y%d", 13+i%2, 13+i%2)
			f.op("VPADDD Y%d, Y%d, Y%d", 13+i%2, i*cols+j, i*cols+j)
		}
	}
	f.op("ADDQ $32, AX")
	f.op("ADDQ $32, SI")
	f.op("DECQ CX")
	f.op("JNZ loop")
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
