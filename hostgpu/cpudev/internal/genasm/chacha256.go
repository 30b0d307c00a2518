package main

import "fmt"

// chacha256 is chacha512 with 8 blocks at a time on AVX2. Sixteen registers do
// not hold the sixteen words and what a rotation needs beside them, so two of
// the words 8 to 11 are in memory while the quarter rounds of the others run:
// a column round ends with the pair that the diagonal round begins with.
//
// Registers: Y0..Y3 words 0 to 3, Y4..Y7 words 4 to 7, Y8..Y11 words 12 to 15,
// Y12, Y13 a pair of words 8 to 11, Y14, Y15 scratch.
// Stack: 0 words 8 to 11, 128 the counters, 160 the words 8 to 15 at the end.
func chacha256(f *file) {
	const counters, upper = 128, 160
	fmt.Fprintf(f, "// func expandAVX2(dst *byte, state *[16]uint32, groups int)\nTEXT ·expandAVX2(SB), NOSPLIT, $416-24\n")
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ state+8(FP), SI")
	f.op("MOVQ groups+16(FP), CX")
	f.op("VPMOVZXBD lanes256<>(SB), Y0")
	f.op("VPBROADCASTD 48(SI), Y1")
	f.op("VPADDD Y1, Y0, Y0")
	f.op("VMOVDQU Y0, %d(SP)", counters)
	f.label("loop")
	for i := range 4 {
		f.op("VPBROADCASTD %d(SI), Y%d", 4*i, i)
		f.op("VPBROADCASTD %d(SI), Y%d", 4*(4+i), 4+i)
		if i == 0 {
			f.op("VMOVDQU %d(SP), Y8", counters)
		} else {
			f.op("VPBROADCASTD %d(SI), Y%d", 4*(12+i), 8+i)
		}
	}
	f.op("VPBROADCASTD 32(SI), Y12")
	f.op("VPBROADCASTD 36(SI), Y13")
	for _, i := range []int{10, 11} {
		f.op("VPBROADCASTD %d(SI), Y14", 4*i)
		f.op("VMOVDQU Y14, %d(SP)", 32*(i-8))
	}
	// words swaps the pair in registers for the other.
	words := func(out, in int) {
		for i := range 2 {
			f.op("VMOVDQU Y%d, %d(SP)", 12+i, 32*(out-8+i))
		}
		for i := range 2 {
			f.op("VMOVDQU %d(SP), Y%d", 32*(in-8+i), 12+i)
		}
	}
	// pair is two quarter rounds, interleaved; a word of c is 8 to 11, in Y12
	// or Y13.
	pair := func(qs [2][4]int) {
		type round struct{ a, b, c, d int }
		var rs [2]round
		for i, q := range qs {
			rs[i] = round{q[0], q[1], 12 + q[2]%2, 8 + q[3] - 12}
		}
		add := func(x func(r round) (to, from int)) {
			for _, r := range rs {
				to, from := x(r)
				f.op("VPADDD Y%d, Y%d, Y%d", from, to, to)
			}
		}
		turn := func(bits int, x func(r round) (to, from int)) {
			for _, r := range rs {
				to, from := x(r)
				f.op("VPXOR Y%d, Y%d, Y%d", from, to, to)
			}
			for i, r := range rs {
				to, _ := x(r)
				if bits%8 == 0 {
					f.op("VPSHUFB turn%d<>(SB), Y%d, Y%d", bits, to, to)
					continue
				}
				f.op("VPSLLD $%d, Y%d, Y%d", bits, to, 14+i)
				f.op("VPSRLD $%d, Y%d, Y%d", 32-bits, to, to)
				f.op("VPOR Y%d, Y%d, Y%d", 14+i, to, to)
			}
		}
		ab := func(r round) (int, int) { return r.a, r.b }
		da := func(r round) (int, int) { return r.d, r.a }
		cd := func(r round) (int, int) { return r.c, r.d }
		bc := func(r round) (int, int) { return r.b, r.c }
		add(ab)
		turn(16, da)
		add(cd)
		turn(12, bc)
		add(ab)
		turn(8, da)
		add(cd)
		turn(7, bc)
	}
	f.op("MOVL $10, R8")
	f.label("round")
	pair([2][4]int{{0, 4, 8, 12}, {1, 5, 9, 13}})
	words(8, 10)
	pair([2][4]int{{2, 6, 10, 14}, {3, 7, 11, 15}})
	pair([2][4]int{{0, 5, 10, 15}, {1, 6, 11, 12}})
	words(10, 8)
	pair([2][4]int{{2, 7, 8, 13}, {3, 4, 9, 14}})
	f.op("DECQ R8")
	f.op("JNZ round")
	// Words 8 to 15 go to memory, added to what they were.
	final := func(word, reg int) {
		if word == 12 {
			f.op("VPADDD %d(SP), Y%d, Y%d", counters, reg, reg)
			return
		}
		f.op("VPBROADCASTD %d(SI), Y15", 4*word)
		f.op("VPADDD Y15, Y%d, Y%d", reg, reg)
	}
	for i := range 8 {
		word, reg := 8+i, 12+i
		switch {
		case i == 2 || i == 3:
			reg = 14
			f.op("VMOVDQU %d(SP), Y14", 32*i)
		case i >= 4:
			reg = 8 + i - 4
		}
		final(word, reg)
		f.op("VMOVDQU Y%d, %d(SP)", reg, upper+32*i)
	}
	for i := range 8 {
		final(i, i)
	}
	transpose256(f, 0)
	for i := range 8 {
		f.op("VMOVDQU %d(SP), Y%d", upper+32*i, i)
	}
	transpose256(f, 32)
	f.op("MOVL $8, R12")
	f.op("VMOVD R12, X0")
	f.op("VPBROADCASTD X0, Y0")
	f.op("VPADDD %d(SP), Y0, Y0", counters)
	f.op("VMOVDQU Y0, %d(SP)", counters)
	f.op("ADDQ $512, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
	data := func(name string, words ...uint64) {
		for i, w := range words {
			fmt.Fprintf(f, "DATA %s<>+%d(SB)/8, $%#016x\n", name, 8*i, w)
		}
		fmt.Fprintf(f, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n\n", name, 8*len(words))
	}
	data("lanes256", 0x0706050403020100)
	data("turn16", 0x0504070601000302, 0x0D0C0F0E09080B0A, 0x0504070601000302, 0x0D0C0F0E09080B0A)
	data("turn8", 0x0605040702010003, 0x0E0D0C0F0A09080B, 0x0605040702010003, 0x0E0D0C0F0A09080B)
	data("low80", 0x8080808080808080, 0x8080808080808080, 0x8080808080808080, 0x8080808080808080)
}

// transpose256 transposes the 8 × 8 matrix of dwords in Y0..Y7, replaces every
// byte 0x80 by 0, and stores row i at DI + 64·i + at. It uses all registers.
func transpose256(f *file, at int) {
	for g := range 4 { // rows 2g, 2g+1
		f.op("VPUNPCKLDQ Y%d, Y%d, Y%d", 2*g+1, 2*g, 8+2*g)
		f.op("VPUNPCKHDQ Y%d, Y%d, Y%d", 2*g+1, 2*g, 9+2*g)
	}
	for h := range 2 { // rows 4h to 4h+3: lane l of Y(4h+c) is dword 4l+c of them
		t := 8 + 4*h
		f.op("VPUNPCKLQDQ Y%d, Y%d, Y%d", t+2, t, 4*h)
		f.op("VPUNPCKHQDQ Y%d, Y%d, Y%d", t+2, t, 4*h+1)
		f.op("VPUNPCKLQDQ Y%d, Y%d, Y%d", t+3, t+1, 4*h+2)
		f.op("VPUNPCKHQDQ Y%d, Y%d, Y%d", t+3, t+1, 4*h+3)
	}
	f.op("VMOVDQU low80<>(SB), Y15")
	for c := range 4 {
		for lane, pick := range []int{0x20, 0x31} {
			r := 8 + 2*(c%2) + lane
			f.op("VPERM2I128 $%#x, Y%d, Y%d, Y%d", pick, 4+c, c, r)
			f.op("VPCMPEQB Y15, Y%d, Y14", r)
			f.op("VPANDN Y%d, Y14, Y%d", r, r)
			f.op("VMOVDQU Y%d, %d(DI)", r, 64*(4*lane+c)+at)
		}
	}
}
