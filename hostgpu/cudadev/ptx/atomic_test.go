package ptx

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// TestAtomicValues checks what each atomic returns and stores, one thread a word.
func TestAtomicValues(t *testing.T) {
	type at struct {
		op, ty string
		want   func(old, b, c uint64) uint64
	}
	list := []at{
		{"and", "b32", func(o, b, _ uint64) uint64 { return o & b }}, {"or", "b64", func(o, b, _ uint64) uint64 { return o | b }},
		{"xor", "b32", func(o, b, _ uint64) uint64 { return o ^ b }}, {"exch", "b32", func(_, b, _ uint64) uint64 { return b }},
		{"exch", "b64", func(_, b, _ uint64) uint64 { return b }},
		{"add", "u32", func(o, b, _ uint64) uint64 { return u(uint32(o + b)) }}, {"add", "s32", func(o, b, _ uint64) uint64 { return u(uint32(o + b)) }},
		{"add", "u64", func(o, b, _ uint64) uint64 { return o + b }},
		{"min", "u32", func(o, b, _ uint64) uint64 { return min(o, b) }}, {"max", "u64", func(o, b, _ uint64) uint64 { return max(o, b) }},
		{"min", "s32", func(o, b, _ uint64) uint64 { return u(uint32(min(int32(o), int32(b)))) }},
		{"max", "s32", func(o, b, _ uint64) uint64 { return u(uint32(max(int32(o), int32(b)))) }},
		{"min", "s64", func(o, b, _ uint64) uint64 { return uint64(min(int64(o), int64(b))) }},
		{"inc", "u32", func(o, b, _ uint64) uint64 {
			if o >= b {
				return 0
			}
			return o + 1
		}},
		{"dec", "u32", func(o, b, _ uint64) uint64 {
			if o == 0 || o > b {
				return b
			}
			return o - 1
		}},
		{"cas", "b32", func(o, b, c uint64) uint64 {
			if o == b {
				return c
			}
			return o
		}},
		{"cas", "b64", func(o, b, c uint64) uint64 {
			if o == b {
				return c
			}
			return o
		}},
	}
	for _, a := range list {
		var cases []opCase
		r, wide := "%r", a.ty[1:] == "64"
		out := "\nmov.b64 %rd10, {%r10, %r11};"
		if wide {
			// Both halves matter: fold old and new together.
			r, out = "%rd", "\nmul.lo.u64 %rd10, %rd10, 3;\nadd.u64 %rd10, %rd10, %rd11;"
		}
		third := ""
		if a.op == "cas" {
			third = ", " + r + "3"
		}
		cut := func(v uint64) uint64 {
			if wide {
				return v
			}
			return u(uint32(v))
		}
		for _, sp := range []string{"shared", "global", ""} {
			base := ".shared .align 8 .b8 s[1024];\nmov.u64 %rd15, s;\nmad.wide.u32 %rd15, %i0, 8, %rd15;\n"
			if sp == "global" {
				base = "mov.u64 %rd15, %a3;\n"
			}
			dot := sp
			if sp != "" {
				dot = "." + sp
			} else {
				base += "cvta.shared.u64 %rd15, %rd15;\n"
			}
			// In a part of the cases the operand is what memory holds.
			base += "and.b32 %r9, %r4, 1;\nsetp.eq.u32 %p5, %r9, 1;\n@%p5 mov.b64 %rd2, %rd1;\n@%p5 mov.b32 %r2, %r1;\n"
			body := base + fmt.Sprintf("st%s.%s [%%rd15], %s1;\natom%s.%s.%s %s10, [%%rd15], %s2%s;\nld%s.%s %s11, [%%rd15];", dot, a.ty, r, dot, a.op, a.ty, r, r, third, dot, a.ty, r)
			if a.op != "cas" && a.op != "exch" {
				body += fmt.Sprintf("\nred%s.%s.%s [%%rd15], %s2;\nld%s.%s %s12, [%%rd15];\nxor.b%s %s11, %s11, %s12;", dot, a.op, a.ty, r, dot, a.ty, r, a.ty[1:], r, r, r)
			}
			cases = append(cases, opCase{body + out, func(x, b, c, d uint64) uint64 {
				if d&1 == 1 {
					b = x
				}
				old := cut(x)
				v := a.want(old, cut(b), cut(c))
				if a.op != "cas" && a.op != "exch" {
					v ^= a.want(v, cut(b), cut(c))
				}
				if wide {
					return old*3 + v
				}
				return old | v<<32
			}})
		}
		runCases(t, head80, cases)
	}
}

