package ptx

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// layouts place byte k of row r of a matrix of 64 columns, as the figures of the
// PTX ISA ("Shared Memory Matrix Layout", "Swizzling modes") do: written as
// positions in tiles, where the emulator exclusive-ors address bits. offset is
// for a matrix that begins at a multiple of 1024; step is how far the descriptor
// moves for the second 32 columns.
type layout struct {
	name            string
	mode            uint64
	offset          func(rows, r, k int) int
	leading, stride func(rows int) int
	step            func(rows int) int
	size            func(rows int) int
}

func always(n int) func(int) int { return func(int) int { return n } }

var layouts = []layout{
	{"none", 0,
		// Core matrices of 8 rows by 16 bytes, 128 bytes each: those of one
		// column behind each other.
		func(rows, r, k int) int { return k/16*(rows*16) + r/8*128 + r%8*16 + k%16 },
		func(rows int) int { return rows * 16 }, always(128), func(rows int) int { return 2 * rows * 16 }, func(rows int) int { return rows * 64 }},
	{"none, rows first", 0,
		func(rows, r, k int) int { return r/8*512 + k/16*128 + r%8*16 + k%16 },
		always(128), always(512), always(256), func(rows int) int { return rows * 64 }},
	{"32", 3,
		// Rows of 32 bytes; two chunks change places in rows 4 to 7 of each 8.
		func(rows, r, k int) int { return k/32*(rows*32) + r*32 + (k/16%2^r/4%2)*16 + k%16 },
		always(16), always(256), func(rows int) int { return rows * 32 }, func(rows int) int { return rows * 64 }},
	{"64", 2,
		// Rows of 64 bytes; chunk c of row r lies at c ^ (r/2 mod 4).
		func(rows, r, k int) int { return r*64 + (k/16^r/2%4)*16 + k%16 },
		always(16), always(512), always(32), func(rows int) int { return rows * 64 }},
	{"128", 1,
		// Rows of 128 bytes of which 64 are used; chunk c lies at c ^ (r mod 8).
		func(rows, r, k int) int { return r*128 + (k/16^r%8)*16 + k%16 },
		always(16), always(1024), always(32), func(rows int) int { return rows * 128 }},
}

// kernel multiplies 64×64 by 64×n: A and B are copied to shared memory as
// they are, so the host decides about the layout.
func wgmmaKernel(n int, types [2]string, sat string, aRegs bool) string {
	acc := list("%d", n/2)
	var b strings.Builder
	fmt.Fprintf(&b, `.extern .shared .align 1024 .b8 s[];
.visible .entry k(.param .u64 in, .param .u64 c, .param .u64 out, .param .u64 frag, .param .u64 ad, .param .u64 bd, .param .u64 step, .param .u32 bytes)
{
	.reg .pred %%p, %%q;
	.reg .b32 %%r<8>, %%d<%d>, %%a<4>;
	.reg .b64 %%x<16>;
	mov.u32 %%r0, %%tid.x;
	ld.param.u64 %%x0, [in];
	ld.param.u32 %%r1, [bytes];
	mov.u32 %%r2, s;
	mov.u32 %%r3, %%r0;
COPY:
	setp.ge.u32 %%p, %%r3, %%r1;
	@%%p bra DONE;
	cvt.u64.u32 %%x1, %%r3;
	add.u64 %%x1, %%x1, %%x0;
	ld.global.u8 %%r4, [%%x1];
	add.u32 %%r5, %%r2, %%r3;
	st.shared.u8 [%%r5], %%r4;
	add.u32 %%r3, %%r3, 128;
	bra COPY;
DONE:
	ld.param.u64 %%x2, [c];
	mad.wide.u32 %%x2, %%r0, %d, %%x2;
	ld.param.u64 %%x8, [frag];
	mad.wide.u32 %%x8, %%r0, 32, %%x8;
`, n/2, 2*n)
	for i := range n / 2 {
		fmt.Fprintf(&b, "\tld.global.b32 %%d%d, [%%x2+%d];\n", i, 4*i)
	}
	a0, a1 := "%x3", "%x5"
	if aRegs {
		a0, a1 = "{%a0, %a1, %a2, %a3}", "{%r4, %r5, %r6, %r7}"
		b.WriteString("\tld.global.v4.b32 {%a0, %a1, %a2, %a3}, [%x8];\n\tld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%x8+16];\n")
	}
	op := fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk32.s32.%s.%s%s", n, types[0], types[1], sat)
	fmt.Fprintf(&b, `	// The addresses in the descriptors are relative to s.
	shr.u32 %%r2, %%r2, 4;
	cvt.u64.u32 %%x1, %%r2;
	ld.param.u64 %%x3, [ad];
	ld.param.u64 %%x4, [bd];
	ld.param.u64 %%x7, [step];
	add.u64 %%x3, %%x3, %%x1;
	add.u64 %%x4, %%x4, %%x1;
	and.b64 %%x9, %%x7, 0xffff;
	shr.u64 %%x7, %%x7, 16;
	add.u64 %%x5, %%x3, %%x9;
	add.u64 %%x6, %%x4, %%x7;
	setp.eq.u32 %%q, %%r0, %%r0;
	fence.proxy.async;
	bar.sync 0;
	wgmma.fence.sync.aligned;
	%s %s, %s, %%x4, %%q;
	%s %s, %s, %%x6, %%q;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	ld.param.u64 %%x2, [out];
	mad.wide.u32 %%x2, %%r0, %d, %%x2;
`, op, acc, a0, op, acc, a1, 2*n)
	for i := range n / 2 {
		fmt.Fprintf(&b, "\tst.global.b32 [%%x2+%d], %%d%d;\n", 4*i, i)
	}
	b.WriteString("\tret;\n}\n")
	if types[0] != types[1] { // since PTX 8.4
		return strings.Replace(head90, "8.0", "8.4", 1) + b.String()
	}
	return head90 + b.String()
}

