package ptx

import (
	"fmt"
	"testing"
)

// runCases runs all cases in one kernel each; ptxas, if there is one, sees them
// too.
func runCases(t *testing.T, head string, cases []opCase) {
	for i, c := range cases {
		in := operands(uint64(i), 1024)
		for j, got := range snippet(t, head, c.ptx, in) {
			v := in[j]
			if want := c.want(v[0], v[1], v[2], v[3]); got != want {
				t.Errorf("%s: %#x: got %#x, want %#x", c.ptx, v, got, want)
				break
			}
		}
	}
}

func TestArithmetic(t *testing.T) { runCases(t, head80, arithmetic) }
func TestLogic(t *testing.T)      { runCases(t, head80, logic) }

func TestLop3(t *testing.T) {
	var cases []opCase
	for _, lut := range []int{0, 0x80, 0x96, 0xe8, 0xca, 0xff, 0x1b, 0x72} {
		cases = append(cases, opCase{fmt.Sprintf("lop3.b32 %%r10, %%r1, %%r2, %%r3, %d;", lut) + out32, func(a, b, c, d uint64) uint64 {
			return fromBits(32, func(i int) uint64 { return uint64(lut>>(bit(a, i)*4+bit(b, i)*2+bit(c, i))) & 1 })
		}})
	}
	runCases(t, head80, cases)
}

func TestPrmtModes(t *testing.T) {
	// The table of the manual: for each mode and selector the bytes of d, the
	// highest first.
	table := map[string][4]string{
		"f4e": {"3210", "4321", "5432", "6543"}, "b4e": {"5670", "6701", "7012", "0123"},
		"rc8": {"0000", "1111", "2222", "3333"}, "ecl": {"3210", "3211", "3222", "3333"},
		"ecr": {"0000", "1110", "2210", "3210"}, "rc16": {"1010", "3232", "1010", "3232"},
	}
	var cases []opCase
	for mode, rows := range table {
		cases = append(cases, opCase{"prmt.b32." + mode + " %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
			v := u(uint32(b))<<32 | u(uint32(a))
			return fromBits(32, func(i int) uint64 { return bit(v, int(rows[c&3][3-i/8]-'0')*8+i%8) })
		}})
	}
	runCases(t, head80, cases)
}

func TestCvt(t *testing.T) {
	names := []string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"}
	width := map[byte]int{'8': 8, '1': 16, '3': 32, '6': 64}
	// value reads the low bits of v as a type, as a number.
	value := func(name string, v uint64) int64 {
		switch name {
		case "u8":
			return int64(uint8(v))
		case "u16":
			return int64(uint16(v))
		case "u32":
			return int64(uint32(v))
		case "s8":
			return int64(int8(v))
		case "s16":
			return int64(int16(v))
		case "s32":
			return int64(int32(v))
		}
		return int64(v)
	}
	var cases []opCase
	for _, from := range names {
		for _, to := range names {
			for _, sat := range []string{"", ".sat"} {
				n := width[to[1]]
				if m := width[from[1]]; sat != "" && (to[0] == from[0] && n >= m || to[0] == 's' && from[0] == 'u' && n > m) {
					continue // refused: nothing can saturate
				}
				src := "%rd1"
				body := fmt.Sprintf("cvt%s.%s.%s %%rd10, %s;", sat, to, from, src)
				cases = append(cases, opCase{body, func(a, b, c, d uint64) uint64 {
					x := big64(value(from, a))
					if from == "u64" {
						x = bigU(a)
					}
					if sat != "" {
						low, high := int64(-1)<<(n-1), int64(1)<<(n-1)-1
						switch {
						case to == "u64" && x.Sign() < 0:
							x = big64(0)
						case to == "u64":
						case to[0] == 'u':
							x = big64(int64(clampBig(x, 0, int64(^uint64(0)>>(64-n)))))
						default:
							x = big64(int64(clampBig(x, low, high)))
						}
					}
					v := low(x, 0)
					if to == "u64" || to == "s64" {
						return v
					}
					return uint64(value(to, v))
				}})
			}
		}
	}
	cases = append(cases,
		opCase{"cvt.s32.s8 %r10, %rs1;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(int8(a))) }},
		opCase{"cvt.s16.s8 %rs10, %r1;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(int8(a))) }},
		opCase{"cvt.u16.u32 %rs10, %r1;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a)) }},
		opCase{"cvt.pack.sat.s8.s32.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
			s := func(v uint64) uint64 { return uint64(uint8(clampBig(big64(int64(int32(v))), -128, 127))) }
			return s(b) + s(a)<<8 + uint64(uint16(c))<<16
		}},
		opCase{"cvt.pack.sat.u8.s32.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
			s := func(v uint64) uint64 { return clampBig(big64(int64(int32(v))), 0, 255) }
			return s(b) + s(a)<<8 + uint64(uint16(c))<<16
		}},
		opCase{"cvt.pack.sat.s16.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
			s := func(v uint64) uint64 { return uint64(uint16(clampBig(big64(int64(int32(v))), -1<<15, 1<<15-1))) }
			return s(b) + s(a)<<16
		}},
	)
	runCases(t, head80, cases)
}
