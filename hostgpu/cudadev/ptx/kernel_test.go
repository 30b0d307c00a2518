package ptx

import (
	"encoding/binary"
	"math/bits"
	"testing"
)

// entry wraps a body into a kernel with the usual registers; %r0 is the thread,
// %r1 the block, %rd0 and %rd1 the pointers in and out, %rd2 and %rd3 their
// addresses of the thread's word.
func entry(head, decl, body string) string {
	return head + decl + `.visible .entry k(.param .u64 in, .param .u64 out, .param .u32 n)
{
	.reg .pred %p<20>;
	.reg .b16 %h<10>;
	.reg .b32 %r<40>;
	.reg .b64 %rd<20>;
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
	ld.param.u64 %rd0, [in];
	ld.param.u64 %rd1, [out];
	mov.u32 %r2, %ntid.x;
	mad.lo.u32 %r2, %r1, %r2, %r0;
	mad.wide.u32 %rd2, %r2, 4, %rd0;
	mad.wide.u32 %rd3, %r2, 4, %rd1;
	ld.param.u32 %r3, [n];
` + body + "\n\tret;\n}\n"
}

// run32 runs a kernel of entry over words, one a thread.
func run32(t *testing.T, text string, grid, block int, in []uint32, n uint32) []uint32 {
	t.Helper()
	mod, m := parse(t, text), machine(t)
	p := make([]byte, 4*grid*block)
	for i, v := range in {
		binary.LittleEndian.PutUint32(p[4*i:], v)
	}
	a, out := buffer(t, m, p), buffer(t, m, make([]byte, len(p)))
	mustLaunch(t, m, mod, "k", grid, block, pack(a, out, n))
	return words32(download(t, m, out, len(p)))
}

