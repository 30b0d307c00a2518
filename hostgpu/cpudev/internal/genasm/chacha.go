package main

// chacha512 computes 16 blocks of ChaCha20 at a time, one a lane, and stores
// them with every byte 0x80 replaced by 0: op expand. The counter, word 12 of
// the state, does not wrap.
func chacha512(f *file) {
	f.text("expandAVX512", 24, "func expandAVX512(dst *byte, state *[16]uint32, groups int)")
	f.op("MOVQ dst+0(FP), DI")
	f.op("MOVQ state+8(FP), SI")
	f.op("MOVQ groups+16(FP), CX")
	f.op("VPMOVZXBD lanes<>(SB), Z21")
	f.op("VPADDD.BCST 48(SI), Z21, Z21")
	f.op("MOVL $16, R12")
	f.op("VPBROADCASTD R12, Z22")
	f.op("MOVL $0x80808080, R12")
	f.op("VPBROADCASTD R12, Z23")
	f.label("loop")
	for i := range 16 {
		if i == 12 {
			f.op("VMOVDQA32 Z21, Z12")
		} else {
			f.op("VPBROADCASTD %d(SI), Z%d", 4*i, i)
		}
	}
	f.op("MOVL $10, R8")
	f.label("round")
	for _, q := range [][4]int{
		{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15},
		{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14},
	} {
		a, b, c, d := q[0], q[1], q[2], q[3]
		for _, step := range [][4]int{{a, b, d, 16}, {c, d, b, 12}, {a, b, d, 8}, {c, d, b, 7}} {
			f.op("VPADDD Z%d, Z%d, Z%d", step[1], step[0], step[0])
			f.op("VPXORD Z%d, Z%d, Z%d", step[0], step[2], step[2])
			f.op("VPROLD $%d, Z%d, Z%d", step[3], step[2], step[2])
		}
	}
	f.op("DECQ R8")
	f.op("JNZ round")
	for i := range 16 {
		if i == 12 {
			f.op("VPADDD Z21, Z12, Z12")
		} else {
			f.op("VPADDD.BCST %d(SI), Z%d, Z%d", 4*i, i, i)
		}
	}
	transpose512(f, func(block, z int) {
		f.op("VPCMPUB $4, Z23, Z%d, K1", z) // not equal
		f.op("VMOVDQU8.Z Z%d, K1, Z%d", z, z)
		f.op("VMOVDQU8 Z%d, %d(DI)", z, 64*block)
	})
	f.op("VPADDD Z22, Z21, Z21")
	f.op("ADDQ $1024, DI")
	f.op("DECQ CX")
	f.op("JNZ loop")
	f.op("VZEROUPPER")
	f.op("RET")
	f.WriteString("\n")
	f.WriteString("DATA lanes<>+0(SB)/8, $0x0706050403020100\n")
	f.WriteString("DATA lanes<>+8(SB)/8, $0x0F0E0D0C0B0A0908\n")
	f.WriteString("GLOBL lanes<>(SB), RODATA|NOPTR, $16\n")
}
