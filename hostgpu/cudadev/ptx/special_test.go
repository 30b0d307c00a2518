package ptx

import (
	"context"
	"strings"
	"testing"
)

// TestSpecialRegisters runs a grid of all dimensions and checks what each thread
// reads.
func TestSpecialRegisters(t *testing.T) {
	grid, block := [3]uint32{3, 2, 2}, [3]uint32{5, 3, 4}
	threads := block[0] * block[1] * block[2]
	for _, c := range []struct {
		reg  string
		head string
		want func(block3, thread [3]uint32, linear uint32) uint32
	}{
		{"%tid.x", head80, func(_, th [3]uint32, _ uint32) uint32 { return th[0] }},
		{"%tid.y", head80, func(_, th [3]uint32, _ uint32) uint32 { return th[1] }},
		{"%tid.z", head80, func(_, th [3]uint32, _ uint32) uint32 { return th[2] }},
		{"%ntid.x", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 5 }},
		{"%ntid.y", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 3 }},
		{"%ntid.z", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 4 }},
		{"%ctaid.x", head80, func(b, _ [3]uint32, _ uint32) uint32 { return b[0] }},
		{"%ctaid.y", head80, func(b, _ [3]uint32, _ uint32) uint32 { return b[1] }},
		{"%ctaid.z", head80, func(b, _ [3]uint32, _ uint32) uint32 { return b[2] }},
		{"%nctaid.x", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 3 }},
		{"%nctaid.y", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 2 }},
		{"%nctaid.z", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 2 }},
		{"%laneid", head80, func(_, _ [3]uint32, i uint32) uint32 { return i % 32 }},
		{"%warpid", head80, func(_, _ [3]uint32, i uint32) uint32 { return i / 32 }},
		{"%nsmid", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 132 }},
		{"%dynamic_smem_size", head80, func(_, _ [3]uint32, _ uint32) uint32 { return 96 }},
		{"%cluster_ctarank", head90, func(_, _ [3]uint32, _ uint32) uint32 { return 0 }},
		{"%clusterid.y", head90, func(b, _ [3]uint32, _ uint32) uint32 { return b[1] }},
		{"%cluster_nctaid.x", head90, func(_, _ [3]uint32, _ uint32) uint32 { return 1 }},
	} {
		mod, m := parse(t, entry(c.head, "", `
	mov.u32 %r4, %ctaid.z;
	mad.lo.u32 %r4, %r4, 2, 0;
	mov.u32 %r5, %ctaid.y;
	add.u32 %r4, %r4, %r5;
	mad.lo.u32 %r4, %r4, 3, %r1;
	mov.u32 %r5, %tid.z;
	mad.lo.u32 %r4, %r4, 4, %r5;
	mov.u32 %r5, %tid.y;
	mad.lo.u32 %r4, %r4, 3, %r5;
	mad.lo.u32 %r4, %r4, 5, %r0;
	mad.wide.u32 %rd3, %r4, 4, %rd1;
	mov.u32 %r6, `+c.reg+`;
	st.global.u32 [%rd3], %r6;`)), machine(t)
		n := int(threads * 12)
		out := buffer(t, m, make([]byte, 4*n))
		if err := m.Launch(context.Background(), mod, "k", grid, block, 96, pack(out, out, uint32(0)), AllChecks()); err != nil {
			t.Fatal(err)
		}
		wantWords(t, words32(download(t, m, out, 4*n)), func(i int) uint32 {
			b, in := uint32(i)/threads, uint32(i)%threads
			return c.want([3]uint32{b % 3, b / 3 % 2, b / 6}, [3]uint32{in % 5, in / 5 % 3, in / 15}, in)
		})
	}
}

