package ptx

import (
	"fmt"
	"testing"
)

func TestSetp(t *testing.T) {
	type op struct {
		name  string
		types string
		want  func(less, equal bool) bool
	}
	ops := []op{
		{"eq", "bus", func(_, e bool) bool { return e }}, {"ne", "bus", func(_, e bool) bool { return !e }},
		{"lt", "us", func(l, _ bool) bool { return l }}, {"le", "us", func(l, e bool) bool { return l || e }},
		{"gt", "us", func(l, e bool) bool { return !l && !e }}, {"ge", "us", func(l, _ bool) bool { return !l }},
		{"lo", "u", func(l, _ bool) bool { return l }}, {"ls", "u", func(l, e bool) bool { return l || e }},
		{"hi", "u", func(l, e bool) bool { return !l && !e }}, {"hs", "u", func(l, _ bool) bool { return !l }},
	}
	compare := map[string]func(a, b uint64) (bool, bool){
		"u16": func(a, b uint64) (bool, bool) { return uint16(a) < uint16(b), uint16(a) == uint16(b) },
		"u32": func(a, b uint64) (bool, bool) { return uint32(a) < uint32(b), uint32(a) == uint32(b) },
		"u64": func(a, b uint64) (bool, bool) { return a < b, a == b },
		"s16": func(a, b uint64) (bool, bool) { return int16(a) < int16(b), int16(a) == int16(b) },
		"s32": func(a, b uint64) (bool, bool) { return int32(a) < int32(b), int32(a) == int32(b) },
		"s64": func(a, b uint64) (bool, bool) { return int64(a) < int64(b), a == b },
	}
	compare["b16"], compare["b32"], compare["b64"] = compare["u16"], compare["u32"], compare["u64"]
	bools := map[string]func(x, y bool) bool{
		"and": func(x, y bool) bool { return x && y }, "or": func(x, y bool) bool { return x || y }, "xor": func(x, y bool) bool { return x != y },
	}
	reg := map[string]string{"16": "%rs", "32": "%r", "64": "%rd"}
	for _, o := range ops {
		var cases []opCase
		for _, kind := range o.types {
			for _, bits := range []string{"16", "32", "64"} {
				ty := string(kind) + bits
				cmp := compare[ty]
				r := reg[bits]
				// Operands are made equal in a part of the cases: those whose d is odd.
				head := fmt.Sprintf("and.b32 %%r9, %%r4, 1;\nsetp.eq.u32 %%p5, %%r9, 1;\n@%%p5 mov.b%s %s2, %s1;\nand.b32 %%r8, %%r3, 1;\nsetp.ne.b32 %%p6, %%r8, 0;\n", bits, r, r)
				b := func(b, a, d uint64) uint64 {
					if d&1 == 1 {
						return a
					}
					return b
				}
				cases = append(cases, opCase{head + fmt.Sprintf("setp.%s.%s %%p1, %s1, %s2;", o.name, ty, r, r) + outP, func(a, bb, c, d uint64) uint64 {
					return flag(o.want(cmp(a, b(bb, a, d))))
				}})
				for name, f := range bools {
					for _, not := range []string{"", "!"} {
						cases = append(cases, opCase{head + fmt.Sprintf("setp.%s.%s.%s %%p1|%%p2, %s1, %s2, %s%%p6;", o.name, name, ty, r, r, not) +
							outP + "\n@%p2 add.u64 %rd10, %rd10, 2;", func(a, bb, c, d uint64) uint64 {
							x, z := o.want(cmp(a, b(bb, a, d))), (c&1 == 1) != (not == "!")
							return flag(f(x, z)) + 2*flag(f(!x, z))
						}})
					}
				}
			}
		}
		runCases(t, head80, cases)
	}
}

