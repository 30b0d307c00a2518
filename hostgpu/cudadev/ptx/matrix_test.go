package ptx

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A matrix of bytes for the tests, read as signed or not.
type bytesMatrix struct {
	rows, cols int
	p          []byte
}

func randomMatrix(r *rand.Rand, rows, cols int) bytesMatrix {
	m := bytesMatrix{rows, cols, make([]byte, rows*cols)}
	for i := range m.p {
		m.p[i] = byte(r.Uint32())
		if r.IntN(4) == 0 {
			m.p[i] = []byte{0x80, 0x7f, 0xff, 0}[r.IntN(4)]
		}
	}
	return m
}

func (m bytesMatrix) at(i, j int, signed bool) int64 {
	v := m.p[i*m.cols+j]
	if signed {
		return int64(int8(v))
	}
	return int64(v)
}

// plain is C + A·Bᵀ, where b holds its columns as rows; sat clamps.
func plain(a, b bytesMatrix, c []int32, sa, sb, sat bool) []int32 {
	out := make([]int32, a.rows*b.rows)
	for i := range a.rows {
		for j := range b.rows {
			sum := int64(c[i*b.rows+j])
			for k := range a.cols {
				sum += a.at(i, k, sa) * b.at(j, k, sb)
			}
			if sat {
				sum = max(-1<<31, min(1<<31-1, sum))
			}
			out[i*b.rows+j] = int32(sum)
		}
	}
	return out
}

// randomSums are accumulators, some near the ends of their range.
func randomSums(r *rand.Rand, n int) []int32 {
	c := make([]int32, n)
	for i := range c {
		c[i] = int32(r.Uint32())
		switch r.IntN(3) {
		case 0:
			c[i] = -1 << 31
		case 1:
			c[i] = 1<<31 - 1
		}
	}
	return c
}

func list(prefix string, n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("%s%d", prefix, i))
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// TestMma builds fragments from the formulas of the PTX ISA ("Matrix Fragments
// for mma.m16n8k32" and its neighbours), element by element.
func TestMma(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []struct {
		name         string
		m, k         int
		aRegs, dRegs int
		aRow, aCol   func(group, thread, i int) int
		bRow         func(thread, i int) int
	}{
		{"m16n8k32", 16, 32, 4, 4,
			func(g, _, i int) int {
				if i < 4 || i >= 8 && i < 12 {
					return g
				}
				return g + 8
			},
			func(_, th, i int) int {
				if i < 8 {
					return th*4 + i&3
				}
				return th*4 + i&3 + 16
			},
			func(th, i int) int {
				if i < 4 {
					return th*4 + i&3
				}
				return th*4 + i&3 + 16
			}},
		{"m16n8k16", 16, 16, 2, 4,
			func(g, _, i int) int {
				if i < 4 {
					return g
				}
				return g + 8
			},
			func(_, th, i int) int { return th*4 + i&3 },
			func(th, i int) int { return th*4 + i }},
		{"m8n8k16", 8, 16, 1, 2,
			func(g, _, _ int) int { return g },
			func(_, th, i int) int { return th*4 + i },
			func(th, i int) int { return th*4 + i }},
	} {
		for _, types := range [][2]string{{"s8", "s8"}, {"u8", "s8"}, {"s8", "u8"}, {"u8", "u8"}} {
			for _, sat := range []string{"", ".satfinite"} {
				bRegs := shape.k / 16
				vec := func(n int) string { return map[int]string{1: "", 2: ".v2", 4: ".v4"}[n] }
				pick := func(prefix string, n int) string {
					if n == 1 {
						return prefix + "0"
					}
					return list(prefix, n)
				}
				text := head80 + fmt.Sprintf(`.visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)
{
	.reg .b32 %%a<4>, %%b<2>, %%c<4>, %%d<4>, %%t;
	.reg .b64 %%p<5>;
	mov.u32 %%t, %%tid.x;
	ld.param.u64 %%p0, [a];
	ld.param.u64 %%p1, [b];
	ld.param.u64 %%p2, [c];
	ld.param.u64 %%p3, [d];
	mad.wide.u32 %%p0, %%t, %d, %%p0;
	mad.wide.u32 %%p1, %%t, %d, %%p1;
	mad.wide.u32 %%p2, %%t, %d, %%p2;
	mad.wide.u32 %%p3, %%t, %d, %%p3;
	ld.global%s.b32 %s, [%%p0];
	ld.global%s.b32 %s, [%%p1];
	ld.global%s.b32 %s, [%%p2];
	mma.sync.aligned.%s.row.col%s.s32.%s.%s.s32 %s, %s, %s, %s;
	st.global%s.b32 [%%p3], %s;
	ret;
}
`, 4*shape.aRegs, 4*bRegs, 4*shape.dRegs, 4*shape.dRegs,
					vec(shape.aRegs), pick("%a", shape.aRegs), vec(bRegs), pick("%b", bRegs), vec(shape.dRegs), pick("%c", shape.dRegs),
					shape.name, sat, types[0], types[1],
					list("%d", shape.dRegs), list("%a", shape.aRegs), list("%b", bRegs), list("%c", shape.dRegs),
					vec(shape.dRegs), pick("%d", shape.dRegs))
				mod, m := parse(t, text), machine(t)
				a, b := randomMatrix(r, shape.m, shape.k), randomMatrix(r, 8, shape.k)
				c := randomSums(r, shape.m*8)
				fa, fb := make([]byte, 32*4*shape.aRegs), make([]byte, 32*4*bRegs)
				fc := make([]byte, 32*4*shape.dRegs)
				dRow := func(g, i int) int {
					if i < 2 {
						return g
					}
					return g + 8
				}
				for lane := range 32 {
					g, th := lane>>2, lane%4
					for i := range 4 * shape.aRegs {
						fa[lane*4*shape.aRegs+i] = a.p[shape.aRow(g, th, i)*shape.k+shape.aCol(g, th, i)]
					}
					for i := range 4 * bRegs {
						fb[lane*4*bRegs+i] = b.p[g*shape.k+shape.bRow(th, i)]
					}
					for i := range shape.dRegs {
						binary.LittleEndian.PutUint32(fc[4*(lane*shape.dRegs+i):], uint32(c[dRow(g, i)*8+th*2+i&1]))
					}
				}
				out := buffer(t, m, make([]byte, len(fc)))
				mustLaunch(t, m, mod, "k", 1, 32, pack(buffer(t, m, fa), buffer(t, m, fb), buffer(t, m, fc), out))
				got := words32(download(t, m, out, len(fc)))
				want := plain(a, b, c, types[0] == "s8", types[1] == "s8", sat != "")
				for lane := range 32 {
					for i := range shape.dRegs {
						row, col := dRow(lane>>2, i), lane%4*2+i&1
						if v := int32(got[lane*shape.dRegs+i]); v != want[row*8+col] {
							t.Fatalf("%s%s %v: row %d column %d: got %d, want %d", shape.name, sat, types, row, col, v, want[row*8+col])
						}
					}
				}
			}
		}
	}
}