func makeDescriptor(at, leading, stride int, mode uint64) uint64 {
	return uint64(at)>>4&0x3fff | uint64(leading)>>4&0x3fff<<16 | uint64(stride)>>4&0x3fff<<32 | mode<<62
}

// TestWgmma multiplies with A and B in every layout, and A in registers, against
// the plain product.
func TestWgmma(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	types := [][2]string{{"s8", "s8"}, {"u8", "s8"}, {"s8", "u8"}, {"u8", "u8"}}
	turn := 0
	for _, n := range []int{8, 16, 24, 32, 64, 96, 128, 256} {
		for i, la := range layouts {
			lb := layouts[(i+turn)%len(layouts)]
			ty, sat, aRegs := types[turn%4], []string{"", ".satfinite"}[turn/4%2], turn%3 == 2
			turn++
			t.Run(fmt.Sprintf("n%d/%s/%s/%v%s/%v", n, la.name, lb.name, ty, sat, aRegs), func(t *testing.T) {
				mod, m := parse(t, wgmmaKernel(n, ty, sat, aRegs)), machine(t)
				a, b := randomMatrix(r, 64, 64), randomMatrix(r, n, 64)
				c := randomSums(r, 64*n)
				aSize := (la.size(64) + 1023) &^ 1023
				image := make([]byte, aSize+lb.size(n))
				for k := range 64 {
					for i := range 64 {
						image[la.offset(64, i, k)] = a.p[i*64+k]
					}
					for j := range n {
						image[aSize+lb.offset(n, j, k)] = b.p[j*64+k]
					}
				}
				// Accumulators by the figure: warp, row of eight and column.
				where := func(tid, reg int) int {
					row := tid/32*16 + tid%32/4 + reg/2%2*8
					col := reg/4*8 + tid%4*2 + reg%2
					return row*n + col
				}
				frag, fc := make([]byte, 128*32), make([]byte, 4*64*n)
				for tid := range 128 {
					for i := range 32 {
						e := i % 16
						row := tid/32*16 + tid%32/4 + map[bool]int{true: 0, false: 8}[e < 4 || e >= 8 && e < 12]
						col := tid%4*4 + e%4 + e/8*16 + i/16*32
						frag[tid*32+i] = a.p[row*64+col]
					}
					for reg := range n / 2 {
						binary.LittleEndian.PutUint32(fc[4*(tid*n/2+reg):], uint32(c[where(tid, reg)]))
					}
				}
				out := buffer(t, m, make([]byte, len(fc)))
				args := pack(buffer(t, m, image), buffer(t, m, fc), out, buffer(t, m, frag),
					makeDescriptor(0, la.leading(64), la.stride(64), la.mode), makeDescriptor(aSize, lb.leading(n), lb.stride(n), lb.mode),
					uint64(la.step(64)>>4)|uint64(lb.step(n)>>4)<<16, uint32(len(image)))
				if err := tryLaunch(m, mod, "k", 1, 128, len(image), args, AllChecks()); err != nil {
					t.Fatal(err)
				}
				got := words32(download(t, m, out, len(fc)))
				want := plain(a, b, c, ty[0] == "s8", ty[1] == "s8", false)
				if sat != "" { // saturates after each instruction
					half := func(x bytesMatrix, from int) bytesMatrix {
						h := bytesMatrix{x.rows, 32, nil}
						for i := range x.rows {
							h.p = append(h.p, x.p[i*64+from:][:32]...)
						}
						return h
					}
					want = plain(half(a, 0), half(b, 0), c, ty[0] == "s8", ty[1] == "s8", true)
					want = plain(half(a, 32), half(b, 32), want, ty[0] == "s8", ty[1] == "s8", true)
				}
				for tid := range 128 {
					for reg := range n / 2 {
						if v, e := int32(got[tid*n/2+reg]), want[where(tid, reg)]; v != e {
							t.Fatalf("thread %d register %d: got %d, want %d", tid, reg, v, e)
						}
					}
				}
			})
		}
	}
}