func TestMoves(t *testing.T) {
	pair := func(a, b uint64) uint64 { return u(uint32(a)) | b<<32 }
	runCases(t, head80, []opCase{
		{"mov.b64 %rd10, {%r1, %r2};", func(a, b, c, d uint64) uint64 { return pair(a, b) }},
		{"mov.b64 {%r10, %r11}, %rd1;\nmov.b64 %rd10, {%r11, %r10};", func(a, b, c, d uint64) uint64 { return pair(a>>32, a) }},
		{"mov.b64 {_, %r10}, %rd1;" + out32, func(a, b, c, d uint64) uint64 { return a >> 32 }},
		{"mov.b32 %r10, {%rs1, %rs2};" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(uint16(a)) | uint32(b)<<16) }},
		{"mov.b32 {%rs10, %rs11}, %r1;\nmov.b64 %rd10, {%rs11, %rs10, %rs2, %rs3};", func(a, b, c, d uint64) uint64 {
			return a>>16&0xffff | a&0xffff<<16 | b&0xffff<<32 | c<<48
		}},
		{"mov.u64 %rd10, -3;", func(a, b, c, d uint64) uint64 { return ^uint64(2) }},
		{"mov.u32 %r10, 0xfffffffe;" + out32, func(a, b, c, d uint64) uint64 { return 0xfffffffe }},
		{"mov.u32 %r10, 017;" + out32, func(a, b, c, d uint64) uint64 { return 15 }},
		{"mov.u32 %r10, 0b101;" + out32, func(a, b, c, d uint64) uint64 { return 5 }},
		{"mov.s16 %rs10, -1;" + out16, func(a, b, c, d uint64) uint64 { return 0xffff }},
		{"setp.lt.s32 %p2, %r1, %r2;\nmov.pred %p1, %p2;" + outP, func(a, b, c, d uint64) uint64 { return flag(int32(a) < int32(b)) }},
		{"mov.pred %p1, -1;\nmov.pred %p2, 0;\nor.pred %p1, %p1, %p2;" + outP, func(a, b, c, d uint64) uint64 { return 1 }},
		{"setp.lt.s32 %p2, %r1, %r2;\nnot.pred %p1, %p2;" + outP, func(a, b, c, d uint64) uint64 { return flag(int32(a) >= int32(b)) }},
		{"setp.lt.s32 %p2, %r1, %r2;\nsetp.lt.s32 %p3, %r3, %r4;\nxor.pred %p1, %p2, %p3;" + outP, func(a, b, c, d uint64) uint64 {
			return flag((int32(a) < int32(b)) != (int32(c) < int32(d)))
		}},
		{"setp.lt.s32 %p2, %r1, %r2;\nselp.b32 %r10, %r3, %r4, %p2;" + out32, func(a, b, c, d uint64) uint64 {
			if int32(a) < int32(b) {
				return u(uint32(c))
			}
			return u(uint32(d))
		}},
		{"slct.u32.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
			if int32(c) >= 0 {
				return u(uint32(a))
			}
			return u(uint32(b))
		}},
		{"set.lt.u32.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
			return u(uint32(-flag(int32(a) < int32(b))))
		}},
		{"setp.ne.u32 %p2, %r3, 0;\nset.gt.and.s32.u32 %r10, %r1, %r2, !%p2;" + out32, func(a, b, c, d uint64) uint64 {
			return u(uint32(-flag(uint32(a) > uint32(b) && uint32(c) == 0)))
		}},
		{"setp.lt.u64 %p2, %rd1, %rd2;\n@%p2 mov.u64 %rd10, %rd3;\n@!%p2 mov.u64 %rd10, %rd4;", func(a, b, c, d uint64) uint64 {
			if a < b {
				return c
			}
			return d
		}},
		// Inline assembly has a scope and registers of its own.
		{"{\n.reg .b32 %r1;\nmov.b32 %r1, 7;\n{ .reg .pred %p1; setp.eq.u32 %p1, %r1, 7;\n@%p1 bra OVER;\nmov.b32 %r1, 9;\nOVER:\n}\ncvt.u64.u32 %rd10, %r1;\n}\nadd.u64 %rd10, %rd10, %rd1;", func(a, b, c, d uint64) uint64 { return a + 7 }},
	})
}

