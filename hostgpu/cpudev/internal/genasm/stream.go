package main

import (
	"fmt"
)

// stream512 is dot512 for a few rows, where the time goes into reading b: it
// takes the columns one after another, so that memory is read in its order, four
// lines loaded before anything waits for them. Prefetches would only take the places of
// misses that the processor's own prefetcher uses better.
// Four columns are a group, for the sake of the sums across lanes.
//
// Registers: Z0.. sums, row by row, a column each; Z24..Z27 b; Z31 0x80 bytes.
// AX a, BX its stride, R8 three times that; SI b, DX its stride; CX blocks
// left of a column; R10 what a column leaves beyond its blocks; R12 groups
// left; R13 the start of the column, R11 where it is fetched; K1 the bytes of
// the last, partial block.
func stream512(f *file, rows int) {
	const cols = 4
	f.text(fmt.Sprintf("stream%dAVX512", rows), 80,
		fmt.Sprintf("func stream%dAVX512(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32, groups int)", rows))
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ lda+24(FP), BX")
	f.op("MOVQ b+32(FP), R13")
	f.op("MOVQ ldb+40(FP), DX")
	f.op("MOVQ tail+56(FP), R11")
	f.op("MOVQ groups+72(FP), R12")
	f.op("LEAQ (BX)(BX*2), R8")
	f.op("KMOVQ R11, K1")
	f.op("MOVL $0x80808080, AX")
	f.op("VPBROADCASTD AX, Z31")
	f.label("group")
	f.op("MOVQ init+64(FP), AX")
	for i := range rows {
		for j := range cols {
			f.op("VMOVD %d(AX), X%d", 4*i, i*cols+j)
		}
	}
	step := func(j, block int) {
		f.op("VPXORD Z31, Z%d, Z%d", 24+block, 24+block)
		for i := range rows {
			addr := rowAddr(i, "AX", "BX", "R8", "")
			if block > 0 {
				addr = fmt.Sprintf("%d%s", 64*block, addr)
			}
			f.op("VPDPBUSD %s, Z%d, Z%d", addr, 24+block, i*cols+j)
		}
	}
	for j := range cols {
		f.op("MOVQ a+16(FP), AX")
		f.op("MOVQ R13, SI")
		f.op("MOVQ blocks+48(FP), CX")
		f.op("SUBQ $4, CX")
		f.op("JLT rest%d", j)
		f.label(fmt.Sprintf("loop%d", j))
		for block := range 4 {
			f.op("VPXORD %d(SI), Z31, Z%d", 64*block, 24+block)
		}
		for block := range 4 {
			for i := range rows {
				addr := rowAddr(i, "AX", "BX", "R8", "")
				if block > 0 {
					addr = fmt.Sprintf("%d%s", 64*block, addr)
				}
				f.op("VPDPBUSD %s, Z%d, Z%d", addr, 24+block, i*cols+j)
			}
		}
		f.op("ADDQ $256, AX")
		f.op("ADDQ $256, SI")
		f.op("SUBQ $4, CX")
		f.op("JGE loop%d", j)
		f.label(fmt.Sprintf("rest%d", j))
		f.op("ADDQ $4, CX")
		f.op("JZ tail%d", j)
		f.label(fmt.Sprintf("single%d", j))
		f.op("VMOVDQU8 (SI), Z24")
		step(j, 0)
		f.op("ADDQ $64, AX")
		f.op("ADDQ $64, SI")
		f.op("DECQ CX")
		f.op("JNZ single%d", j)
		f.label(fmt.Sprintf("tail%d", j))
		f.op("TESTQ R11, R11")
		f.op("JZ next%d", j)
		f.op("VMOVDQU8.Z (SI), K1, Z24")
		step(j, 0)
		f.label(fmt.Sprintf("next%d", j))
		f.op("ADDQ DX, R13")
	}
	f.op("MOVQ ldc+8(FP), CX")
	f.op("MOVQ DI, AX")
	reduce4x512(f, rows)
	f.op("ADDQ $%d, DI", 4*cols)
	f.op("DECQ R12")
	f.op("JNZ group")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}

// stream256 is the same for one row with AVX2, and without init. Two
// lines of b are loaded at a time.
//
// Registers: Y0..Y3 sums, a column each; Y4..Y7 b; Y10 |a|; Y13 products; Y15 ones. AX a; SI b, R13 the start of its row, DX its stride; CX blocks left
// of a column, R11 whether 16 bytes follow them; R12 groups left.
func stream256(f *file) {
	const cols, unroll = 4, 4
	f.text("stream1AVX2", 56, "func stream1AVX2(c *int32, a *int8, b *int8, ldb int, blocks int, tail uint64, groups int)")
	f.op("MOVQ c+0(FP), DI")
	f.op("MOVQ b+16(FP), R13")
	f.op("MOVQ ldb+24(FP), DX")
	f.op("MOVQ tail+40(FP), R11")
	f.op("MOVQ groups+48(FP), R12")
	f.op("VPCMPEQW Y15, Y15, Y15")
	f.op("VPSRLW $15, Y15, Y15")
	f.label("group")
	for j := range cols {
		f.op("VPXOR Y%d, Y%d, Y%d", j, j, j)
	}
	load := func(v string, block int) { f.op("VMOVDQU %d(SI), %s%d", 32*block, v, 4+block) }
	step := func(v string, j, block int) {
		f.op("VPABSB %d(AX), %s10", 32*block, v)
		f.op("VPSIGNB %d(AX), %s%d, %s13", 32*block, v, 4+block, v)
		f.op("VPMADDUBSW Y13, Y10, Y13")
		f.op("VPMADDWD Y15, Y13, Y13")
		f.op("VPADDD Y13, Y%d, Y%d", j, j)
	}
	for j := range cols {
		f.op("MOVQ a+8(FP), AX")
		f.op("MOVQ R13, SI")
		f.op("MOVQ blocks+32(FP), CX")
		f.op("SUBQ $%d, CX", unroll)
		f.op("JLT rest%d", j)
		f.label(fmt.Sprintf("loop%d", j))
		for block := range unroll {
			load("Y", block)
		}
		for block := range unroll {
			step("Y", j, block)
		}
		f.op("ADDQ $%d, AX", 32*unroll)
		f.op("ADDQ $%d, SI", 32*unroll)
		f.op("SUBQ $%d, CX", unroll)
		f.op("JGE loop%d", j)
		f.label(fmt.Sprintf("rest%d", j))
		f.op("ADDQ $%d, CX", unroll)
		f.op("JZ tail%d", j)
		f.label(fmt.Sprintf("single%d", j))
		load("Y", 0)
		step("Y", j, 0)
		f.op("ADDQ $32, AX")
		f.op("ADDQ $32, SI")
		f.op("DECQ CX")
		f.op("JNZ single%d", j)
		f.label(fmt.Sprintf("tail%d", j))
		f.op("TESTQ R11, R11")
		f.op("JZ next%d", j)
		load("X", 0)
		step("X", j, 0)
		f.label(fmt.Sprintf("next%d", j))
		f.op("ADDQ DX, R13")
	}
	reduce256(f, cols)
	f.op("VMOVDQU X0, (DI)")
	f.op("ADDQ $%d, DI", 4*cols)
	f.op("DECQ R12")
	f.op("JNZ group")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
}
