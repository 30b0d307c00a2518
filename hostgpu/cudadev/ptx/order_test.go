package ptx

import (
	"testing"
)

// TestOrder runs a kernel whose result depends on nothing, then ones that depend
// on which block, warp or lane is first, under several orders.
func TestOrder(t *testing.T) {
	run := func(body string, order uint64) []uint32 {
		mod := parse(t, entry(head80, ".global .align 4 .u32 turn;\n", body))
		// One worker: all is drawn from the order then.
		m := NewMachine(Config{Major: 8, SharedPerBlock: 48 << 10, Memory: 1 << 20, Workers: 1})
		out := buffer(t, m, make([]byte, 4*7*96))
		if err := tryLaunch(m, mod, "k", 7, 96, 0, pack(out, out, uint32(0)), Checks{Order: order, Uninitialised: true, Race: true, Sync: true}); err != nil {
			t.Fatal(err)
		}
		return words32(download(t, m, out, 4*7*96))
	}
	steady := sharedWord + `
	mov.u32 %r8, 0;
	mov.u32 %r9, 0;
L:
	add.u32 %r10, %r0, %r9;
	st.shared.u32 [%r4], %r10;
	bar.sync 0;
	xor.b32 %r5, %r0, 32;
	setp.ge.u32 %p2, %r5, 96;
	@%p2 mov.u32 %r5, 0;
	mov.u32 %r6, s;
	mad.lo.u32 %r5, %r5, 4, %r6;
	ld.shared.u32 %r7, [%r5];
	and.b32 %r11, %r7, 1;
	setp.eq.u32 %p1, %r11, 0;
	@%p1 mad.lo.u32 %r8, %r8, 5, %r7;
	@!%p1 bra ODD;
	add.u32 %r8, %r8, 3;
ODD:
	shfl.sync.bfly.b32 %r12, %r8, 7, 31, -1;
	xor.b32 %r8, %r8, %r12;
	bar.sync 0;
	add.u32 %r9, %r9, 1;
	setp.lt.u32 %p3, %r9, 20;
	@%p3 bra L;
	st.global.u32 [%rd3], %r8;`
	want := run(steady, 0)
	for order := range uint64(20) {
		wantWords(t, run(steady, order*order*12345), func(i int) uint32 { return want[i] })
	}
	// Who is first takes 0: over several orders, many different ones.
	first := map[string]map[int]bool{"blocks": {}, "warps": {}, "lanes": {}}
	for order := range uint64(60) {
		for i, v := range run(`
	atom.global.add.u32 %r4, [turn], 1;
	st.global.u32 [%rd3], %r4;`, order) {
			if v == 0 {
				first["blocks"][i/96], first["warps"][i%96/32], first["lanes"][i%32] = true, true, true
			}
		}
	}
	for what, least := range map[string]int{"blocks": 7, "warps": 3, "lanes": 16} {
		if len(first[what]) < least {
			t.Errorf("of %s only %v were ever first", what, first[what])
		}
	}
}
