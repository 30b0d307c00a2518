package ptx

import (
	"fmt"
	"testing"
)

// BenchmarkThreads counts the instructions of single threads a second, on one
// goroutine: integer arithmetic with global and shared accesses, as clang emits
// them, then the same with all checks.
func BenchmarkThreads(b *testing.B) {
	mod := parse(b, head80+`.visible .entry k(.param .u64 p, .param .u32 n)
{
	.shared .align 16 .b8 s[1024];
	.reg .pred %p<4>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<8>;
	ld.param.u64 %rd1, [p];
	ld.param.u32 %r1, [n];
	mov.u32 %r2, %tid.x;
	mul.wide.u32 %rd2, %r2, 4;
	add.s64 %rd3, %rd1, %rd2;
	mov.u32 %r4, s;
	shl.b32 %r5, %r2, 2;
	add.s32 %r4, %r4, %r5;
	mov.b32 %r6, 0;
	mov.b32 %r7, 0;
L:
	ld.global.u32 %r8, [%rd3];
	mad.lo.s32 %r6, %r8, 3, %r6;
	xor.b32 %r9, %r6, %r7;
	shf.l.wrap.b32 %r9, %r9, %r9, 7;
	st.shared.u32 [%r4], %r9;
	add.s32 %r10, %r9, %r6;
	mul.hi.s32 %r11, %r10, %r9;
	ld.shared.u32 %r12, [%r4];
	min.s32 %r12, %r12, %r11;
	setp.lt.s32 %p1, %r12, 5;
	selp.b32 %r6, %r12, %r10, %p1;
	cvt.s64.s32 %rd4, %r6;
	add.s64 %rd5, %rd4, %rd1;
	cvt.u32.u64 %r7, %rd5;
	add.s32 %r1, %r1, -1;
	setp.ne.s32 %p2, %r1, 0;
	@%p2 bra L;
	st.global.u32 [%rd3], %r6;
	ret;
}
`)
	const turns, perTurn = 1000, 17
	for _, checks := range []Checks{{}, AllChecks()} {
		b.Run(fmt.Sprintf("checks=%v", checks.Race), func(b *testing.B) {
			m := NewMachine(Config{Major: 8, SharedPerBlock: 100 << 10, Memory: 1 << 20, Workers: 1})
			p := buffer(b, m, make([]byte, 1024))
			for b.Loop() {
				if err := tryLaunch(m, mod, "k", 4, 256, 0, pack(p, uint32(turns)), Checks{Uninitialised: checks.Uninitialised, Race: checks.Race, Sync: checks.Sync}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*4*256*turns*perTurn/b.Elapsed().Seconds()/1e6, "Minstr/s")
		})
	}
}

// BenchmarkMma counts products of mma.sync a second, on one goroutine.
func BenchmarkMma(b *testing.B) {
	mod := parse(b, head80+`.visible .entry k(.param .u32 n)
{
	.reg .pred %p;
	.reg .b32 %r, %a<4>, %b<2>, %c<4>;
	ld.param.u32 %r, [n];
	mov.u32 %a0, %tid.x;
	mov.u32 %a1, %a0;
	mov.u32 %a2, %a0;
	mov.u32 %a3, %a0;
	mov.u32 %b0, %a0;
	mov.u32 %b1, %a0;
	mov.b32 %c0, 0;
	mov.b32 %c1, 0;
	mov.b32 %c2, 0;
	mov.b32 %c3, 0;
L:
	mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%c0, %c1, %c2, %c3}, {%a0, %a1, %a2, %a3}, {%b0, %b1}, {%c0, %c1, %c2, %c3};
	add.s32 %r, %r, -1;
	setp.ne.s32 %p, %r, 0;
	@%p bra L;
	ret;
}
`)
	m := NewMachine(Config{Major: 8, SharedPerBlock: 100 << 10, Memory: 1 << 20, Workers: 1})
	for b.Loop() {
		if err := tryLaunch(m, mod, "k", 1, 32, 0, pack(uint32(1000)), Checks{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000*16*8*32/b.Elapsed().Seconds()/1e9, "Gproducts/s")
}