// TestLdmatrix checks where each 16-bit element goes.
func TestLdmatrix(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		for _, trans := range []string{"", ".trans"} {
			text := head80 + fmt.Sprintf(`.visible .entry k(.param .u64 in, .param .u64 out)
{
	.shared .align 16 .b8 s[512];
	.reg .b32 %%r<8>, %%d<4>;
	.reg .b64 %%p<4>;
	mov.u32 %%r0, %%tid.x;
	ld.param.u64 %%p0, [in];
	ld.param.u64 %%p1, [out];
	mad.wide.u32 %%p0, %%r0, 16, %%p0;
	mad.wide.u32 %%p1, %%r0, 16, %%p1;
	mov.u32 %%r1, s;
	// Row i lies at (i*5 %% 32)*16, so that addresses, not order, decide.
	mul.lo.u32 %%r2, %%r0, 5;
	and.b32 %%r2, %%r2, 31;
	mad.lo.u32 %%r2, %%r2, 16, %%r1;
	ld.global.v4.b32 {%%r4, %%r5, %%r6, %%r7}, [%%p0];
	st.shared.v4.b32 [%%r2], {%%r4, %%r5, %%r6, %%r7};
	bar.sync 0;
	mov.b32 %%d0, 0;
	mov.b32 %%d1, 0;
	mov.b32 %%d2, 0;
	mov.b32 %%d3, 0;
	ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%r2];
	st.global.v4.b32 [%%p1], {%%d0, %%d1, %%d2, %%d3};
	ret;
}
`, n, trans, list("%d", n))
			mod, m := parse(t, text), machine(t)
			in := make([]byte, 512)
			for i := range 256 {
				binary.LittleEndian.PutUint16(in[2*i:], uint16(i*7+1))
			}
			out := buffer(t, m, make([]byte, 512))
			mustLaunch(t, m, mod, "k", 1, 32, pack(buffer(t, m, in), out))
			got := words32(download(t, m, out, 512))
			element := func(matrix, row, col int) uint32 { return uint32(uint16((matrix*64+row*8+col)*7 + 1)) }
			for lane := range 32 {
				for i := range n {
					low, high := element(i, lane/4, lane%4*2), element(i, lane/4, lane%4*2+1)
					if trans != "" {
						low, high = element(i, lane%4*2, lane/4), element(i, lane%4*2+1, lane/4)
					}
					if v := got[4*lane+i]; v != low|high<<16 {
						t.Fatalf("x%d%s lane %d register %d: %#x, want %#x", n, trans, lane, i, v, low|high<<16)
					}
				}
			}
		}
	}
}