// TestLoadStoreWidths stores and loads each type through each space.
func TestLoadStoreWidths(t *testing.T) {
	type mem struct{ name, declare, base string }
	spaces := []mem{
		{".shared", ".shared .align 16 .b8 s[2048];\n", "mov.u32 %r15, s;\nmad.lo.u32 %r15, %i0, 16, %r15;\ncvt.u64.u32 %rd15, %r15;\n"},
		{".local", ".local .align 16 .b8 s[16];\n", "mov.u64 %rd15, s;\n"},
		{".shared generic", ".shared .align 16 .b8 s[2048];\n", "mov.u64 %rd15, s;\nmad.wide.u32 %rd15, %i0, 16, %rd15;\ncvta.shared.u64 %rd15, %rd15;\n"},
		{".local generic", ".local .align 16 .b8 s[16];\n", "mov.u64 %rd15, s;\ncvta.local.u64 %rd15, %rd15;\n"},
		{".global", ".global .align 16 .b8 s[65536];\n", "mov.u64 %rd15, s;\nmad.wide.u32 %rd15, %i3, 16, %rd15;\n"},
	}
	for _, sp := range spaces {
		name := sp.name
		if n := len(name) - len(" generic"); n > 0 && name[n:] == " generic" {
			name = ""
		}
		var cases []opCase
		for ty, want := range map[string]func(a uint64) uint64{
			"u8": func(a uint64) uint64 { return uint64(uint8(a)) }, "s8": func(a uint64) uint64 { return uint64(int8(a)) },
			"b16": func(a uint64) uint64 { return uint64(uint16(a)) }, "s16": func(a uint64) uint64 { return uint64(int16(a)) },
			"u32": func(a uint64) uint64 { return u(uint32(a)) }, "s32": func(a uint64) uint64 { return uint64(int32(a)) },
			"b64": func(a uint64) uint64 { return a },
		} {
			cases = append(cases, opCase{sp.declare + sp.base + fmt.Sprintf("st%s.%s [%%rd15], %%rd1;\nld%s.%s %%rd10, [%%rd15];", name, ty, name, ty),
				func(a, b, c, d uint64) uint64 { return want(a) }})
		}
		cases = append(cases,
			opCase{sp.declare + sp.base + fmt.Sprintf("st%s.v2.b64 [%%rd15], {%%rd1, %%rd2};\nld%s.v4.u32 {%%r11, %%r12, %%r13, %%r14}, [%%rd15];\nmov.b64 %%rd10, {%%r13, %%r12};", name, name),
				func(a, b, c, d uint64) uint64 { return u(uint32(b)) | a>>32<<32 }},
			opCase{sp.declare + sp.base + fmt.Sprintf("st%s.v4.b16 [%%rd15+8], {%%rs1, %%rs2, %%rs3, %%rs4};\nld%s.v2.u8 {%%rs11, %%rs12}, [%%rd15+10];\nmov.b32 %%r10, {%%rs11, %%rs12};", name, name) + out32,
				func(a, b, c, d uint64) uint64 { return b&255 | b>>8&255<<16 }},
			opCase{sp.declare + sp.base + fmt.Sprintf("st%s.b64 [%%rd15], %%rd1;\nld%s.s8 %%rs10, [%%rd15+7];", name, name) + out16,
				func(a, b, c, d uint64) uint64 { return uint64(uint16(int8(a >> 56))) }},
		)
		runCases(t, head80, cases)
	}
	runCases(t, head80, []opCase{
		{".local .align 8 .b8 s[8];\nmov.u64 %rd15, s;\ncvta.local.u64 %rd14, %rd15;\nisspacep.local %p1, %rd14;\nisspacep.global %p2, %a0;\nand.pred %p1, %p1, %p2;\nisspacep.shared %p2, %rd14;\n@%p2 not.pred %p1, %p1;" + outP,
			func(a, b, c, d uint64) uint64 { return 1 }},
		{".local .align 8 .b8 s[8];\nmov.u64 %rd15, s;\ncvta.local.u64 %rd14, %rd15;\ncvta.to.local.u64 %rd14, %rd14;\nsub.u64 %rd10, %rd14, %rd15;",
			func(a, b, c, d uint64) uint64 { return 0 }},
	})
}