func sequence(n int, f func(i int) uint32) []uint32 {
	v := make([]uint32, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
}

func wantWords(t *testing.T, got []uint32, want func(i int) uint32) {
	t.Helper()
	for i, v := range got {
		if w := want(i); v != w {
			t.Fatalf("word %d: got %#x, want %#x", i, v, w)
		}
	}
}

// TestReduction sums a block by a tree in shared memory.
func TestReduction(t *testing.T) {
	const block, grid = 200, 3
	in := sequence(block*grid, func(i int) uint32 { return uint32(i*i + 1) })
	got := run32(t, entry(head80, "", `
	.shared .align 4 .b8 s[1024];
	mov.u32 %r4, s;
	mad.lo.u32 %r5, %r0, 4, %r4;
	ld.global.u32 %r6, [%rd2];
	st.shared.u32 [%r5], %r6;
	mov.u32 %r7, 128;
L:
	bar.sync 0;
	add.u32 %r8, %r0, %r7;
	setp.lt.u32 %p1, %r0, %r7;
	setp.lt.and.u32 %p1, %r8, 200, %p1;
	@!%p1 bra NEXT;
	mad.lo.u32 %r9, %r7, 4, %r5;
	ld.shared.u32 %r10, [%r9];
	ld.shared.u32 %r11, [%r5];
	add.u32 %r11, %r11, %r10;
	st.shared.u32 [%r5], %r11;
NEXT:
	shr.u32 %r7, %r7, 1;
	setp.ne.u32 %p2, %r7, 0;
	@%p2 bra L;
	bar.sync 0;
	ld.shared.u32 %r12, [s];
	st.global.u32 [%rd3], %r12;`), grid, block, in, 0)
	wantWords(t, got, func(i int) uint32 {
		var sum uint32
		for _, v := range in[i/block*block:][:block] {
			sum += v
		}
		return sum
	})
}

// TestDivergence runs lanes through loops of different lengths, a jump table, a
// call and an early exit.
func TestDivergence(t *testing.T) {
	in := sequence(128, func(i int) uint32 { return uint32(i * 7 % 23) })
	got := run32(t, entry(head80, `
.func (.param .b32 result) collatz(.param .b32 x)
{
	.reg .pred %p<3>;
	.reg .b32 %r<6>;
	ld.param.u32 %r1, [x];
	mov.b32 %r2, 0;
	setp.eq.u32 %p1, %r1, 0;
	@%p1 ret;
L:
	setp.eq.u32 %p1, %r1, 1;
	@%p1 bra DONE;
	and.b32 %r3, %r1, 1;
	setp.eq.u32 %p2, %r3, 0;
	@%p2 shr.u32 %r1, %r1, 1;
	@!%p2 mad.lo.u32 %r1, %r1, 3, 1;
	add.u32 %r2, %r2, 1;
	bra.uni L;
DONE:
	st.param.b32 [result+0], %r2;
	ret;
}
`, `
	ld.global.u32 %r4, [%rd2];
	setp.eq.u32 %p1, %r0, 77;
	@%p1 exit;
	mov.b32 %r6, 0;
	{
	.param .b32 a;
	.param .b32 b;
	st.param.b32 [b], %r6;
	st.param.b32 [a], %r4;
	call.uni (b), collatz, (a);
	ld.param.b32 %r5, [b];
	}
	and.b32 %r7, %r0, 3;
	setp.ne.u32 %p2, %r7, 3;
TARGETS: .branchtargets ZERO, ONE, TWO;
	@%p2 brx.idx %r7, TARGETS;
	add.u32 %r5, %r5, 1000;
	bra END;
ZERO:
	add.u32 %r5, %r5, 2000;
ONE:
	add.u32 %r5, %r5, 3000;
	bra END;
TWO:
	mul.lo.u32 %r5, %r5, 5;
END:
	st.global.u32 [%rd3], %r5;`), 1, 128, in, 0)
	wantWords(t, got, func(i int) uint32 {
		if i == 77 {
			return 0
		}
		x, steps := in[i], uint32(0)
		for x > 1 {
			if x%2 == 0 {
				x /= 2
			} else {
				x = 3*x + 1
			}
			steps++
		}
		return []uint32{steps + 5000, steps + 3000, steps * 5, steps + 1000}[i%4]
	})
}

// TestSpin lets one lane of a warp wait for another, in both orders: lanes must
// not starve each other (independent thread scheduling).
func TestSpin(t *testing.T) {
	for _, cmp := range []string{"eq", "ne"} {
		got := run32(t, entry(head80, "", `
	.shared .align 4 .b8 flag[4];
	setp.eq.u32 %p1, %r0, 0;
	@%p1 st.shared.u32 [flag], 0;
	bar.sync 0;
	and.b32 %r4, %r0, 1;
	setp.`+cmp+`.u32 %p2, %r4, 0;
	@%p2 bra GIVE;
WAIT:
	ld.volatile.shared.u32 %r5, [flag];
	setp.ne.u32 %p3, %r5, 16;
	@%p3 bra WAIT;
	st.global.u32 [%rd3], %r5;
	bra END;
GIVE:
	atom.shared.add.u32 %r5, [flag], 1;
	st.global.u32 [%rd3], 99;
END:`), 1, 32, nil, 0)
		wantWords(t, got, func(i int) uint32 {
			if (i%2 == 0) == (cmp == "eq") {
				return 99
			}
			return 16
		})
	}
}

func TestShuffles(t *testing.T) {
	in := sequence(64, func(i int) uint32 { return uint32(i*i + 3) })
	type sh struct {
		mode    string
		b, c    uint32
		partner func(lane int) (int, bool)
	}
	for _, s := range []sh{
		{"bfly", 5, 31, func(l int) (int, bool) { return l ^ 5, true }},
		{"up", 3, 0, func(l int) (int, bool) { return l - 3, l >= 3 }},
		{"down", 7, 31, func(l int) (int, bool) { return l + 7, l+7 < 32 }},
		{"idx", 9, 31, func(int) (int, bool) { return 9, true }},
		// Segments of eight lanes: CUDA's width 8.
		{"down", 2, 31&^7<<8 | 7, func(l int) (int, bool) { return l + 2, l%8+2 < 8 }},
		{"up", 2, 31 &^ 7 << 8, func(l int) (int, bool) { return l - 2, l%8 >= 2 }},
		{"idx", 13, 31&^7<<8 | 7, func(l int) (int, bool) { return l&^7 | 5, true }},
		{"bfly", 4, 31&^7<<8 | 7, func(l int) (int, bool) { return l ^ 4, true }},
		{"bfly", 8, 31&^7<<8 | 7, func(l int) (int, bool) { return l ^ 8, l^8 < l }},
	} {
		text := entry(head80, "", `
	ld.global.u32 %r4, [%rd2];
	shfl.sync.`+s.mode+`.b32 %r5|%p1, %r4, `+itoa(s.b)+`, `+itoa(s.c)+`, 0xffffffff;
	@%p1 add.u32 %r5, %r5, 100000;
	st.global.u32 [%rd3], %r5;`)
		wantWords(t, run32(t, text, 1, 64, in, 0), func(i int) uint32 {
			j, ok := s.partner(i % 32)
			if !ok {
				return in[i]
			}
			return in[i&^31+j] + 100000
		})
	}
}

func itoa(v uint32) string { return string(appendUint(nil, v)) }

func appendUint(p []byte, v uint32) []byte {
	if v >= 10 {
		p = appendUint(p, v/10)
	}
	return append(p, byte('0'+v%10))
}

func TestVotes(t *testing.T) {
	in := sequence(32, func(i int) uint32 { return uint32(0x5a3c0ff1) >> i & 1 })
	for _, v := range []struct {
		body string
		want func(i int) uint32
	}{
		{"vote.sync.ballot.b32 %r5, %p1, 0xffffffff;", func(int) uint32 { return 0x5a3c0ff1 }},
		{"vote.sync.ballot.b32 %r5, !%p1, -1;", func(int) uint32 { return ^uint32(0x5a3c0ff1) }},
		{"vote.sync.all.pred %p2, %p1, 0xffffffff; selp.u32 %r5, 1, 0, %p2;", func(int) uint32 { return 0 }},
		{"vote.sync.any.pred %p2, %p1, 0xffffffff; selp.u32 %r5, 1, 0, %p2;", func(int) uint32 { return 1 }},
		{"vote.sync.uni.pred %p2, %p1, 0xffffffff; selp.u32 %r5, 1, 0, %p2;", func(int) uint32 { return 0 }},
		{"setp.lt.u32 %p3, %r0, 64; vote.sync.uni.pred %p2, %p3, 0xffffffff; selp.u32 %r5, 1, 0, %p2;", func(int) uint32 { return 1 }},
		{"match.any.sync.b32 %r5, %r4, 0xffffffff;", func(i int) uint32 {
			if in[i] == 1 {
				return 0x5a3c0ff1
			}
			return ^uint32(0x5a3c0ff1)
		}},
		{"match.all.sync.b32 %r5|%p2, %r4, 0xffffffff; selp.u32 %r5, 7, %r5, %p2;", func(int) uint32 { return 0 }},
		{"match.all.sync.b64 %r5|%p2, %rd0, 0xffffffff; selp.u32 %r5, %r5, 7, %p2;", func(int) uint32 { return ^uint32(0) }},
		{"activemask.b32 %r5;", func(int) uint32 { return ^uint32(0) }},
		{"mov.u32 %r5, 0;\n@%p1 activemask.b32 %r5;", func(i int) uint32 { return 0x5a3c0ff1 * in[i] }},
		{"redux.sync.add.u32 %r5, %r4, 0xffffffff;", func(int) uint32 { return uint32(bits.OnesCount32(0x5a3c0ff1)) }},
		{"sub.s32 %r6, %r0, 9; redux.sync.min.s32 %r5, %r6, 0xffffffff;", func(int) uint32 { return ^uint32(8) }},
		{"sub.s32 %r6, %r0, 9; redux.sync.max.u32 %r5, %r6, 0xffffffff;", func(int) uint32 { return ^uint32(0) }},
		{"redux.sync.xor.b32 %r5, %r0, 0xffffffff;", func(int) uint32 { return 0 }},
		{"mov.u32 %r5, %laneid; mov.u32 %r6, %lanemask_lt; mov.u32 %r7, %lanemask_ge; xor.b32 %r5, %r6, %r7;", func(int) uint32 { return ^uint32(0) }},
		{"mov.u32 %r5, %lanemask_le;", func(i int) uint32 { return uint32(uint64(2)<<i - 1) }},
		{"mov.u32 %r5, %lanemask_gt;", func(i int) uint32 { return ^uint32(uint64(2)<<i - 1) }},
		{"mov.u32 %r5, %lanemask_eq;", func(i int) uint32 { return 1 << i }},
		// Only the even lanes take part, from within a branch.
		{`mov.u32 %r5, 0; and.b32 %r6, %r0, 1; setp.ne.u32 %p3, %r6, 0; @%p3 bra SKIP;
	vote.sync.ballot.b32 %r5, %p1, 0x55555555; shfl.sync.bfly.b32 %r7, %r0, 2, 31, 0x55555555; add.u32 %r5, %r5, %r7; SKIP:`, func(i int) uint32 {
			if i%2 == 1 {
				return 0
			}
			return 0x5a3c0ff1&0x55555555 + uint32(i^2)
		}},
	} {
		text := entry(head80, "", "\n\tld.global.u32 %r4, [%rd2];\n\tsetp.ne.u32 %p1, %r4, 0;\n\t"+v.body+"\n\tst.global.u32 [%rd3], %r5;")
		got := run32(t, text, 1, 32, in, 0)
		for i, x := range got {
			if w := v.want(i); x != w {
				t.Errorf("%s: lane %d: got %#x, want %#x", v.body, i, x, w)
				break
			}
		}
	}
	text := entry(head90, "", `
	mov.u32 %r5, 0;
	elect.sync %r6|%p1, 0xffffffff;
	@%p1 add.u32 %r5, %r5, 50;
	add.u32 %r5, %r5, %r6;
	st.global.u32 [%rd3], %r5;`)
	leaders := 0
	got := run32(t, text, 1, 32, nil, 0)
	for _, v := range got {
		if v >= 50 {
			leaders++
			v -= 50
		}
		if got[v] < 50 {
			t.Errorf("lane %d is named, not elected", v)
		}
	}
	if leaders != 1 {
		t.Errorf("%d lanes elected", leaders)
	}
}