// TestAtomicsAcrossBlocks adds from many blocks at once and lets the last one to
// arrive read what the others stored.
func TestAtomicsAcrossBlocks(t *testing.T) {
	const grid, block = 64, 96
	mod := parse(t, entry(head80, ".global .align 8 .u64 total;\n.global .align 4 .u32 count = 0;\n", `
	st.global.u32 [%rd2], %r2;
	bar.sync 0;
	membar.gl;
	mov.u32 %r9, 0;
	setp.ne.u32 %p1, %r0, 0;
	@%p1 bra SUM;
	atom.global.add.u32 %r9, [count], 1;
	membar.gl;
SUM:
	cvt.u64.u32 %rd4, %r2;
	red.global.add.u64 [total], %rd4;
	setp.ne.u32 %p2, %r9, 63;
	@%p2 bra END;
	mov.u32 %r4, 0;
	mov.u32 %r5, 0;
L:
	mad.wide.u32 %rd5, %r5, 4, %rd0;
	ld.global.u32 %r6, [%rd5];
	add.u32 %r4, %r4, %r6;
	add.u32 %r5, %r5, 1;
	setp.lt.u32 %p3, %r5, %r3;
	@%p3 bra L;
	st.global.u32 [%rd1], %r4;
END:`))
	m := machine(t)
	a, err := m.Alloc(4 * grid * block)
	if err != nil {
		t.Fatal(err)
	}
	out := buffer(t, m, make([]byte, 4))
	for range 3 { // a module that is loaded again starts anew
		mustLaunch(t, m, mod, "k", grid, block, pack(a, out, uint32(grid*block)))
		if got := binary.LittleEndian.Uint32(download(t, m, out, 4)); got != grid*block*(grid*block-1)/2 {
			t.Fatalf("sum %d", got)
		}
		if err := m.Unload(mod); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBarriers(t *testing.T) {
	// Two halves of a block take turns through named barriers: a producer
	// arrives without waiting.
	got := run32(t, entry(head80, "", `
	.shared .align 4 .b8 s[256];
	mov.u32 %r4, s;
	and.b32 %r5, %r0, 63;
	mad.lo.u32 %r4, %r5, 4, %r4;
	mov.u32 %r8, 0;
	mov.u32 %r9, 0;
	setp.ge.u32 %p1, %r0, 64;
	@%p1 bra TAKE;
GIVE:
	mad.lo.u32 %r6, %r9, 1000, %r0;
	barrier.sync 2, 128;
	st.shared.u32 [%r4], %r6;
	barrier.arrive 1, 128;
	add.u32 %r9, %r9, 1;
	setp.lt.u32 %p2, %r9, 5;
	@%p2 bra GIVE;
	bra END;
TAKE:
	bar.arrive 2, 128;
	bar.sync 1, 128;
	xor.b32 %r7, %r5, 1;
	mov.u32 %r6, s;
	mad.lo.u32 %r6, %r7, 4, %r6;
	ld.shared.u32 %r7, [%r6];
	add.u32 %r8, %r8, %r7;
	bar.sync 3, 64;
	add.u32 %r9, %r9, 1;
	setp.lt.u32 %p2, %r9, 5;
	@%p2 bra TAKE;
END:
	bar.sync 0;
	st.global.u32 [%rd3], %r8;`), 2, 128, nil, 0)
	wantWords(t, got, func(i int) uint32 {
		if i%128 < 64 {
			return 0
		}
		return uint32(10000 + 5*(i%64^1))
	})
	// bar.red over a block whose last warp is not full.
	got = run32(t, entry(head80, "", `
	and.b32 %r4, %r0, 3;
	setp.eq.u32 %p1, %r4, 0;
	bar.red.popc.u32 %r5, 0, %p1;
	setp.lt.u32 %p2, %r0, 100;
	bar.red.and.pred %p3, 0, %p2;
	bar.red.or.pred %p4, 0, !%p2;
	barrier.red.popc.aligned.u32 %r6, 1, !%p1;
	selp.u32 %r7, 1000, 0, %p3;
	selp.u32 %r8, 10000, 0, %p4;
	mad.lo.u32 %r5, %r6, 100000, %r5;
	add.u32 %r5, %r5, %r7;
	add.u32 %r5, %r5, %r8;
	st.global.u32 [%rd3], %r5;`), 1, 100, nil, 0)
	wantWords(t, got, func(int) uint32 { return 25 + 75*100000 + 1000 })
}

// TestCpAsync copies through shared memory with all sizes, zero fill and groups
// in flight.
func TestCpAsync(t *testing.T) {
	in := sequence(4*128, func(i int) uint32 { return uint32(i*2654435761 + 1) })
	p := make([]byte, 4*len(in))
	for i, v := range in {
		binary.LittleEndian.PutUint32(p[4*i:], v)
	}
	for _, c := range []struct {
		copy string
		want func(i, word int) uint32 // word of the 16 bytes of thread i
	}{
		{"cp.async.cg.shared.global [%r4], [%rd4], 16;", func(i, w int) uint32 { return in[4*i+w] }},
		{"cp.async.ca.shared.global [%r4], [%rd4], 16, 16;", func(i, w int) uint32 { return in[4*i+w] }},
		{"and.b32 %r6, %r0, 15;\ncp.async.cg.shared.global.L2::128B [%r4], [%rd4], 16, %r6;", func(i, w int) uint32 {
			n := i%16 - 4*w
			if n >= 4 {
				return in[4*i+w]
			}
			return in[4*i+w] & (1<<(8*max(n, 0)) - 1)
		}},
		{"cp.async.ca.shared.global [%r4], [%rd4+8], 8;\ncp.async.ca.shared.global [%r4+8], [%rd4], 4;\ncp.async.ca.shared.global [%r4+12], [%rd4+4], 4, 0;", func(i, w int) uint32 {
			return []uint32{in[4*i+2], in[4*i+3], in[4*i], 0}[w]
		}},
	} {
		text := entry(strings.Replace(head80, "7.0", "7.4", 1), "", `
	.shared .align 16 .b8 s[6144];
	mov.u32 %r4, s;
	mad.lo.u32 %r4, %r0, 16, %r4;
	mad.wide.u32 %rd4, %r0, 16, %rd0;
	`+c.copy+`
	cp.async.commit_group;
	add.u32 %r7, %r4, 2048;
	cp.async.cg.shared.global [%r7], [%rd4], 16;
	cp.async.commit_group;
	cp.async.cg.shared.global [%r7+2048], [%rd4], 16;
	cp.async.wait_group 1;
	ld.shared.v4.u32 {%r8, %r9, %r10, %r11}, [%r4];
	mad.wide.u32 %rd5, %r0, 16, %rd1;
	st.global.v4.u32 [%rd5], {%r8, %r9, %r10, %r11};
	cp.async.wait_all;
	ld.shared.u32 %r12, [%r7];
	ld.shared.u32 %r13, [%r7+2048];
	setp.ne.u32 %p1, %r12, %r13;
	@%p1 trap;`)
		mod, m := parse(t, text), machine(t)
		a, out := buffer(t, m, p), buffer(t, m, make([]byte, len(p)))
		mustLaunch(t, m, mod, "k", 1, 128, pack(a, out, uint32(0)))
		got := words32(download(t, m, out, len(p)))
		for i := range 128 {
			for w := range 4 {
				if v := got[4*i+w]; v != c.want(i, w) {
					t.Fatalf("%s: thread %d word %d: got %#x, want %#x", c.copy, i, w, v, c.want(i, w))
				}
			}
		}
	}
}

// TestMbarrier runs a ring of two stages between a warp that fills and a warp
// that empties.
func TestMbarrier(t *testing.T) {
	for _, fill := range []string{
		"st.shared.u32 [%r10], %r11;\nmbarrier.arrive.shared.b64 _, [%r12];",
		"cp.async.ca.shared.global [%r10], [%rd2], 4;\ncp.async.mbarrier.arrive.noinc.shared.b64 [%r12];",
		"cp.async.ca.shared.global [%r10], [%rd2], 4;\ncp.async.mbarrier.arrive.shared.b64 [%r12];\nmbarrier.arrive.shared.b64 %rd9, [%r12];",
	} {
		got := run32(t, entry(head90, "", `
	.shared .align 8 .b8 full[16];
	.shared .align 8 .b8 empty[16];
	.shared .align 4 .b8 data[256];
	setp.ne.u32 %p1, %r0, 0;
	@%p1 bra READY;
	mbarrier.init.shared.b64 [full], 32;
	mbarrier.init.shared.b64 [full+8], 32;
	mbarrier.init.shared.b64 [empty], 32;
	mbarrier.init.shared.b64 [empty+8], 32;
READY:
	bar.sync 0;
	mov.u32 %r4, data;
	and.b32 %r5, %r0, 31;
	mad.lo.u32 %r4, %r5, 4, %r4;
	mov.u32 %r6, full;
	mov.u32 %r7, empty;
	mov.u32 %r8, 0; // turn
	mov.u32 %r20, 0;
	setp.ge.u32 %p2, %r0, 32;
L:
	and.b32 %r9, %r8, 1; // stage
	shr.u32 %r13, %r8, 1;
	and.b32 %r13, %r13, 1; // parity
	mad.lo.u32 %r10, %r9, 128, %r4;
	mad.lo.u32 %r12, %r9, 8, %r6;
	mad.lo.u32 %r14, %r9, 8, %r7;
	@%p2 bra TAKE;
	xor.b32 %r15, %r13, 1;
W1:
	mbarrier.try_wait.parity.shared.b64 %p3, [%r14], %r15;
	@!%p3 bra W1;
	add.u32 %r11, %r8, %r0;
	`+fill+`
	bra NEXT;
TAKE:
	mbarrier.test_wait.parity.shared.b64 %p3, [%r12], %r13;
	@%p3 bra HAVE;
	nanosleep.u32 20;
	bra TAKE;
HAVE:
	ld.shared.u32 %r16, [%r10];
	add.u32 %r20, %r20, %r16;
	mbarrier.arrive.shared.b64 %rd10, [%r14];
NEXT:
	add.u32 %r8, %r8, 1;
	setp.lt.u32 %p4, %r8, 7;
	@%p4 bra L;
	st.global.u32 [%rd3], %r20;`), 1, 64, sequence(64, func(i int) uint32 { return uint32(i + 3) }), 0)
		wantWords(t, got, func(i int) uint32 {
			if i < 32 {
				return 0
			}
			return uint32(7*(i-32) + 21)
		})
	}
}

// TestBlocksInTurns leaves out the barrier before a block counts itself as done,
// so that the last one may read sums that others have not finished: some order
// must show it, and none may where the barrier is.
func TestBlocksInTurns(t *testing.T) {
	const grid, block = 8, 128
	for _, barrier := range []string{"bar.sync 0;", ""} {
		mod := parse(t, entry(head80, ".global .align 4 .u32 total;\n.global .align 4 .u32 count;\n", `
	red.global.add.u32 [total], %r2;
	`+barrier+`
	setp.ne.u32 %p1, %r0, 0;
	@%p1 bra END;
	membar.gl;
	atom.global.add.u32 %r9, [count], 1;
	setp.ne.u32 %p2, %r9, 7;
	@%p2 bra END;
	membar.gl;
	ld.global.cg.u32 %r4, [total];
	st.global.u32 [%rd1], %r4;
END:`))
		wrong := 0
		for order := range uint64(30) {
			m := NewMachine(Config{Major: 8, SharedPerBlock: 48 << 10, Memory: 1 << 20, Workers: 1})
			out := buffer(t, m, make([]byte, 4))
			if err := tryLaunch(m, mod, "k", grid, block, 0, pack(out, out, uint32(0)), Checks{Order: order}); err != nil {
				t.Fatal(err)
			}
			if binary.LittleEndian.Uint32(download(t, m, out, 4)) != grid*block*(grid*block-1)/2 {
				wrong++
			}
		}
		if (barrier == "") != (wrong > 0) {
			t.Errorf("barrier %q: %d of 30 orders are wrong", barrier, wrong)
		}
	}
}