// TestNoEffect runs what only advises or orders.
func TestNoEffect(t *testing.T) {
	for head, body := range map[string]string{
		head80: `
	membar.cta;
	membar.gl;
	membar.sys;
	fence.sc.gpu;
	fence.acq_rel.cta;
	prefetch.global.L2 [%rd0];
	prefetch.global.L1 [%rd0+4096];
	nanosleep.u32 100;
	mov.u32 %r4, %clock;
	mov.u64 %rd4, %clock64;
	mov.u64 %rd5, %clock64;
	setp.gt.u64 %p1, %rd4, %rd5;
	@%p1 trap;
	mov.u64 %rd5, %globaltimer;
	mov.u64 %rd5, %gridid;
	ld.relaxed.gpu.global.u32 %r5, [%rd0];
	ld.acquire.sys.global.u32 %r6, [%rd0];
	ld.volatile.global.s8 %r7, [%rd0];
	ld.global.nc.u32 %r8, [%rd0];
	ld.global.ca.u32 %r8, [%rd0];
	ld.weak.global.u32 %r8, [%rd0];
	st.release.gpu.global.u32 [%rd1], %r5;
	st.relaxed.cta.global.u32 [%rd1], %r5;
	st.volatile.global.v2.u32 [%rd1], {%r5, %r5};
	st.global.cs.u32 [%rd1], %r5;
	setp.ne.u32 %p1, %r5, %r6;
	@%p1 trap;
	setp.ne.s32 %p1, %r7, -1;
	@%p1 trap;`,
		head90: `
	fence.mbarrier_init.release.cluster;
	fence.proxy.async.global;
	fence.proxy.alias;
	setmaxnreg.inc.sync.aligned.u32 240;
	setmaxnreg.dec.sync.aligned.u32 24;
	wgmma.fence.sync.aligned;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 3;`,
	} {
		if head == head90 { // setmaxnreg wants a bound on registers
			body = strings.ReplaceAll(entry(head, "", body), "\n{\n", "\n.maxntid 128, 1, 1\n{\n")
		} else {
			body = entry(head, "", body)
		}
		mod, m := parse(t, body), machine(t)
		in, out := buffer(t, m, []byte{255, 1, 2, 3, 4, 5, 6, 7}), buffer(t, m, make([]byte, 8))
		if err := tryLaunch(m, mod, "k", 1, 128, 0, pack(in, out, uint32(0)), Checks{Uninitialised: true, Race: true, Sync: true}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMbarrierStates waits by state, counts transactions and reuses the place.
func TestMbarrierStates(t *testing.T) {
	got := run32(t, entry(head90, "", `
	.shared .align 8 .b64 b;
	mov.u32 %r8, 0;
	mbarrier.init.shared.b64 [b], 2;
	mbarrier.arrive.shared.b64 %rd4, [b];
	mbarrier.test_wait.shared.b64 %p1, [b], %rd4;
	@%p1 add.u32 %r8, %r8, 1;
	mbarrier.arrive.expect_tx.shared.b64 %rd5, [b], 64;
	mbarrier.test_wait.shared.b64 %p1, [b], %rd4;
	@%p1 add.u32 %r8, %r8, 2;
	mbarrier.complete_tx.shared::cta.b64 [b], 24;
	mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [b], 8;
	mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [b], 47;
	mbarrier.test_wait.parity.shared.b64 %p1, [b], 0;
	@%p1 add.u32 %r8, %r8, 4;
	mbarrier.complete_tx.shared::cta.b64 [b], 1;
	mbarrier.test_wait.shared.b64 %p1, [b], %rd5;
	@%p1 add.u32 %r8, %r8, 8;
	mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p1, [b], 0, 1000;
	@%p1 add.u32 %r8, %r8, 16;
	mbarrier.test_wait.parity.shared.b64 %p1, [b], 1;
	@%p1 add.u32 %r8, %r8, 32;
	mov.u64 %rd6, b;
	cvta.shared.u64 %rd6, %rd6;
	mbarrier.arrive.release.cta.b64 %rd4, [%rd6], 2;
	mbarrier.test_wait.parity.b64 %p1, [%rd6], 1;
	@%p1 add.u32 %r8, %r8, 64;
	mbarrier.inval.shared.b64 [b];
	st.shared.u64 [b], 7;
	mbarrier.init.shared.b64 [b], 1;
	mbarrier.test_wait.parity.shared.b64 %p1, [b], 1;
	@%p1 add.u32 %r8, %r8, 128;
	st.global.u32 [%rd3], %r8;`), 1, 1, nil, 0)
	if want := uint32(8 + 16 + 64 + 128); got[0] != want {
		t.Errorf("got %#b, want %#b", got[0], want)
	}
}

// TestGenericSpaces reads parameters, constants and addresses of variables
// through generic pointers.
func TestGenericSpaces(t *testing.T) {
	got := run32(t, entry(strings.Replace(head80, "7.0", "7.7", 1), ".const .align 4 .u32 c[2] = {11, 22};\n.global .align 4 .u32 g[3] = {100, 200, 0xffffffff};\n.const .align 4 .u32 none;\n", `
	mov.u64 %rd4, c;
	cvta.const.u64 %rd4, %rd4;
	ld.u32 %r4, [%rd4+4];
	ld.const.u32 %r5, [c];
	mov.u64 %rd5, g;
	cvta.global.u64 %rd5, %rd5;
	ld.u32 %r6, [%rd5+4];
	ld.global.u32 %r7, [g+8];
	add.u32 %r4, %r4, %r5;
	add.u32 %r4, %r4, %r6;
	add.u32 %r4, %r4, %r7;
	mov.u64 %rd6, n;
	cvta.param.u64 %rd6, %rd6;
	ld.u32 %r8, [%rd6];
	add.u32 %r4, %r4, %r8;
	isspacep.const %p1, %rd4;
	@!%p1 trap;
	isspacep.global %p1, %rd5;
	@!%p1 trap;
	ld.const.u32 %r9, [none];
	add.u32 %r4, %r4, %r9;
	st.global.u32 [%rd3], %r4;`), 1, 1, nil, 5000)
	if got[0] != 11+22+200-1+5000 {
		t.Errorf("got %d", got[0])
	}
}

func TestMachineMemory(t *testing.T) {
	m := machine(t)
	a, b := buffer(t, m, []byte("0123456789")), buffer(t, m, make([]byte, 10))
	if a%256 != 0 || b%256 != 0 || a == b {
		t.Errorf("addresses %#x and %#x", a, b)
	}
	if err := m.Fill(b+2, 'x', 3); err != nil {
		t.Error(err)
	}
	if err := m.Copy(b+4, a+1, 5); err != nil {
		t.Error(err)
	}
	if err := m.Copy(a+1, a, 9); err != nil { // ranges may overlap
		t.Error(err)
	}
	if got := string(download(t, m, b, 10)); got != "\x00\x00xx12345\x00" {
		t.Errorf("%q", got)
	}
	if got := string(download(t, m, a, 10)); got != "0012345678" {
		t.Errorf("%q", got)
	}
	if _, err := m.Alloc(0); err == nil {
		t.Error("empty allocation")
	}
}
